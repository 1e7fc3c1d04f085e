"""What may be printed as it stands, and what may not: the three kinds of text in a template.

* A plain `str` is data. It is quoted when it is printed.
* `Quoted` is configuration: the output of macros, set blocks, `each`, and of the quoting filters.
* `Literal` is a string that the template's author wrote inside an expression. Among plain strings
  it is one of them; next to `Quoted` text, or printed on its own, it is configuration.

Joining the three never turns data into configuration without quotes.
"""

from collections.abc import Iterable, Sequence
from typing import NoReturn

from jinja2 import Undefined

from lbsync.agent.render.quoting import Encoder
from lbsync.errors import BadKey, Rejected

_TAKE_APART = (
    "text that is quoted already cannot be taken apart; change the value before it is printed"
)


class Quoted(str):
    """Text that is configuration already. Only whole pieces of it can be used."""

    __slots__ = ()

    def __getitem__(self, key: object) -> NoReturn:
        raise TypeError(_TAKE_APART)

    def __add__(self, other: object) -> NoReturn:
        raise TypeError("quoted text is joined by the template's own + and ~ only")

    __radd__ = __mod__ = __mul__ = __rmul__ = __add__


class Literal(Quoted):
    """A string written in the template, where its author decides what it is."""

    __slots__ = ()

    def __getitem__(self, key: object) -> str:  # type: ignore[override]
        return str(self)[key]  # type: ignore[index]


class Stored(str):
    """Data that remembers the key it was read from, so that a refusal can name it."""

    __slots__ = ("key",)

    key: str

    def __new__(cls, text: str, key: str) -> "Stored":
        """Return `text`, read from `key`."""
        made = super().__new__(cls, text)
        made.key = key
        return made


def quoted_concat(parts: Iterable[str]) -> Quoted:
    """Join pieces that were all printed, hence quoted, before."""
    return Quoted("".join(parts))


class Printer:
    """Turns any value of an expression into what the template prints, by one output's rules."""

    def __init__(self, encode: Encoder) -> None:
        self.encode = encode
        self._texts: set[type] = set()
        """Kinds of text that are data, such as names of servers."""

    def __call__(self, value: object) -> str:
        """Return the printed form of `value`.

        Raises `Rejected` for a value that cannot be written, `TypeError` for what is no text and
        no number, and `jinja2.UndefinedError` for a name that does not exist.
        """
        kind = type(value)
        if kind is str or kind in self._texts:
            return self.encode(str.__str__(value))
        if kind is Quoted or kind is Literal:
            return value  # type: ignore[return-value]
        if kind is int:
            return int.__repr__(value)
        return self._other(value)

    def _other(self, value: object) -> str:
        if isinstance(value, Undefined):
            return str(value)  # StrictUndefined raises here, naming what is missing
        if isinstance(value, bool):
            raise TypeError(f"a truth value ({value}) cannot be printed; write {{{{ 'on' if … }}}}")
        if isinstance(value, Stored):
            return self._stored(value)
        if isinstance(value, str):
            self._texts.add(type(value))
            return self.encode(str.__str__(value))
        if isinstance(value, int):
            return int.__repr__(value)
        if isinstance(value, float):
            if value - value != 0:
                raise Rejected(f"the number {value} has no written form")
            return repr(value)
        shown = "None" if value is None else f"a {type(value).__name__}"
        raise TypeError(f"{shown} cannot be printed; print a text or a number")

    def _stored(self, value: Stored) -> str:
        try:
            return self.encode(str.__str__(value))
        except Rejected as error:
            raise BadKey(value.key, str(error)) from error

    def join(self, parts: Sequence[object]) -> str:
        """Join `parts` as `~` does: all data gives data; beside quoted text, data is quoted."""
        if any(type(part) is Quoted for part in parts):
            return Quoted("".join([self(part) for part in parts]))
        return "".join([plain(part) for part in parts])


def plain(value: object) -> str:
    """Return `value`, text or number, as a plain string that is still to be quoted."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Undefined):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = "None" if value is None else f"a {type(value).__name__}"
        raise TypeError(f"{shown} is neither text nor number")
    return repr(value) if isinstance(value, float) else int.__repr__(value)
