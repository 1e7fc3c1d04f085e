"""Whether the agent that wrote a status is still there to stand by it."""

import os
from pathlib import Path

from lbsync.log import span
from lbsync.status import Status

_STOPPED = {
    "T": "is stopped (SIGSTOP): 'kill -CONT {pid}' lets it go on, or 'systemctl restart lbsync-agent'",
    "t": "is stopped by a debugger (gdb, strace), which has to let it go on",
}
"""By the state of a process as proc(5) has it in /proc/PID/stat."""


def doubt(status: Status, now: float) -> str:
    """Return why the record can no longer be believed; empty when it can.

    `now`: seconds since 1970. The agent is dead or stopped when its process is, or silent when it has
    not written for three times as long as it promised.
    """
    age = now - status.written_at
    written = f"the status was written {span(age)} ago"
    agent = f"the agent (process {status.pid})"
    if not is_running(status):
        return f"the agent is not running (process {status.pid} is gone); {written}"
    if stopped := _STOPPED.get(_state(status)):
        return f"{agent} {stopped.format(pid=status.pid)}; {written}"
    if status.outdated:
        return (
            f"{agent} cannot write its status, as on a full disk or a read-only file system; see its "
            f"log; {written}"
        )
    if status.every and age > 3 * status.every:
        return f"{agent} is silent; {written}"
    return ""


def is_running(status: Status) -> bool:
    """Tell whether the agent's process lives and looks like ours, in case its number was given anew."""
    if not _is_seen(status):
        return True  # its silence will tell
    try:
        os.kill(status.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, and alive
    try:
        command = Path(f"/proc/{status.pid}/cmdline").read_bytes()
    except OSError:
        return True  # /proc hides the processes of others (hidepid)
    # An ended process that nobody has waited for (Z) has an empty command line.
    return b"lbsync" in command


def pid_namespace() -> str:
    """Return which numbering of processes this process lives in; empty if /proc is missing."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _is_seen(status: Status) -> bool:
    return status.pid_namespace == pid_namespace()


def _state(status: Status) -> str:
    """Return the letter for the state of the agent's process; empty if it cannot be seen from here."""
    if not _is_seen(status):
        return ""
    try:
        fields = Path(f"/proc/{status.pid}/stat").read_bytes()
    except OSError:
        return ""
    # The name before it stands in brackets, and may have brackets and blanks in it.
    return fields.rpartition(b") ")[2][:1].decode("ascii", "replace")
