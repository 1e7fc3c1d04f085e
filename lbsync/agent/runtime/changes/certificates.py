"""Certificates and crt-lists: which files they are, and how one set becomes another. Pure.

Sources: configuration manual, section 5.1, "crt", "crt-list"; management guide, section 9.3, "set
ssl cert", "add ssl crt-list".
"""

import base64
import binascii
import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from lbsync.agent.haproxycfg.lexer import words
from lbsync.agent.haproxycfg.parser import Section
from lbsync.agent.runtime.changes import certificate_order
from lbsync.agent.runtime.changes.certificate_order import names
from lbsync.agent.runtime.changes.change_set import Phase, PlanBuilder
from lbsync.agent.runtime.changes.steps import (
    CertificatePart,
    DropCertificate,
    ListCertificate,
    SetCertificate,
    UnlistCertificate,
)
from lbsync.clients.haproxy.capabilities import PAYLOAD_BYTES

BESIDE = (".key", ".ocsp", ".issuer", ".sctl")
"""Endings of files that `ssl-load-extra-files` loads beside a certificate (manual 3.1)."""
_SETTABLE = (".key",)
_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?-----END [A-Z0-9 ]+-----", re.DOTALL)
_PATH = re.compile(r"[A-Za-z0-9._/-]+")


class Uses(msgspec.Struct, frozen=True):
    """Which files the binds of a configuration load."""

    lists: frozenset[str] = frozenset()
    """crt-lists."""
    certificates: frozenset[str] = frozenset()
    """Certificates, and directories of them, that a bind names itself."""
    known: bool = True
    """False where `crt-base` or an unreadable word changes the names."""


def uses(sections: Iterable[Section]) -> Uses:
    """Return what the binds name."""
    lists: set[str] = set()
    certificates: set[str] = set()
    known = True
    for section in sections:
        if section.kind == "global" and "crt-base" in section.text:
            known = False
        if not section.binds or "crt" not in section.text:
            continue
        for line in section.text.split("\n"):
            said = words(line)
            if said[:1] != ["bind"]:
                continue
            for keyword, value in itertools.pairwise(said):
                if keyword == "crt-list":
                    lists.add(value)
                elif keyword == "crt":
                    certificates.add(value)
    return Uses(frozenset(lists), frozenset(certificates), known)


def read_list(data: bytes) -> dict[str, str] | None:
    """Return path to line of a crt-list in its order; None where a path is repeated."""
    found: dict[str, str] = {}
    for raw in data.decode(errors="surrogateescape").split("\n"):
        line = " ".join(raw.split())
        if not line or line.startswith("#"):
            continue
        path = line.partition(" ")[0]
        if path in found:
            return None
        found[path] = line
    return found


class Certificates:
    """All that is loaded, then and now."""

    def __init__(
        self,
        uses: Uses,
        old: Mapping[str, bytes],
        new: Mapping[str, bytes],
        payload_bytes: int = PAYLOAD_BYTES,
    ) -> None:
        """`uses` is the same for both: another use would be a reload. `payload_bytes`: what a command to
        HAProxy may carry."""
        self.uses = uses
        self.payload_bytes = payload_bytes
        self.old, self.new = old, new
        self.lists = {
            name: (read_list(old.get(name, b"")), read_list(new.get(name, b"")))
            for name in sorted(uses.lists)
        }
        self._answering: dict[str, dict[str, frozenset[str]]] = {}

    def loaded(self, path: str, now: bool) -> bool:
        """Tell whether HAProxy holds a certificate, then or now."""
        return any(path in (both[now] or {}) for both in self.lists.values()) or (
            self.named(path) and path in (self.new if now else self.old)
        )

    def named(self, path: str) -> bool:
        """Tell whether a bind itself names a certificate or its directory."""
        folders = (named.rstrip("/") + "/" for named in self.uses.certificates)
        return path in self.uses.certificates or path.startswith(tuple(folders))

    def certificate_of(self, path: str) -> str | None:
        """Return the certificate that a file is, or is a part of."""
        for ending in ("", *BESIDE):
            base = path.removesuffix(ending)
            if path.endswith(ending) and (self.loaded(base, False) or self.loaded(base, True)):
                return base
        return None

    def answering(self, name: str) -> dict[str, frozenset[str]]:
        """Return the certificates of a crt-list as it is now, in its order, with their names."""
        if name not in self._answering:
            lines = (self.lists[name][1] or {}).items()
            self._answering[name] = {
                path: names(line, self.new.get(path, b"")) for path, line in lines
            }
        return self._answering[name]

    def namesake(self, path: str) -> str:
        """Return another certificate that a bind itself names and that shares names with one; empty: none."""
        others = (each for each in sorted(self.new) if each != path and self.named(each))
        mine = names(path, self.new.get(path, b""))
        return next((each for each in others if mine & names(each, self.new[each])), "")

    def concerns(self, path: str) -> bool:
        """Tell whether a file is a certificate, a part of one, or a list of them."""
        return path in self.uses.lists or self.certificate_of(path) is not None


def plan_certificates(draft: PlanBuilder, known: Certificates, changed: Iterable[str]) -> None:
    """Plan for the changed files that `known.concerns`: all of them, or a reload."""
    paths = sorted(changed)
    if paths and not known.uses.known:
        draft.reload(f"{paths[0]}: it changed, and 'crt-base' hides its name")
        return
    steps = PlanBuilder()
    touched = {known.certificate_of(path) for path in paths if path not in known.uses.lists}
    for name in [path for path in paths if path in known.uses.lists]:
        touched |= _plan_list(steps, known, name)
    for path in sorted(path for path in touched if path is not None):
        _plan_certificate(steps, known, path)
    if not steps.reasons:
        _plan_order(steps, known)
    draft.merge(steps)


