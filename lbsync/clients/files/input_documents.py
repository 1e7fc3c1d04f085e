"""Documents that somebody hands over to be written: a directory, a file, or standard input.

A document holds keys and their values, as the source `file:FILE` has them; a file of a directory is such a
document, too, or the value of the key that its path names, as in `file:DIRECTORY`. What is wrong with one
file is noted, and the others are read all the same: whoever mends them wants to know all of it.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from lbsync.clients.files.contents import YAML, parse_yaml, to_value
from lbsync.clients.files.document import pairs
from lbsync.clients.files.tree import Tree
from lbsync.errors import Rejected
from lbsync.schema import reading
from lbsync.schema.keys import parse_key

_MOST_BYTES = 256 << 20
"""Of one file: ten thousand services have about a tenth of it."""
_PARTS = {"service", "endpoints", "route"}
_STDIN = "standard input"
_SHAPE = "a document holds keys and their values, like `services/shop/cart: {mode: http}`"


class InputDocuments(msgspec.Struct):
    """What was read."""

    values: dict[str, bytes] = msgspec.field(default_factory=dict)
    """Key to value, as JSON."""
    problems: list[str] = msgspec.field(default_factory=list)
    """A sentence for each file or key that cannot be used."""
    places: dict[str, str] = msgspec.field(default_factory=dict)
    """Key to the file that holds it."""

    def add(self, key: str, value: bytes, place: str) -> None:
        """Take in a key, or note that another file holds it already."""
        if key in self.places:
            self.problems.append(
                f"{place}: {key} is in {self.places[key]}, too; keep one of them"
                if place != self.places[key]
                else f"{place}: {key} is given twice; keep one of them"
            )
            return
        self.values[key], self.places[key] = value, place


def read(name: str) -> InputDocuments:
    """Read a directory, a file, or standard input (`-`). Raises `Rejected` if there is nothing to read,
    `Unavailable` for a directory that cannot be looked through."""
    found = InputDocuments()
    path = Path(name)
    if name == "-":
        _take_document(found, _STDIN, standard_input())
    elif path.is_dir():
        for key, file in sorted(Tree(path).files()):
            _take_file(found, key, file)
    else:
        _take_document(found, name, bytes_of(name))
    return found


def _take_file(found: InputDocuments, key: str, file: str) -> None:
    try:
        data = bytes_of(file)
        parsed = _parsed(data, file)
    except (Rejected, ValueError) as error:
        wrong = str(error).removeprefix(f"{file}: ")
        if _is_key(key) or file.endswith((".json", *YAML)):
            found.problems.append(f"{file}: {wrong}")
        return
    if any(each and _is_document(each) for each in parsed):
        _take_documents(found, file, parsed)
    elif _is_key(key):
        _take_value(found, key, parsed, file)
    elif file.endswith((".json", *YAML)) and parsed not in ([], [None], [{}]):
        found.problems.append(f"{file}: {_why_no_key(key, parsed)}")


def _take_document(found: InputDocuments, place: str, data: bytes) -> None:
    try:
        _take_documents(found, place, _parsed(data, place))
    except ValueError as error:
        found.problems.append(f"{place}: {error}")


def _take_documents(found: InputDocuments, place: str, parsed: list[Any]) -> None:
    """Take in the documents of one file, of which YAML may have several."""
    for each in parsed:
        if each is None:
            continue
        if not _is_document(each):
            found.problems.append(f"{place}: {_why_no_document(each)}")
            continue
        try:
            for key, value in pairs(each):
                _take_value(found, key, [value], place)
        except ValueError as error:
            found.problems.append(f"{place}: {error}")


def _take_value(found: InputDocuments, key: str, parsed: list[Any], place: str) -> None:
    if len(parsed) != 1:
        found.problems.append(f"{place}: {key} has {len(parsed)} values; keep one of them")
        return
    try:
        found.add(key, to_value(parsed[0]), place)
    except ValueError as error:
        found.problems.append(f"{place}: {key}: {error}")


def _is_document(parsed: Any) -> bool:
    """Tell whether this holds keys: all have a "/", which no field of a record has."""
    return isinstance(parsed, Mapping) and all(
        isinstance(name, str) and "/" in name for name in parsed
    )


def _is_key(key: str) -> bool:
    try:
        return parse_key(key) is not None
    except ValueError:
        return False


def _why_no_key(key: str, parsed: list[Any]) -> str:
    try:
        parse_key(key)
    except ValueError as error:
        return str(error)
    return _why_no_document(parsed[0])


def _why_no_document(parsed: Any) -> str:
    names = parsed.keys() if isinstance(parsed, Mapping) else set()
    if (_PARTS & names or "mode" in names) and not any("/" in str(name) for name in names):
        return (
            "it is the document of one service, without its name: "
            "'lbsync service put NAMESPACE/NAME -f FILE' takes it"
        )
    if isinstance(parsed, Mapping):
        odd = next(name for name in parsed if not isinstance(name, str) or "/" not in name)
        return f"{str(odd)[:80]!r} is no key; {_SHAPE}"
    return f"it is no object; {_SHAPE}"


def _parsed(data: bytes, place: str) -> list[Any]:
    """Return the documents that the bytes hold. Raises `ValueError`."""
    if place.endswith(".json"):
        return [reading.strict(data)]
    if data.lstrip()[:1] == b"{":
        try:  # a tenth of the time
            return [reading.strict(data)]
        except reading.Unreadable as error:
            if "given twice" in str(error):
                raise
    found = list(_each_yaml(data))
    return [each for each in found if each is not None] if len(found) > 1 else found


def _each_yaml(data: bytes) -> Iterator[Any]:
    """Yield what each document of a YAML stream means; `---` begins one. Raises `ValueError`."""
    lines, start = data.splitlines(keepends=True) if b"---" in data else [data], 0
    ends = [n for n, line in enumerate(lines) if line.rstrip() == b"---" or line[:4] == b"--- "]
    for end in [*ends, len(lines)]:
        if text := b"".join(lines[start:end]).removeprefix(b"---"):
            try:
                yield parse_yaml(text)
            except ValueError as error:
                after = f" (counted from line {start + 1})" if start else ""
                raise ValueError(f"{error}{after}") from error
        start = end


def standard_input() -> bytes:
    """Return all that comes there. Raises `Rejected`."""
    if sys.stdin is None:  # as after `<&-`
        raise Rejected(f"{_STDIN} is closed; name a file")
    return _all_of(sys.stdin.buffer, _STDIN)


def bytes_of(name: str) -> bytes:
    """Return what a file holds, or with `-` standard input. Raises `Rejected`."""
    if name == "-":
        return standard_input()
    try:
        with Path(name).open("rb") as file:
            return _all_of(file, name)
    except OSError as error:
        raise Rejected(f"{name}: cannot be read: {error.strerror}") from error


def _all_of(file: IO[bytes], name: str) -> bytes:
    """Read to the end. Raises `Rejected` for more than anybody writes."""
    data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise Rejected(f"{name}: it has more than {_MOST_BYTES >> 20} MiB; hand it over in parts")
    return data
