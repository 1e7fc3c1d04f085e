"""The values settings are made of, each valid by construction.

`parse` takes what TOML, an environment variable or a flag gave and returns the value, or raises
ValueError with a sentence that says what is wrong and what would be right.
"""

import re
import shlex
from pathlib import Path

_DURATION = re.compile(r"([1-9][0-9]{0,9})(ms|s|m|h|d)\Z")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# HAProxy keeps timeouts in signed 32-bit milliseconds (configuration manual 2.5).
_MAX_MS = 2**31 - 1
NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?\Z")
"""What can stand in a key of the store."""
HOST_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
"""One label of a host name. `_` is not allowed in DNS host names, but occurs in private networks."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def text_of(raw: object, what: str) -> str:
    """Return `raw` when it is a string on one line. Raises ValueError naming `what`."""
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is no {what}: write it as a string in quotes")
    if _CONTROL.search(raw):
        raise ValueError(f"{raw[:80]!r} holds a control character: take it out")
    return raw


def milliseconds(raw: object) -> int | None:
    """Return what a number with its unit (`500ms`, `2s`, `1d`) stands for; None for everything else."""
    match = _DURATION.match(raw) if isinstance(raw, str) else None
    return int(match[1]) * _UNIT_MS[match[2]] if match else None


class Duration(int):
    """A time span in whole milliseconds, written `50ms`, `2s`, `5m`, `1h`, `1d` everywhere."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Duration":
        """Return the span. A bare number is refused: its unit would be a guess."""
        value = milliseconds(raw)
        if value is None:
            raise ValueError(
                f"{raw!r} is no duration: write a number with its unit, like 50ms, 2s or 5m"
            )
        if value > _MAX_MS:
            raise ValueError(f"{raw!r} is longer than HAProxy can keep: at most 24d")
        return cls(value)

    @property
    def seconds(self) -> float:
        """The span as the clocks of Python count it."""
        return self / 1000

    def __str__(self) -> str:
        """The shortest exact form, as HAProxy and `parse` read it."""
        for unit in ("d", "h", "m", "s"):
            if self and self % _UNIT_MS[unit] == 0:
                return f"{self // _UNIT_MS[unit]}{unit}"
        return f"{int(self)}ms"


class Pause(Duration):
    """A time span that may be nothing at all: `0`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Pause":
        """Return the span; 0 needs no unit."""
        if raw in ("0", "0ms", "0s") or (raw == 0 and not isinstance(raw, bool)):
            return cls(0)
        return cls(super().parse(raw))

    def __str__(self) -> str:
        """As `parse` reads it."""
        return super().__str__() if self else "0"


class Name(str):
    """A name that can stand in a key of the store."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Name":
        """Return a name that can stand in a key. Raises `ValueError` with the rule."""
        text = text_of(raw, "name")
        if not NAME.match(text):
            raise ValueError(
                f"{text[:80]!r} cannot stand in a key: at most 63 lower-case letters, digits, - and "
                "., beginning and ending with a letter or digit"
            )
        return cls(text)


class LabelValue(str):
    """A label and the value it must have: `role=lb`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "LabelValue":
        """Return the pair as written."""
        text = text_of(raw, "label")
        if not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9_./]*=[-A-Za-z0-9_.]*", text):
            raise ValueError(f"{text[:80]!r} is no label with its value: write one like role=lb")
        return cls(text)

    @property
    def pair(self) -> tuple[str, str]:
        """Label and value."""
        label, _, value = self.partition("=")
        return label, value


class FilePath(str):
    """A path; a relative one in the settings file begins at that file's directory."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "FilePath":
        """Return the path as written."""
        text = text_of(raw, "path")
        if not text:
            raise ValueError("it is empty: write a path")
        return cls(text)

    def anchored(self, base: Path) -> "FilePath":
        """Return it absolute; a relative one begins at `base`."""
        return FilePath(base / self)


class SourceSpec(str):
    """Where the wanted state comes from: `etcd`, or `file:PATH`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "SourceSpec":
        """Return it as written."""
        text = text_of(raw, "source")
        if text != "etcd" and not (text.startswith("file:") and len(text) > len("file:")):
            path = text if "/" in text and "://" not in text else "PATH"
            raise ValueError(f"{text!r} is no source: write etcd, or file:{path}")
        return cls(text)

    @property
    def path(self) -> str | None:
        """The path of a file source; None for etcd."""
        return self[len("file:") :] if self.startswith("file:") else None

    def anchored(self, base: Path) -> "SourceSpec":
        """Return it with an absolute path; a relative one begins at `base`."""
        return self if self.path is None else SourceSpec(f"file:{base / self.path}")


class Prefix(str):
    """What all keys begin with; always begins and ends with a slash."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Prefix":
        """Return the prefix, with its trailing slash."""
        text = text_of(raw, "prefix")
        if not re.fullmatch(r"/[!-~]*", text) or "//" in text:
            raise ValueError(
                f"{text!r} is no prefix: it begins with / and holds no spaces, like /lbsync/"
            )
        return cls(text if text.endswith("/") else f"{text}/")


class Program(FilePath):
    """A program: a path, or a bare name that is looked up in PATH."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Program":
        """Return the path or name as written."""
        return cls(FilePath.parse(raw))

    def anchored(self, base: Path) -> "Program":
        """Return it absolute, but a bare name as it is."""
        return Program(base / self) if "/" in self else self


class Command(tuple[str, ...]):
    """A program and its arguments; no shell is run. Empty: none."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Command":
        """Take a list of words, or one line that is split by the shell's quoting rules."""
        if isinstance(raw, str):
            try:
                words = shlex.split(text_of(raw, "command"))
            except ValueError as error:
                raise ValueError(f"{raw!r} is no command: {error}") from None
            return cls(words)
        if isinstance(raw, (list, tuple)) and all(isinstance(word, str) for word in raw):
            if any("\x00" in word for word in raw):
                raise ValueError("a word of the command holds a NUL character: take it out")
            return cls(raw)
        raise ValueError(f"{raw!r} is no command: write a list of strings, or one string")


class FileMode(int):
    """Permission bits, written as an octal string: `"0644"`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "FileMode":
        """Return the bits. A number is refused: 644 without quotes would be decimal."""
        if not isinstance(raw, str) or not re.fullmatch(r"0?[0-7]{3}", raw):
            raise ValueError(f'{raw!r} is no file mode: write it as an octal string, like "0640"')
        return cls(int(raw, 8))

    def __str__(self) -> str:
        """Four octal digits."""
        return f"{int(self):04o}"


class MediaType(str):
    """A media type: `text/html`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "MediaType":
        """Return the type in lower case."""
        text = text_of(raw, "media type").lower()
        if not re.fullmatch(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}", text):
            raise ValueError(f"{text[:80]!r} is no media type: write one like text/html")
        return cls(text)


class HostName(str):
    """The name of this host in the keys it writes."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "HostName":
        """Return the name in lower case; empty stands for the system's own name."""
        text = text_of(raw, "host name").lower()
        if text and not NAME.match(text):
            raise ValueError(
                f"{text[:80]!r} is no name for this host: at most 63 letters, digits, - and ., "
                "beginning and ending with a letter or digit; set host"
            )
        return cls(text)
