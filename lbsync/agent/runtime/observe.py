"""What a HAProxy runs, read over its runtime API; nothing is judged here."""

import hashlib
import re
from collections.abc import Iterable, Mapping

import msgspec

from lbsync import measure
from lbsync.agent.runtime.changes import certificate_order
from lbsync.agent.runtime.changes.certificates import Certificates
from lbsync.agent.runtime.changes.maps import Lookup
from lbsync.agent.runtime.changes.server_words import sendable
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.clients.haproxy import answers, sni
from lbsync.clients.haproxy.answers import Frontend, ServerLimit, ServerState
from lbsync.clients.haproxy.sockets import WorkerSocket

_FRONTENDS, _BACKENDS, _SERVERS = (f"show stat -1 {kind} -1" for kind in (1, 2, 4))
"""Of all proxies the frontends, the backends, or the servers alone (management guide, 9.3)."""
_NAMES = "show backend"
_TRUST = ("ca-file", "crl-file")
_FILENAME = re.compile(r"^Filename: ", re.MULTILINE)
_FINGERPRINTS = re.compile(
    r"^Filename: (.*)\n(?:(?!Filename: ).*\n)*?SHA1 FingerPrint: (.*)$", re.M
)


class ObservedState(msgspec.Struct, frozen=True, eq=False):
    """What was read. What was not asked for is absent and is not compared."""

    servers: list[ServerState]
    counts: Mapping[str, int] = {}
    """Map or list file to its number of entries."""
    entries: Mapping[str, tuple[tuple[str, str], ...]] = {}
    """Map or list file to its content, in HAProxy's order."""
    fingerprints: Mapping[str, str] = {}
    """Certificate to the SHA-1 of what is loaded; empty: it is not."""
    listed: Mapping[str, tuple[str, ...]] = {}
    """crt-list to its certificates, in HAProxy's order."""
    answering: Mapping[str, tuple[tuple[str, ...], ...]] = {}
    """Name to the certificates that have it, the one that answers first, for each bind; empty: not asked for."""
    raw: Mapping[str, str] = {}
    """Map or list file to HAProxy's answer, of those in `entries`."""
    info: Mapping[str, str] = {}
    """`show info`."""
    frontends: tuple[Frontend, ...] = ()
    limits: Mapping[tuple[str, str], ServerLimit] = {}
    """Backend and server to limits that commands can set."""
    with_cookies: frozenset[str] = frozenset()
    """The proxies whose servers' cookies are in `limits`."""
    backends: frozenset[str] | None = None
    """The backends there are; None: not asked for."""
    unpublished: frozenset[str] | None = None
    """Those of them that no request may be led to; None: not asked for."""
    trust: Mapping[str, str] = {}
    """File of authorities, or of certificates they took back, to a digest of what HAProxy shows of it."""
    only: frozenset[str] | None = None
    """The backends whose servers were read; None: all."""


@measure.timed("read_back")
def observe(
    worker: WorkerSocket,
    running: RuntimeConfig,
    *,
    contents: Iterable[str] | None = None,
    certificates: bool = True,
    backends: bool = False,
    names: bool = False,
    only: frozenset[str] | None = None,
) -> ObservedState:
    """Read the servers, the sizes of all maps and lists, the content of some, the certificates.

    `contents`: the maps and lists to read whole; None: all. A file of unexpected size is always read
    whole. `backends`: also which backends there are. `names`: also which certificate answers for which name
    (from 3.2 on), where several have one. `only`: of these the servers; None: of all. Raises
    `Unavailable`.
    """
    there = answers.parse_backends(worker.run([_NAMES])) if backends else None
    servers = worker.show_servers() if only is None else worker.servers_of(sorted(only))
    known = {path: use for path, use in running.lookups.items() if use is not None}
    counts = _counts(worker, known)
    wanted = set(known if contents is None else contents) & counts.keys()
    wanted |= {path for path, count in counts.items() if count != len(running.entries(path))}
    raw = {path: worker.run([f"show {known[path].kind} {path}"]) for path in sorted(wanted)}
    # Parsing the entries costs ten times as much as asking: skip what was right before.
    raw = {path: text for path, text in raw.items() if running.found_right.get(path) != text}
    entries = {path: _content(text, known[path]) for path, text in raw.items()}
    if not certificates:
        return ObservedState(servers, counts, entries, raw=raw, backends=there, only=only)
    with_cookies = _with_cookies(running)
    return ObservedState(
        servers,
        counts,
        entries,
        _fingerprints(worker, running.certificates()),
        {name: _listed(worker, name) for name in sorted(running.uses.lists)},
        _answering(worker) if names and _share_names(running) else {},
        raw,
        worker.show_info(),
        tuple(answers.parse_frontends(worker.run([_FRONTENDS]))),
        answers.parse_limits(worker.run([_SERVERS]), with_cookies),
        with_cookies,
        there,
        answers.parse_unpublished(worker.run([_BACKENDS])) if backends else None,
        _trust(worker),
        only,
    )


