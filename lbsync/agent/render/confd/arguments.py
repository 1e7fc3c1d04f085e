"""What a function of a template is given: text that is still data, and whose fault a refusal is."""

from lbsync.agent.render.text import Quoted, Stored, plain
from lbsync.errors import BadKey, Rejected


def data(value: object) -> str:
    """Return a text or number as text. Raises TypeError for everything else, and for quoted text."""
    if type(value) is Quoted:
        raise TypeError("text that is quoted already cannot be changed; apply this to the value")
    return plain(value)


def whole(value: object) -> int:
    """Return a whole number of 64 bits, as Go's are. Raises TypeError for everything else, ValueError for a
    larger one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number; use atoi() on texts")
    if not -(2**63) <= value < 2**63:
        raise ValueError("a whole number has 64 bits at most")
    return value


def refusal(value: object, reason: str) -> Rejected:
    """Return what to raise: it blames the key that `value` was read from, as far as it is known."""
    return BadKey(value.key, reason) if isinstance(value, Stored) else Rejected(reason)
