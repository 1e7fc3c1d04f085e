"""The `haproxy` program run by hand: its version, and its opinion of a configuration."""

import functools
import os
import re
import shutil
from pathlib import Path

import msgspec

from lbsync.clients import programs
from lbsync.errors import Unavailable

_VERSION = re.compile(r"version (\d+)\.(\d+)(?:-dev\d+)?(?:\.(\d+))?")
_VERSION_TIMEOUT_S = 10.0
_ELF = b"\x7fELF"
OLDEST = (2, 6, 0)
"""The oldest release that lbsync runs with."""

_ALERT = re.compile(r"^\[ALERT\]\s+\([^)]*\) : (?:config : )?(?P<text>.*)$")
_OTHER = re.compile(r"^\[(?:NOTICE|WARNING|INFO|DIAG)\]|^(?:Warnings|Configuration file) ")
_PLACE = re.compile(
    r"^(?:[Pp]arsing |Binding )?\[(?P<file>[^\]]*):(?P<line>\d+)\]\s*:?\s*(?P<text>.*)$"
)
# What HAProxy says besides the reason, once per file or once in all.
_SUMMARY = re.compile(r"^(?:Error\(s\) found in configuration file|Fatal errors found in config)")


class Alert(msgspec.Struct, frozen=True):
    """One `[ALERT]` of HAProxy, in its own words."""

    file: str
    """Path of the file as HAProxy knows it; empty if it names none."""
    line: int
    """Line in `file`, counted from 1; 0 if HAProxy names none."""
    text: str
    """The reason, without the prefix and the place."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.file else self.text


class Check(msgspec.Struct, frozen=True):
    """The verdict of `haproxy -c`."""

    alerts: tuple[Alert, ...]
    """Why it was refused; empty means accepted."""
    warnings: tuple[str, ...]
    """`[WARNING]` lines, shortened to their text."""
    seconds: float


def version(binary: str) -> tuple[int, int, int]:
    """Return the version of the program, `(2, 6, 12)`. Raises `Unavailable`.

    A program is asked once, until its file is another one. A script is asked each time: what it runs may be
    another program by then.
    """
    identity = _identity(binary)
    return _asked(binary) if identity is None else _known(binary, identity)


def _identity(binary: str) -> tuple[int, ...] | None:
    """Return what changes whenever the file of a program is replaced or written; None if it is no program."""
    try:
        with Path(shutil.which(binary) or binary).open("rb") as file:
            if file.read(len(_ELF)) != _ELF:
                return None
            found = os.fstat(file.fileno())
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@functools.lru_cache(maxsize=8)
def _known(binary: str, _: tuple[int, ...]) -> tuple[int, int, int]:
    return _asked(binary)


def _asked(binary: str) -> tuple[int, int, int]:
    outcome = programs.run([binary, "-v"], _VERSION_TIMEOUT_S)
    found = _VERSION.search(outcome.stdout)
    if outcome.rc != 0 or not found:
        raise Unavailable(f"{binary} -v: not HAProxy: exit code {outcome.rc}: {outcome.said[:200]}")
    major, minor, patch = found.groups()
    return int(major), int(minor), int(patch or 0)


def version_or_oldest(binary: str) -> tuple[int, int, int]:
    """As `version`, but `OLDEST` where there is no such program here: what that understands, all do."""
    try:
        return version(binary)
    except Unavailable:
        return OLDEST


def has_quic(binary: str) -> bool:
    """Tell whether the program can serve HTTP/3. Raises `Unavailable`.

    What is built on a library of TLS without QUIC ("QUIC_OPENSSL_COMPAT") counts as without: HAProxy
    ignores such a `bind` unless told to make do (`limited-quic`).
    """
    features = programs.run([binary, "-vv"], _VERSION_TIMEOUT_S).stdout.split()
    return "+QUIC" in features and "+QUIC_OPENSSL_COMPAT" not in features


def begin_check(binary: str, config: Path) -> "RunningCheck":
    """Let `haproxy -c` begin to judge a configuration file where it stands.

    Something else can be done beside it. Raises `Unavailable` when the program is missing.
    """
    return RunningCheck(programs.start([binary, "-c", "-f", str(config)]), config)


class RunningCheck:
    """A `haproxy -c` at work. Whoever began it asks for its `verdict`, or ends it."""

    def __init__(self, running: programs.Running, config: Path) -> None:
        """Use `begin_check`."""
        self._running = running
        self._config = config

    def has_ended(self) -> bool:
        """Tell whether `verdict` has nothing to wait for. Never blocks."""
        return self._running.has_ended()

    def verdict(self, timeout: float) -> Check:
        """Wait for it, at most until `timeout` seconds after it began. Once only. Raises `Unavailable` when it is
        too slow.

        Accepted is exit code 0 *and* no `[ALERT]`: some releases print an alert and still exit 0
        (3.4.0, invalid backend name; measured). A file without any listener exits 2 without an alert.
        """
        outcome = self._running.outcome(timeout)
        alerts = parse_alerts(outcome.said)
        if outcome.rc != 0 and not alerts:
            last = outcome.said.rsplit("\n", 1)[-1] or "it said nothing"
            alerts = (Alert(str(self._config), 0, f"haproxy -c ended with {outcome.rc}: {last}"),)
        return Check(alerts, parse_warnings(outcome.said), outcome.seconds)

    def end(self) -> None:
        """End it, if it runs yet."""
        self._running.end()


def parse_alerts(output: str) -> tuple[Alert, ...]:
    """Return the alerts in what HAProxy printed: `-c`, its log, or the answer to `reload`.

    The closing summaries are left out unless they are all there is. A line without a prefix
    continues the alert before it.
    """
    reasons: list[str] = []
    in_alert = False
    for line in output.splitlines():
        if found := _ALERT.match(line):
            reasons.append(found["text"].strip())
            in_alert = True
        elif _OTHER.match(line) or not line.strip():
            in_alert = False
        elif in_alert:
            reasons[-1] += " " + line.strip()
    telling = [reason for reason in reasons if not _SUMMARY.match(reason)]
    return tuple(_alert(reason) for reason in telling or reasons)


def _alert(reason: str) -> Alert:
    place = _PLACE.match(reason)
    if place is None:
        return Alert("", 0, reason)
    return Alert(place["file"], int(place["line"]), place["text"])


def parse_warnings(output: str) -> tuple[str, ...]:
    """Return the texts of the `[WARNING]` lines."""
    found = re.findall(r"^\[WARNING\]\s+\([^)]*\) : (?:config : )?(.*)$", output, re.MULTILINE)
    return tuple(text.strip() for text in found)
