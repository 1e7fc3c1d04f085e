"""May this staged generation go live? Our own rules and `haproxy -c`, then the new binds.

Everything is checked in its place on disk: relative paths are right there and when it is live,
since the root configuration says `default-path config`.
"""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from lbsync import measure
from lbsync.agent.candidate import bind_probe
from lbsync.agent.candidate.bind_probe import Ports
from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.generations.store import Generation
from lbsync.agent.haproxycfg import lint
from lbsync.agent.haproxycfg.config import Config, Parser
from lbsync.agent.haproxycfg.lexer import variables, words
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.agent.haproxycfg.parser import Bind
from lbsync.clients.haproxy import binary
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import Rejected, Unavailable
from lbsync.model.rendered import Rendered

_SHOWN = 5
_AS_IT_CAME = re.compile(r":\d+(?=\])|\d+(?= milliseconds)")
"""What differs from one warning to the next of its kind: the line, and how long HAProxy 3.4 took to try a
password's hash."""
_NOTHING_CARRIED = ("Can't open global server state file", "Can't load stats")


class ValidConfig(msgspec.Struct, frozen=True):
    """A configuration that may go live."""

    config: Config
    warnings: tuple[str, ...]
    """What `haproxy -c` warned of."""


def alike(warnings: Iterable[str]) -> dict[str, list[str]]:
    """Group warnings that say the same of other lines, or of another time, by what they say."""
    found: dict[str, list[str]] = {}
    for text in warnings:
        found.setdefault(_AS_IT_CAME.sub("", text), []).append(text)
    return found


