"""Functions of Go's own library (strings, strconv, arithmetic) that confd's templates call.

Each has Go's order of arguments and its result, where Python's nearest would give another one.
"""

import base64
import binascii
import re

from lbsync.agent.render.confd.arguments import data, refusal, whole

_WHOLE = re.compile(r"[+-]?[0-9]+").fullmatch
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_MOST = 100_000
"""Longest sequence; the sandbox's own limit for `range`."""


def split(value: str, separator: str) -> list[str]:
    """Split at each separator; into characters when it is empty. (Go: strings.Split)"""
    text = data(value)
    return text.split(data(separator)) if separator else list(text)


def replace(value: str, old: str, new: str, count: int = -1) -> str:
    """Replace the first `count` occurrences; all for -1, none for 0. (Go: strings.Replace)"""
    return data(value).replace(data(old), data(new), count)


def atoi(value: str) -> int:
    """Return the whole number written in `value`: sign and digits, no spaces, 64 bits."""
    text = data(value)
    number = int(text) if len(text) <= 20 and _WHOLE(text) else None
    if number is None or not -(2**63) <= number < 2**63:
        raise refusal(value, f"{text[:40]!r} is no whole number")
    return number


def parse_bool(value: str) -> bool:
    """Return the truth value written in `value`, as Go's strconv.ParseBool reads it."""
    text = data(value)
    if text not in _TRUE | _FALSE:
        raise refusal(value, f"{text[:40]!r} is no truth value; write true or false")
    return text in _TRUE


def seq(first: int, last: int) -> list[int]:
    """Return the numbers from `first` to `last`, both included; none when `first` is greater."""
    numbers = range(whole(first), whole(last) + 1)
    if len(numbers) > _MOST:
        raise ValueError(f"seq of {len(numbers)} numbers; at most {_MOST}")
    return list(numbers)


def div(dividend: int, divisor: int) -> int:
    """Divide, rounding towards zero as Go does."""
    quotient = abs(whole(dividend)) // abs(whole(divisor))
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def mod(dividend: int, divisor: int) -> int:
    """Return the remainder, which has the dividend's sign as in Go."""
    return dividend - divisor * div(dividend, divisor)


def base64_decode(value: str) -> str:
    """Return the text that `value` encodes. Raises `Rejected` (`BadKey`) when it does not."""
    try:
        return base64.b64decode(data(value), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise refusal(value, "no base64 of UTF-8 text") from error
