"""From the command line to an exit code: parse, run, and report errors in one sentence."""

import gc
import os
import signal
import sys
from collections.abc import Sequence

from lbsync.cli.parser import parse
from lbsync.cli.terminal import OutputLost, Terminal
from lbsync.errors import LbsyncError, ManyRejected, SettingsError
from lbsync.log.stream import LogStream

#: Commands that run until they are ended, and take SIGHUP as a request.
_SERVICES = frozenset({"agent", "publish", "console"})
_MOST_PROBLEMS = 100
#: New objects until a search for garbage, and of each generation until one of the next: to load modules and to
#: compile templates makes hundreds of thousands that stay, and a short command none that need to go.
_GC_THRESHOLDS = (20_000, 20, 50)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (see `lbsync.errors.Exit`)."""
    gc.set_threshold(*_GC_THRESHOLDS)
    _open_closed_streams()
    _await_hangups(sys.argv[1:] if argv is None else argv)
    args = parse(argv)
    try:
        code = int(args.run(args))
        Terminal().flush()
        return code
    except OutputLost as error:
        # What could not be written is not tried again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _complain(error)
        return int(error.exit_code)
    except LbsyncError as error:
        _complain(error)
        return int(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output (`| head`) has enough. Nothing may be flushed into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _open_closed_streams() -> None:
    """Have somewhere to write to, where whoever started us has closed it (`>&-`): else the next file or socket
    that is opened would get that number, and what we say would go there."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def _await_hangups(words: Sequence[str]) -> None:
    """Keep SIGHUP waiting until the loop can take it, which lets it through again.

    Unhandled it would end a service that was told to read its settings while it still began.
    """
    if not _SERVICES.isdisjoint(words):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def _complain(error: LbsyncError) -> None:
    terminal = Terminal(sys.stderr)
    # sd-daemon(3): without a priority, `journalctl -p err` would not show why a service ended.
    priority = "<3>" if LogStream(sys.stderr).is_journal() else ""
    first, *more = _told(error)
    terminal.line(f"{priority}{terminal.paint('lbsync:', 'red')} {first}")
    for line in more:
        terminal.line(f"{priority}  {line}")


def _told(error: LbsyncError) -> list[str]:
    """Return the lines that say what went wrong."""
    if isinstance(error, SettingsError) and len(error.problems) > 1:
        return [f"{len(error.problems)} settings are wrong:", *error.problems]
    if isinstance(error, ManyRejected) and len(error.problems) > 1:
        more = len(error.problems) - _MOST_PROBLEMS
        return [
            f"{error.so}, as {len(error.problems)} things are wrong:",
            *error.problems[:_MOST_PROBLEMS],
            *([f"and {more} more"] if more > 0 else []),
        ]
    return [str(error)]
