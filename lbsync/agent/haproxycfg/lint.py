"""Rules for a configuration in addition to `haproxy -c`. Pure.

Each rule covers something that HAProxy accepts and that then silently fails, or serves incorrectly
(all measured on 2.6 to 3.4).
"""

from collections.abc import Iterator, Mapping

import msgspec

from lbsync.agent.file_names import BACKEND_MAPS, MAIN_FILE
from lbsync.agent.haproxycfg.config import Config, Placed
from lbsync.agent.haproxycfg.parser import Bind


class Finding(msgspec.Struct, frozen=True):
    """Why a configuration is refused, and where."""

    file: str
    """Relative to the generation's directory; empty if there is no place."""
    line: int
    """Counted from 1; 0 if there is none."""
    section: str
    """Name of the section at fault (`be_shop`), or its kind where it has no name; for a map the
    value of the line; empty if none can be told."""
    text: str
    """One sentence: HAProxy's own, or ours with the cure."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        section = f" ({self.section})" if self.section else ""
        return f"{place}{section}: {self.text}" if place else f"{self.text}{section}"


def unplaced(text: str) -> Finding:
    """Return a finding that names no place in a file."""
    return Finding("", 0, "", text)


def broken(
    files: Mapping[str, bytes],
    config: Config,
    digest: str,
    backend_maps: frozenset[str] = BACKEND_MAPS,
) -> Iterator[Finding]:
    """Yield every rule that a rendered set breaks.

    `files` is path to content, `config` the parsed `haproxy.cfg` among them, `digest` the set's
    name, which the running HAProxy must be able to report.
    """
    yield from _ending(files[MAIN_FILE])
    yield from _description(config, digest)
    yield from _listeners(config)
    yield from _duplicate_binds(config)
    yield from _bases(config)
    yield from _referenced_files(config, files)
    names = config.backend_names()
    for path in sorted(backend_maps & files.keys()):
        yield from _map_values(path, files[path], names)


def _ending(main: bytes) -> Iterator[Finding]:
    if not main.endswith(b"\n"):
        line = main.count(b"\n") + 1
        yield Finding(MAIN_FILE, line, "", "the last line has no line feed, so HAProxy refuses it")


def _description(config: Config, digest: str) -> Iterator[Finding]:
    descriptions = [placed.section.description for placed in config.of("global")]
    if not any(digest in description.split() for description in descriptions):
        yield Finding(
            MAIN_FILE,
            0,
            "global",
            f"no 'description {digest}' in 'global', so a reload could not be proved; "
            "let the template print the digest there",
        )


def _listeners(config: Config) -> Iterator[Finding]:
    if not any(True for _ in config.binds()):
        yield Finding(
            MAIN_FILE,
            0,
            "",
            "no frontend listens anywhere; HAProxy would reload and serve nothing: add a 'bind'",
        )


def _duplicate_binds(config: Config) -> Iterator[Finding]:
    seen: dict[tuple[str, str, int, str], tuple[Placed, Bind]] = {}
    for placed, bind in config.binds():
        if bind.kind == "other" or placed.section.conditional:
            continue
        place = (bind.kind, bind.address, bind.port, bind.apart)
        first, first_bind = seen.setdefault(place, (placed, bind))
        if first_bind is not bind:
            yield Finding(
                MAIN_FILE,
                placed.line + bind.line,
                placed.section.name,
                f"{_address(bind)} is bound already by {first.section.kind} "
                f"'{first.section.name}' (line {first.line + first_bind.line}); they would share connections at random",
            )


def _address(bind: Bind) -> str:
    if bind.kind == "unix":
        return bind.address
    return f"[{bind.address}]:{bind.port}" if ":" in bind.address else f"{bind.address}:{bind.port}"


def _bases(config: Config) -> Iterator[Finding]:
    """HAProxy refuses it, too, but once for each section, and none of their services is at fault."""
    above: dict[str, int] = {}
    for placed in config.of("defaults"):
        above.setdefault(placed.section.name, placed.line)
    for name, placed in config.overview.first_users.items():
        section = placed.section
        if above.get(name, placed.line + 1) > placed.line:
            yield Finding(
                MAIN_FILE,
                placed.line,
                "defaults",
                f"'{section.kind} {section.name}' stands on '{section.inherits}', and no section "
                f"above it is called so: begin one with 'defaults {section.inherits}', or include the "
                "template that prints it (profiles.cfg.j2 prints those of services)",
            )


def _referenced_files(config: Config, files: Mapping[str, bytes]) -> Iterator[Finding]:
    if not any(placed.section.default_path == "config" for placed in config.of("global")):
        return  # relative paths then mean HAProxy's own working directory
    for placed in config.overview.loading_files:
        for path in placed.section.files:
            if not path.startswith("/") and path not in files and "@" not in path:
                line = _line_of(placed, path)
                yield Finding(
                    MAIN_FILE,
                    line,
                    placed.section.name or placed.section.kind,
                    f"names the file {path}, which is not among the rendered files; "
                    "render it too, or give an absolute path",
                )


def _line_of(placed: Placed, text: str) -> int:
    for offset, line in enumerate(placed.section.text.split("\n")):
        if text in line:
            return placed.line + offset
    return placed.line


def _map_values(path: str, data: bytes, names: set[str]) -> Iterator[Finding]:
    lines = data.decode(errors="replace").split("\n")
    if {line.partition(" ")[2] for line in lines if line} <= names:
        return  # written out plainly, as ours are: ten thousand lines take a third of the time
    for number, line in enumerate(lines, 1):
        # First word the key, the rest the value; empty lines and those with # are skipped
        # (measured; configuration manual, section 7.3.1, "map").
        key, _, value = line.strip().partition(" ")
        value = value.strip()
        if key and not key.startswith("#") and value not in names:
            yield Finding(
                path,
                number,
                value,
                f"'{key}' leads to backend '{value}', which does not exist; "
                "HAProxy would answer with its default backend and say nothing",
            )
