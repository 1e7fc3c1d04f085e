"""What the owner of an object is told: refusals and warnings, each with its cure."""

import re

import msgspec

from lbsync.errors import Rejected

MAX_NOTICES = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def one_line(text: str) -> str:
    """Return `text` as one line of valid UTF-8, so that a log and a record can hold it."""
    return _CONTROL.sub(" ", text.encode("utf-8", "backslashreplace").decode())


class Notice(msgspec.Struct, frozen=True, order=True):
    """Something that its owner should know; the object is published all the same."""

    object: str
    """Kind and name, like `Service shop/cart`."""
    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.object}: {self.reason}; {self.cure}"


class Refusal(msgspec.Struct, frozen=True, order=True):
    """Why an object is not published: nothing of it, rather than half of it."""

    object: str
    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.object}: {self.reason}; {self.cure}"


class Refused(Rejected):
    """Raised inside translation where a Service cannot be published; ends as a `Refusal`."""

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason}; {cure}")
        self.reason = one_line(reason)
        self.cure = one_line(cure)


class Report:
    """Collects the notices of one translation: each once, and never without end."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._found: dict[Notice, None] = {}

    def warn(self, reason: str, cure: str, subject: str = "") -> None:
        """Note something about `subject`, or about the object that the report is of."""
        notice = Notice(one_line(subject or self.subject), one_line(reason), one_line(cure))
        self._found.setdefault(notice)

    def notices(self) -> tuple[Notice, ...]:
        """Return what was found, sorted; beyond `MAX_NOTICES` only how many more there are."""
        found = sorted(self._found)
        more = len(found) - MAX_NOTICES
        if more > 0:
            found[MAX_NOTICES:] = [
                Notice(self.subject, f"there are {more} more warnings", "cure those shown first")
            ]
        return tuple(found)


def shown(text: str, limit: int = 80) -> str:
    """Return `text` quoted, without control characters and of bounded length, for a sentence."""
    return repr(text[:limit] + "…" if len(text) > limit else text)
