"""Which worker answers, and what it serves: two lines of `show info`."""

import re

from lbsync.errors import Unavailable

_IDENTITY = re.compile(r"^(Pid|description):[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def parse_identity(answer: str) -> dict[str, str]:
    """Read of `show info` only what tells one worker from another: `Pid` and `description`.

    It is asked before every change made at once, and all seventy lines take ten times as long. Raises
    `Unavailable` when it is something else.
    """
    found = dict(_IDENTITY.findall(answer))
    if "Pid" not in found:
        raise Unavailable(f"'show info' answered something else: {answer[:200]!r}")
    return found


def reports_digest(info: dict[str, str], digest: str) -> bool:
    """Tell whether the worker that gave this `show info` serves the generation `digest`."""
    return digest in info.get("description", "").split()