def _plan_list(draft: PlanBuilder, known: Certificates, name: str) -> set[str | None]:
    """Plan lines that come and go; return their certificates."""
    old, new = known.lists[name]
    if name not in known.old or name not in known.new or old is None or new is None:
        draft.reload(f"{name}: it is new, gone, or names a certificate twice")
        return set()
    if list(old)[:1] != list(new)[:1]:
        # The first answers clients that ask for no known name, and cannot be taken out.
        draft.reload(f"{name}: the first certificate, which serves unknown names, is another")
        return set()
    changed = [path for path in new if path in old and old[path] != new[path]]
    odd = [path for path, line in new.items() if not line.isprintable()]
    if changed or odd:
        draft.reload(f"{name}: the line of {(changed or odd)[0]} changed")
        return set()
    come = {path: line for path, line in new.items() if path not in old}
    gone = [path for path in old if path not in new]
    draft.do(Phase.ROUTE, *(ListCertificate(name, path, line) for path, line in come.items()))
    draft.do(Phase.UNROUTE, *(UnlistCertificate(name, path) for path in gone))
    return {*come, *gone}


def _plan_order(draft: PlanBuilder, known: Certificates) -> None:
    """Plan that of several certificates with one name the first in the list answers in the end.

    The others are loaded again as they are, which puts them behind it; all answer meanwhile.
    """
    loaded = [step for step in draft.finish().steps if isinstance(step, SetCertificate)]
    renewed = [step.path for step in loaded if not step.new]
    again: list[str] = []
    for name in known.lists:
        again += _misplaced(known, name, [*renewed, *again])
    for path in again:
        set_certificate(draft, known, path, new=False)
    # Each list has an order of its own, and what is loaded again is the last in all of them.
    wrong = [name for name in known.lists if again and _misplaced(known, name, [*renewed, *again])]
    if wrong:
        draft.reload(f"{wrong[0]}: certificates of several lists share names")
    for path in filter(known.named, renewed):
        if other := known.namesake(path):
            draft.reload(f"{path}: it shares names with {other}, which would answer in its place")


def _misplaced(known: Certificates, name: str, last: Sequence[str]) -> list[str]:
    """Return the certificates of a list that would answer before one that stands above them, if those of
    `last` were the last to be loaded."""
    old, new = known.lists[name]
    if old is None or new is None:
        return []
    stays = [path for path in old if path in new]
    come = [path for path in new if path not in old]
    return certificate_order.misplaced(known.answering(name), [*stays, *come, *last])


def _plan_certificate(draft: PlanBuilder, known: Certificates, path: str) -> None:
    before, after = known.loaded(path, False), known.loaded(path, True)
    if not after:
        if known.named(path):
            draft.reload(f"{path}: the certificate is gone")
        else:
            draft.do(Phase.RETIRE, DropCertificate(path))
    elif not before and known.named(path):
        draft.reload(f"{path}: the certificate is new")
    elif not before or (_parts(known.old, path) != _parts(known.new, path)):
        set_certificate(draft, known, path, new=not before)


def set_certificate(draft: PlanBuilder, known: Certificates, path: str, *, new: bool) -> None:
    """Plan to load a certificate as it stands in the new files."""
    if why := _unfit(known, path):
        draft.reload(f"{path}: {why}")
    else:
        step = SetCertificate(path, _sent(known.new, path), new)
        draft.do(Phase.ADD if new else Phase.RAISE, step)


def _parts(files: Mapping[str, bytes], path: str) -> dict[str, bytes]:
    return {e: files[f"{path}{e}"] for e in ("", *BESIDE) if f"{path}{e}" in files}


def _sent(files: Mapping[str, bytes], path: str) -> tuple[CertificatePart, ...]:
    found = _parts(files, path)
    return tuple(
        CertificatePart(f"{path}{ending}", blocks(found[ending]))
        for ending in ("", *_SETTABLE)
        if ending in found
    )


def _unfit(known: Certificates, path: str) -> str:
    """Return why a certificate cannot be set over the runtime API; empty: it can."""
    old, new = _parts(known.old, path), _parts(known.new, path)
    if "" not in new:
        return "its file is missing"
    beside = [ending for ending in BESIDE if ending not in _SETTABLE]
    if any(old.get(ending) != new.get(ending) for ending in beside) or old.keys() - new.keys():
        return "HAProxy reads what stands beside it only when it starts"
    if not _PATH.fullmatch(path):
        return "its name cannot be written into a command"
    if not all(0 < len(part.pem) <= known.payload_bytes for part in _sent(known.new, path)):
        return "it is no PEM, or too long for a command"
    return ""


def blocks(data: bytes) -> str:
    """Return the PEM blocks of a file; an empty line between them would end the command."""
    text = data.decode("ascii", errors="replace").replace("\r", "")
    found = (re.sub(r"\n[ \t]*(?=\n)", "", block) for block in _BLOCK.findall(text))
    return "".join(f"{block}\n" for block in found)


def fingerprint(data: bytes) -> str:
    """Return the SHA-1 of a file's first certificate as `show ssl cert` prints it; empty: none."""
    for block in _BLOCK.findall(data.decode("ascii", errors="replace")):
        lines = block.split("\n")
        if "BEGIN CERTIFICATE" in lines[0]:
            try:
                der = base64.b64decode("".join(lines[1:-1]), validate=False)
            except binascii.Error:
                return ""
            return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
    return ""
