"""Naming a rendered set by its content, and writing that name where HAProxy reports it.

`show info` prints the `description` of the `global` section. With the digest in it, anyone can ask
a running HAProxy which generation it serves.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping

from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.section_kinds import KINDS
from lbsync.errors import TemplateError
from lbsync.model.rendered import Rendered, RenderedFile

#: Stands where the digest will be, until it is known. Nobody can guess it and write it into a value, where it
#: would be replaced like any other.
STAND_IN = f"@lbsync-digest-{secrets.token_hex(16)}@"

_DIGITS = 16
_TOKEN = STAND_IN.encode()
#: What counts in its place: the digest is the same in every process.
_PLACE = b"@lbsync-digest@"
_SECTION = re.compile(rf"^[ \t]*({'|'.join(sorted(KINDS))})(?=[\s#]|$)".encode(), re.MULTILINE)
_DESCRIPTION = re.compile(rb"^[ \t]*description(?=[ \t])", re.MULTILINE)


def seal(
    files: Mapping[str, bytes],
    modes: Mapping[str, int] | None = None,
    apart: frozenset[str] = frozenset(),
) -> Rendered:
    """Return `files` as one set with its digest, written into `haproxy.cfg`.

    `modes` gives permission bits by path; 0o644 where it says nothing. Files in `apart` do not count
    for the digest: they say how this host is, not the desired state of it. A template may print
    `{{ digest }}` itself; else the digest becomes the first word of the `description` in `global`,
    line and section being added where missing. Raises `TemplateError` without a `haproxy.cfg`.
    """
    if MAIN_FILE not in files:
        raise TemplateError(f"no output writes {MAIN_FILE}; name one with that path")
    described = {**files, MAIN_FILE: describe(files[MAIN_FILE])}
    digest = _digest({path: data for path, data in described.items() if path not in apart})
    written = digest.encode()
    return Rendered(
        digest,
        tuple(
            RenderedFile(
                path, described[path].replace(_TOKEN, written), (modes or {}).get(path, 0o644)
            )
            for path in sorted(described)
        ),
    )


def _digest(files: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for path in sorted(files):
        # Lengths first, so that no two sets share one byte stream.
        data = files[path].replace(_TOKEN, _PLACE)
        total.update(b"%d %d\n" % (len(path.encode()), len(data)))
        total.update(path.encode())
        total.update(data)
    return total.hexdigest()[:_DIGITS]


def _global_sections(config: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the body of each `global` section begins and ends.

    Looks for the word first: matching every line of ten thousand backends would take longer than
    all the rest of naming them.
    """
    at = config.find(b"global")
    while at >= 0:
        line = config.rfind(b"\n", 0, at) + 1
        section = _SECTION.match(config, line)
        if section is not None and section[1] == b"global" and section.start(1) == at:
            following = _SECTION.search(config, section.end())
            yield section.end(), following.start() if following else len(config)
        at = config.find(b"global", at + 1)


def describe(config: bytes) -> bytes:
    """Return `config` with the stand-in in the `description` of its `global` section."""
    spans = list(_global_sections(config))
    if not spans:
        return b"global\n    description %s\n\n" % _TOKEN + config
    lines = [found for span in spans for found in _DESCRIPTION.finditer(config, *span)]
    if not lines:
        at = config.find(b"\n", spans[0][0]) + 1 or len(config)
        return config[:at] + b"    description %s\n" % _TOKEN + config[at:]
    # HAProxy keeps the last one.
    last = lines[-1]
    end = config.find(b"\n", last.end())
    if _TOKEN in config[last.end() : end if end >= 0 else len(config)]:
        return config
    return config[: last.end()] + b" " + _TOKEN + config[last.end() :]
