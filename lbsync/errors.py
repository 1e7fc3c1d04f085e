"""What can go wrong, named by what the caller must do about it.

Every error that leaves a door (`lbsync.clients`) is one of these, chained to its cause with
`from`. The message is one sentence for an operator: it names the key, field or file and the cure.
Exit codes stand beside the errors so that scripts can tell the kinds apart.
"""

import errno
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every `lbsync` command."""

    OK = 0
    """Done; for `agent --once`: unchanged, the desired state was already confirmed."""
    FAILED = 1
    """An unforeseen fault; the message or the traceback says which."""
    USAGE = 2
    """The command line is wrong (argparse's own code)."""
    CHANGED = 3
    """`agent --once` applied a change; `diff` and `render --diff` found one."""
    SETTINGS = 4
    """Settings or templates are wrong; nothing was started."""
    REJECTED = 5
    """Input was refused: a key, a template's output, or `haproxy -c` said no."""
    UNAVAILABLE = 6
    """The source (etcd, file) or HAProxy's socket does not answer."""
    APPLY_FAILED = 7
    """Valid, but HAProxy did not take it; the last good generation is back in place."""
    CONFLICT = 8
    """Another agent holds this host's lock, or a guarded write lost its race."""
    UNVERIFIED = 9
    """Not there yet: a reload must wait, or (`wait`) not every host has verified the revision in time."""
    DEPLOYMENT_FAILED = 10
    """A deployment failed before the new version got any traffic."""
    ROLLED_BACK = 11
    """A deployment was rolled back: the old version has its traffic again."""
    CANCELLED = 12
    """Somebody cancelled a deployment."""


class LbsyncError(Exception):
    """Root of all errors that lbsync raises on purpose."""

    exit_code = Exit.FAILED


class SettingsError(LbsyncError):
    """Raised when settings are wrong. Carries every problem found, not only the first."""

    exit_code = Exit.SETTINGS

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class TemplateError(LbsyncError):
    """Raised when a template cannot be loaded or rendered; names the template and the line."""

    exit_code = Exit.SETTINGS


class TooCostly(TemplateError):
    """Raised when a template takes more time or memory than it may."""


class ItemTooCostly(TooCostly):
    """Raised when one of many items takes too much; concerns that alone."""


class Unavailable(LbsyncError):
    """Raised when something outside does not answer: keep serving, back off, try again."""

    exit_code = Exit.UNAVAILABLE


class Denied(Unavailable):
    """Raised when something is there, but this user lacks the right to use it."""


class Rejected(LbsyncError):
    """Raised when input is refused: keep the last good version, wait for new input."""

    exit_code = Exit.REJECTED


class ManyRejected(Rejected):
    """Raised when input is refused for several reasons. Carries all of them."""

    def __init__(self, so: str, problems: list[str]) -> None:
        """`so`: what that means, as in "nothing was written"."""
        super().__init__(f"{so}: {'; '.join(problems)}")
        self.so = so
        self.problems = problems


class BadKey(Rejected):
    """Raised when one key's value is refused; concerns that key alone."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class ItemsRefused(Rejected):
    """Raised when some of many services cannot be printed; concerns those alone."""

    def __init__(self, reasons: dict[str, str], *, costly: bool = False) -> None:
        """`reasons`: service (`ns/name`) to a sentence. `costly`: to try them takes long."""
        super().__init__("; ".join(reasons.values()))
        self.reasons = reasons
        self.costly = costly


class ApplyFailed(LbsyncError):
    """Raised when HAProxy did not take a valid configuration: roll back, retry later."""

    exit_code = Exit.APPLY_FAILED


class Conflict(LbsyncError):
    """Raised when a lock is held elsewhere or a compare-and-swap lost: re-read, decide anew."""

    exit_code = Exit.CONFLICT


class Stuck(LbsyncError):
    """Raised when a part of this process does not work any more, and only a new process can: end at once."""


class Superseded(Conflict):
    """Raised when this process lost its place to another one: end at once, and write nothing more."""


_DISK_CURES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room on that disk: a quota is used up",
    errno.EROFS: "mount that disk for writing",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EIO: "the disk fails: see the kernel's log",
    **dict.fromkeys(
        (errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
        "something else is in its place: move that away",
    ),
}


def cannot(
    done: str, error: OSError, otherwise: str = "give this user the right to write there"
) -> str:
    """Return what cannot be done to a file ("be written"), why, and what helps: where it is the disk's fault something
    else than `otherwise`."""
    cure = _DISK_CURES.get(error.errno or 0, otherwise)
    return f"cannot {done} ({error.strerror or error}); {cure}"
