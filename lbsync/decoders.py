"""The one place where msgspec is asked for values of a type: decoders, each made once and by one thread at a time.

What msgspec finds out about a class it keeps at the class, where it stands before it is whole: a second thread that
uses the class for the first time meanwhile follows a null pointer, and the process dies (SIGSEGV; measured, 0.22).
Once a decoder is made, any number of threads may use it.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Hook = Callable[[type[Any], Any], Any]
_lock = threading.Lock()
_made: dict[tuple[Any, Hook | None], msgspec.json.Decoder[Any]] = {}


def decoder(kind: type[T], hook: Hook | None = None) -> msgspec.json.Decoder[T]:
    """Return what reads JSON as values of `kind`, a struct or what holds some. `hook`: makes values of classes that
    msgspec does not know; one that lives as long as the process."""
    found = _made.get((kind, hook))
    if found is None:
        with _lock:
            found = _made[kind, hook] = msgspec.json.Decoder(kind, dec_hook=hook)
    return found


def decode(value: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """Return the value that JSON says; raises as `msgspec.json.decode`."""
    return decoder(kind).decode(value)


def convert(value: object, kind: type[T], hook: Hook | None = None) -> T:
    """Return a value made of Python's own types; raises as `msgspec.convert`."""
    decoder(kind)  # for what msgspec finds out about it
    return msgspec.convert(value, kind, dec_hook=hook)
