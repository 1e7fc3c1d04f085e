"""The log: one event a line on standard error, for people on a terminal, JSON otherwise.

The first words of a line are a sentence; what a program may want to pick out comes as fields. Under
systemd they are an entry of the journal, with its priority. Logging never raises.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO, cast

from lbsync.backoff import Backoff
from lbsync.deferred import Deferred
from lbsync.log.journal import SOCKET, Journal
from lbsync.log.stream import LogStream, harmless

if TYPE_CHECKING:
    import structlog

    Logger = structlog.typing.FilteringBoundLogger
else:
    # 0.1 s, and most commands log nothing. As much again, and 5 MB, are tracebacks in colours, which are not used.
    structlog = Deferred("structlog", without=("rich", "better_exceptions"))

#: Seconds between the first two reminders of a lasting failure, and the longest pause between two.
FIRST_REMINDER = 2.0
LAST_REMINDER = 60.0
#: Levels in the words of syslog(3), as the journal keeps them.
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
Beside = Callable[[Mapping[str, object], int], None]
"""Takes an event and its priority; neither blocks nor raises."""
#: How many different messages of one failure are remembered as said.
_KNOWN_MESSAGES = 16
#: Of a message that is the same with other figures: `tried again in 4 min`.
_FIGURES = re.compile(r"(?<![\w/.:-])\d+(?![\w-])")


class _Foreign(logging.Handler):
    """Hands what libraries log to the same output, so that there is one format."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get().bind(logger=record.name)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def setup(
    level: str = "info",
    style: str = "auto",
    stream: TextIO | None = None,
    *,
    journal: str = SOCKET,
    beside: Beside | None = None,
) -> None:
    """Configure the log of this process; called once by a command, again after SIGHUP.

    `level`: `debug`, `info`, `warning` or `error`. `style`: `console`, `json`, or `auto` (`gelf` is the same
    here): console where `stream` (standard error) is a terminal or the journal. Colours only on a terminal.
    `journal`: journald's socket. `beside`: gets each event with its priority; only warnings and worse are
    written then.
    """
    output = LogStream(stream or sys.stderr)
    is_terminal = _is_terminal(stream or sys.stderr)
    is_journal = output.is_journal()
    console = style == "console" or (style in ("auto", "gelf") and (is_terminal or is_journal))
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        _harmless,
    ]
    if not (console and is_journal):  # which has a time of its own
        shared.insert(2, structlog.processors.TimeStamper(fmt="iso", utc=True))
    if beside is not None:
        shared.append(_to(beside))
    rendering = _console(colours=is_terminal) if console else _json()
    if is_journal:
        rendering = _prioritized(rendering)
    if console and is_journal:
        shared.append(_to_journal(Journal(journal)))
    structlog.configure(
        processors=[*shared, rendering],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # It only ever calls write and flush.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, output)),
        cache_logger_on_first_use=False,
    )
    # Libraries only get a word in when something is wrong, whatever our own level is.
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[_Foreign()], force=True)
    logging.captureWarnings(True)