def _counts(worker: WorkerSocket, known: Mapping[str, Lookup]) -> dict[str, int]:
    counts = {}
    for kind in sorted({use.kind for use in known.values()}):
        for state in answers.parse_maps(worker.run([f"show {kind}"])):
            if state.file in known and known[state.file].kind == kind:
                counts[state.file] = state.entries
    return counts


def _content(answer: str, use: Lookup) -> tuple[tuple[str, str], ...]:
    """`show map` gives a pointer, the key, the rest of the line as the value."""
    rows = (line.partition(" ")[2] for line in answer.split("\n") if line)
    if use.kind == "acl":
        return tuple((row, "") for row in rows)
    cut = (row.partition(" ") for row in rows)
    return tuple((key, value) for key, _, value in cut)


def _fingerprints(worker: WorkerSocket, paths: Iterable[str]) -> dict[str, str]:
    found = dict.fromkeys(paths, "")
    for batch in worker.batches([f"show ssl cert {path}" for path in sorted(found)]):
        found.update(_FINGERPRINTS.findall(worker.run(batch)))
    return found


def _share_names(running: RuntimeConfig) -> bool:
    """Tell whether several certificates of a list have one name, so that their order matters."""
    known = Certificates(running.uses, running.files, running.files)
    return any(certificate_order.shared(known.answering(name)) for name in known.lists)


def _answering(worker: WorkerSocket) -> dict[str, tuple[tuple[str, ...], ...]]:
    binds: dict[tuple[str, str], dict[str, None]] = {}
    for row in sni.parse(worker.run(["show ssl sni"])):
        binds.setdefault((row.name, row.bind), {})[row.file] = None
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for (name, _), files in binds.items():
        found[name] = (*found.get(name, ()), tuple(files))
    return found


def _with_cookies(running: RuntimeConfig) -> frozenset[str]:
    """Return the proxies in which clients may come back to a server by a cookie."""
    found = set()
    for (kind, name), section in running.sections.by_name.items():
        if kind in ("backend", "listen"):
            base = running.sections.base(section)
            if "cookie" in section.text or (base is not None and "cookie" in base.text):
                found.add(name)
    return frozenset(found)


def _trust(worker: WorkerSocket) -> dict[str, str]:
    """Return a digest of all that HAProxy shows of each file, but whether anything uses it."""
    found = {}
    for kind in _TRUST:
        listed = worker.run([f"show ssl {kind}"]).split("\n")
        names = [
            line.partition(" - ")[0] for line in listed if line and not line.startswith(("#", "*"))
        ]
        commands = [
            f"show ssl {kind} {name}" for name in names if sendable(name) and " " not in name
        ]
        for batch in worker.batches(commands):
            for part in _FILENAME.split(worker.run(batch))[1:]:
                name, _, rest = part.partition("\n")
                told = "\n".join(
                    line for line in rest.split("\n") if not line.startswith("Status:")
                )
                found[name] = hashlib.sha256(told.strip().encode()).hexdigest()
    return found


def _listed(worker: WorkerSocket, name: str) -> tuple[str, ...]:
    lines = worker.run([f"show ssl crt-list {name}"]).split("\n")
    return tuple(line.split(" ", 1)[0] for line in lines if line and not line.startswith("#"))