class Refused(Rejected):
    """Raised when a configuration may not go live. Carries every reason with its place."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        shown = [str(finding) for finding in findings[:_SHOWN]]
        if len(findings) > _SHOWN:
            shown.append(f"and {len(findings) - _SHOWN} more")
        super().__init__("; ".join(shown))
        self.findings = tuple(findings)


class Validation:
    """A staged generation that our own rules accept, while `haproxy -c` is at work on it. Whoever began it asks for
    its `verdict`, or ends it."""

    def __init__(
        self,
        running: binary.RunningCheck,
        timeout: float,
        staged: Generation,
        config: Config,
        taken: Callable[[], Iterable[Finding]],
    ) -> None:
        """Use `begin`. `timeout`: seconds that `haproxy -c` may take; `taken` looks for new binds that it could not
        have."""
        self._running = running
        self._ends_at = time.monotonic() + timeout
        self._timeout = timeout
        self._staged = staged
        self._taken = taken
        self.config = config
        """The parsed configuration."""

    def is_over(self) -> bool:
        """Tell whether `verdict` has nothing to wait for: `haproxy -c` has ended, or taken too long."""
        return self._running.has_ended() or time.monotonic() >= self._ends_at

    def verdict(self) -> ValidConfig:
        """Wait for `haproxy -c`, then look at the new binds. Once only. Raises as `validate` does."""
        try:
            verdict = _verdict(self._running, self._timeout)
        finally:
            self._running.end()
        if verdict.alerts:
            raise Refused([finding(a, self._staged.path, self.config) for a in verdict.alerts])
        if found := list(self._taken()):
            raise Refused(found)
        # Before its first reload a host has no states and no counters to load.
        told = (text.replace(f"{self._staged.path}/", "") for text in verdict.warnings)
        warnings = (text for text in told if not any(words in text for words in _NOTHING_CARRIED))
        return ValidConfig(self.config, tuple(warnings))

    def end(self) -> None:
        """End `haproxy -c`: nobody wants its verdict any more."""
        self._running.end()


def validate(
    staged: Generation,
    rendered: Rendered,
    parser: Parser,
    options: HaproxyOptions,
    *,
    known_binds: Iterable[Bind] = (),
) -> ValidConfig:
    """Return the parsed configuration of a staged generation that may go live; the arguments are those of `begin`.

    Raises `Refused` with all findings of the first of the three steps that has any, and `Unavailable` when
    `haproxy -c` cannot be run or takes too long.
    """
    return begin(staged, rendered, parser, options, known_binds=known_binds).verdict()


def begin(
    staged: Generation,
    rendered: Rendered,
    parser: Parser,
    options: HaproxyOptions,
    *,
    known_binds: Iterable[Bind] = (),
    ports: Callable[[], Ports] = Ports,
) -> Validation:
    """Let `haproxy -c` begin to judge a staged generation, and judge it by our own rules meanwhile.

    `known_binds` are those of the generations that HAProxy may serve now: these are not probed.
    `ports` gives what is known of the host's ports. Raises `Refused` by our own rules, and `Unavailable` when
    `haproxy -c` cannot be run.
    """
    running = binary.begin_check(options.binary, staged.main_file)
    try:
        # Beside it: with ten thousand services either takes half a second, and there may be a second core.
        files = {file.path: file.data for file in rendered.files}
        config = parser.read(files[MAIN_FILE])
        if found := list(lint.broken(files, config, rendered.digest)):
            raise Refused(found)
    except BaseException:
        running.end()
        raise
    known = tuple(known_binds)
    return Validation(
        running,
        options.check_timeout_s,
        staged,
        config,
        lambda: taken_binds(config, known, ports),
    )


def _verdict(running: binary.RunningCheck, timeout: float) -> binary.Check:
    """Wait for the verdict, and count how long HAProxy took."""
    try:
        verdict = running.verdict(timeout)
    except Unavailable:
        measure.observe("haproxy_check", "failed", timeout)
        raise
    measure.observe("haproxy_check", "failed" if verdict.alerts else "ok", verdict.seconds)
    return verdict


def taken_binds(
    config: Config, known: Sequence[Bind], ports: Callable[[], Ports]
) -> Iterator[Finding]:
    """Yield the binds that are new in `config` and that HAProxy could not have to itself."""
    places = {id(bind): placed for placed, bind in config.binds()}
    added = bind_probe.added((bind for _, bind in config.binds()), known)
    if not added:
        return
    # Asked only now: it means a walk through HAProxy's open files.
    now = ports()
    if now.low is None and any(0 < bind.port < now.first_free for bind in known):
        now = msgspec.structs.replace(now, low=True)  # it has one
    for bind in added:
        in_use = now.udp_in_use if bind.kind == "udp" else now.in_use
        if bind.port not in in_use and (reason := bind_probe.obstacle(bind, now)):
            placed = places[id(bind)]
            yield Finding(MAIN_FILE, placed.line + bind.line, placed.section.name, reason)


# "Proxy 'fe': …", "backend 'be_a', another server …", "'server be_a/s1' : …", "in frontend 'fe'"
_NAMED = re.compile(r"(?:[Pp]roxy|[Bb]ackend|[Ff]rontend|[Ll]isten) '([^']+)'|'server ([^/']+)/")


def finding(alert: binary.Alert, directory: Path, config: Config) -> Finding:
    """Lead an alert of HAProxy back to a file of the generation and to a section."""
    file = alert.file.removeprefix(f"{directory}/")
    if file == MAIN_FILE and alert.line and (placed := config.section_at(alert.line)):
        name = placed.section.name or placed.section.kind
        line = placed.section.text.split("\n")[alert.line - placed.line]
        return Finding(file, alert.line, name, f"{_unset(line, config)}{_short(alert, directory)}")
    named = _NAMED.search(alert.text)
    section = (named[1] or named[2]) if named else ""
    return Finding(file, alert.line, section, _short(alert, directory))


def _unset(line: str, config: Config) -> str:
    """Say which variables a refused line names that `haproxy -c` was not given."""
    texts = [
        words(each) for placed in config.of("global") for each in placed.section.text.split("\n")
    ]
    made = {text[1] for text in texts if text[:1] in (["setenv"], ["presetenv"]) and text[1:]}
    # HAPROXY_… are set by HAProxy itself (configuration manual, section 2.4).
    named = sorted(name for name in variables(line) - made if not name.startswith("HAPROXY_"))
    missing = [f"${{{name}}}" for name in named if name not in os.environ]
    if not missing:
        return ""
    return (
        f"names {', '.join(missing)}, which the agent's environment does not have: set it for the "
        "agent as for HAProxy; "
    )


def _short(alert: binary.Alert, directory: Path) -> str:
    """HAProxy's words, without the path of a directory that will be gone when they are read."""
    return alert.text.replace(f"{directory}/", "")