def _is_terminal(stream: TextIO | None) -> bool:
    """Tell whether people read this stream as it is written; one that was closed is none."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _harmless(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape what a terminal would obey; a traceback keeps its lines."""
    return {
        harmless(str(name)): harmless(value, line_ends=name == "exception")
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def _prioritized(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """Render with the priority that the journal reads before each line: sd-daemon(3)."""

    def prioritized(logger: Any, method: str, event: structlog.typing.EventDict) -> str:
        priority = priority_of(event)
        text = str(render(logger, method, event))
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines())

    return prioritized


def _to(beside: Beside) -> structlog.typing.Processor:
    """Hand the event over, and write it only where it is a warning or worse."""

    def handed(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        priority = priority_of(event)
        beside(event, priority)
        if priority > _PRIORITIES["warning"]:
            raise structlog.DropEvent
        return event

    return handed


def _to_journal(journal: Journal) -> structlog.typing.Processor:
    """Send the event as an entry of its own; where that cannot be done, it is written as a line."""

    def sent(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if journal.send(event, priority_of(event)):
            raise structlog.DropEvent
        return event

    return sent


def priority_of(event: Mapping[str, object]) -> int:
    """Return the priority of an event, as syslog(3) counts: 3 is an error, 6 is information."""
    return _PRIORITIES.get(str(event.get("level")), _PRIORITIES["info"])


@contextlib.contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Give all lines of this thread these fields meanwhile."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def _console(*, colours: bool) -> structlog.typing.Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colours,
        exception_formatter=structlog.dev.plain_traceback,
        pad_event_to=0,
    )


def _json() -> structlog.typing.Processor:
    return structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False)


def get() -> Logger:
    """Return the logger; it follows later calls of `setup`."""
    log: Logger = structlog.get_logger()
    return log


class OnChange:
    """Tells what was not said before, so that a fault found again and again is logged once."""

    def __init__(self, most: int = 1000) -> None:
        """`most`: how many subjects are remembered; the one said longest ago makes room."""
        self._most = most
        self._said: dict[Hashable, str] = {}

    def is_new(self, subject: Hashable, text: str = "") -> bool:
        """Tell whether `text` is not what was last said of the subject; it counts as said then."""
        is_new = self._said.pop(subject, None) != text
        self._said[subject] = text
        if len(self._said) > self._most:
            del self._said[next(iter(self._said))]
        return is_new

    def keep(self, subjects: Collection[Hashable]) -> set[Hashable]:
        """Forget all others, and return them: if they come back, they are news."""
        gone = self._said.keys() - set(subjects)
        for subject in gone:
            del self._said[subject]
        return gone


class Failing:
    """Turns a lasting failure into a few lines instead of a flood.

    The first failure is logged at once, and so is each message not heard before while it lasts.
    Reminders follow after 2 s, 4 s, 8 s … and then each minute; one line tells of the recovery.
    """

    def __init__(
        self,
        fails: str,
        works: str,
        *,
        clock: Callable[[], float] = time.time,
        reminders: tuple[float, float] = (FIRST_REMINDER, LAST_REMINDER),
        level: int = logging.WARNING,
        each_message: bool = True,
    ) -> None:
        """`fails` and `works` begin the lines: "the pass fails", "the pass works again".

        `clock` gives seconds since 1970; `reminders`: seconds until the first, and at the most between
        two; `level`: of what tells of the failure; `each_message`: whether one that was not heard before is
        told before a reminder is due.
        """
        self._level = level
        self._each_message = each_message
        self._fails = fails
        self._works = works
        self._clock = clock
        self._said: set[str] = set()
        self._count = 0
        self._next = 0.0
        self._reminders = Backoff(*reminders)
        self._pause = 0.0
        self.since: float | None = None
        """When the present failure began, as the clock counts; None while all is well."""
        self.error = ""
        """The last message of the present failure; empty while all is well."""
        self._first: dict[str, float] = {}
        self.began: float | None = None
        """When the last message was first heard in the present failure; None while all is well. One
        failure may follow on another without a moment between them in which all is well."""

    def failed(self, error: str, **fields: Any) -> None:
        """Take note of a failure; log it when it is news or a reminder is due."""
        now = self._clock()
        self._count += 1
        self.error = error
        self.began = self._first.setdefault(_FIGURES.sub("", error), now)
        if len(self._first) > _KNOWN_MESSAGES:
            del self._first[next(iter(self._first))]
        if self.since is None:
            self.since = now
            self._reminders.reset()
            self._pause = self._reminders.pause()
            self._next = now + self._pause
            self._said = {error}
            get().log(self._level, f"{self._fails}: {error}", **fields)
            return
        known = self._said if self._each_message else {error}
        is_news = error not in known and len(known) < _KNOWN_MESSAGES
        if is_news or now >= self._next:
            self._said.add(error)
            if not is_news:
                self._pause = self._reminders.pause()
            self._next = now + self._pause
            get().log(
                self._level,
                f"{self._fails} since {span(now - self.since)}: {error}",
                tries=self._count,
                **fields,
            )

    def recovered(self, **fields: Any) -> None:
        """Take note that all is well; log it if it was not."""
        if self.since is None:
            return
        lasted = self._clock() - self.since
        get().info(f"{self._works} after {span(lasted)}", tries=self._count, **fields)
        self.since, self.error, self._count = None, "", 0
        self.began, self._first = None, {}


def span(seconds: float) -> str:
    """Return a time span for people: `4 s`, `12 min`, `3 h`."""
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
