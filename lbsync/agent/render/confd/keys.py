"""The store's keys as confd's templates read them: `getv`, `gets`, `ls` and their kin.

Keys are shown without the prefix and start with "/". They are put in order once per snapshot, and
only when a template asks; `getv` is one look-up.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

import msgspec

from lbsync.agent.render.confd import gopath
from lbsync.agent.render.text import Stored
from lbsync.errors import BadKey, Rejected
from lbsync.schema.keys import TRANSIENT

#: The functions that need a snapshot.
NAMES = ("exists", "get", "getv", "gets", "getvs", "ls", "lsdir")


class Pair(msgspec.Struct, frozen=True):
    """One key and its value; both answer to confd's capital names as well."""

    key: str
    value: str

    @property
    def Key(self) -> str:
        """The whole key, without the prefix."""
        return self.key

    @property
    def Value(self) -> str:
        """The value as text."""
        return self.value


class Keys:
    """All keys and values of one snapshot. Raises `BadKey` for a value that is not UTF-8."""

    def __init__(self, raw: Mapping[str, bytes]) -> None:
        self._raw = raw
        self._values: dict[str, bytes] | None = None
        self._order: list[str] | None = None

    def functions(self) -> dict[str, Callable[..., object]]:
        """Return the functions by the names that templates use."""
        return {name: getattr(self, name) for name in NAMES}

    def exists(self, key: str) -> bool:
        """Tell whether `key` itself is there; a "directory" is not."""
        return str.__str__(key) in self._index()

    def get(self, key: str) -> Pair:
        """Return the pair at `key`. Raises `Rejected` when it is absent."""
        return Pair(str.__str__(key), self.getv(key))

    def getv(self, key: str, default: str | None = None) -> str:
        """Return the value at `key`, or `default` when the key is absent (not when it is empty)."""
        path = str.__str__(key)
        value = self._index().get(path)
        if value is not None:
            return self._text(path, value)
        if default is not None:
            return default
        hint = "" if path.startswith("/") else "; keys start with '/'"
        if path.lstrip("/").partition("/")[0] in TRANSIENT:
            raise Rejected(f"{path!r} is what lbsync itself writes; templates do not see it")
        raise Rejected(f"there is no key {path!r}; write it, or give getv a default{hint}")

    def gets(self, pattern: str) -> list[Pair]:
        """Return the pairs whose whole key matches `pattern` (Go's path.Match), sorted by key.

        No match is an empty list. Raises ValueError for a bad pattern.
        """
        values = self._index()
        return [Pair(key, self._text(key, values[key])) for key in self._matching(pattern)]

    def getvs(self, pattern: str) -> list[str]:
        """Return the values whose key matches `pattern`, sorted by value, duplicates kept."""
        return sorted(pair.value for pair in self.gets(pattern))

    def ls(self, path: str) -> list[str]:
        """Return the names of the direct children of `path`, sorted; its own if it is a leaf."""
        names = {name.rstrip("/") for name in self._children(path)}
        if str.__str__(path) in self._index():
            names.add(gopath.base(path))
        return sorted(names)

    def lsdir(self, path: str) -> list[str]:
        """Return the names of those direct children of `path` that have children."""
        return sorted({name.rstrip("/") for name in self._children(path) if name.endswith("/")})

    def _children(self, path: str) -> Iterator[str]:
        """Yield the names of direct children, with a slash behind where they have children."""
        order = self._ordered()
        stem = gopath.clean(path).rstrip("/") + "/"
        at = bisect_left(order, stem)
        while at < len(order) and order[at].startswith(stem):
            name, slash, _ = order[at][len(stem) :].partition("/")
            if name:
                yield name + slash
            # Jump over all that lies below the child: "0" is the character after "/".
            at = bisect_left(order, f"{stem}{name}0", at) if slash else at + 1

    def _matching(self, pattern: str) -> Iterator[str]:
        pattern = str.__str__(pattern)
        stem = gopath.literal_prefix(pattern)
        # What is left is often the same for many patterns: "/svc/a/*", "/svc/b/*".
        matches = gopath.matcher(pattern[len(stem) :])
        order = self._ordered()
        at = bisect_left(order, stem)
        while at < len(order) and order[at].startswith(stem):
            if matches(order[at][len(stem) :]):
                yield order[at]
            at += 1

    def _ordered(self) -> list[str]:
        if self._order is None:
            self._order = sorted(self._index())
        return self._order

    def _index(self) -> dict[str, bytes]:
        if self._values is None:
            values: dict[str, bytes] = {}
            for key, value in self._raw.items():
                path = "/" + key.removeprefix("/")
                if "//" in path or "/." in path or path.endswith("/"):
                    path = gopath.clean(path)
                if path in values:
                    raise BadKey(key, f"is {path} when cleaned, as another key is; remove one")
                values[path] = value
            self._values = values
        return self._values

    @staticmethod
    def _text(path: str, value: bytes) -> str:
        try:
            return Stored(value.decode(), path)
        except UnicodeDecodeError as error:
            raise BadKey(
                path, f"the value is not UTF-8 at byte {error.start}; rewrite it"
            ) from error
