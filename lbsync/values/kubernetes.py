"""The small values that Kubernetes objects are made of, as its API server validates them.

`parse` of each class returns a valid value or raises ValueError with the cure, as in
`lbsync.values.names`. The rules are those of apimachinery's `validation` package and of the API
reference; what breaks one of them would be refused by the API server, later and in its own words.
"""

import re
from typing import NamedTuple

from lbsync.values.names import MAX_TEXT, string_of

MAX_APP = 52
"""Characters of an app's name. With `-` and a version of ten digits it is a label's value, which holds 63."""

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_QUANTITY = re.compile(
    r"[0-9]{1,15}(?:\.[0-9]{1,9})?(?:[numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]{1,2})?\Z"
)
_NAME_PART = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
# The grammar of github.com/distribution/reference, which every container runtime reads images by.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?"
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<name>(?:(?:{_HOST}|\[[0-9a-fA-F:]+\](?::[0-9]+)?)/)?{_PATH}(?:/{_PATH})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,128}))?\Z"
)
MAX_IMAGE = 512


class AppName(str):
    """The name of an app: of its Service, and the beginning of its Deployments' names.

    A Service's name is a label of RFC 1035: it begins with a letter.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "AppName":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a name")
        if not re.fullmatch(rf"[a-z](?:[-a-z0-9]{{0,{MAX_APP - 2}}}[a-z0-9])?", text):
            raise ValueError(
                f"{text[:80]!r} cannot name an app: at most {MAX_APP} lower-case letters, digits and -, "
                "beginning with a letter and ending with a letter or digit"
            )
        return cls(text)


class Namespace(str):
    """The name of a namespace: a label of RFC 1123."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Namespace":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a namespace")
        if not re.fullmatch(_LABEL, text):
            raise ValueError(
                f"{text[:80]!r} cannot name a namespace: at most 63 lower-case letters, digits and -, "
                "beginning and ending with a letter or digit"
            )
        return cls(text)


class ObjectName(str):
    """The name of a Secret, a ServiceAccount and most other objects: a subdomain of RFC 1123."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "ObjectName":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a name")
        if len(text) > 253 or not _SUBDOMAIN.match(text):
            raise ValueError(
                f"{text[:80]!r} cannot name a Kubernetes object: at most 253 lower-case letters, digits, - "
                "and ., each part beginning and ending with a letter or digit"
            )
        return cls(text)


class SecretKey(str):
    """A key within a Secret."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "SecretKey":
        """Return the key. Raises ValueError."""
        text = string_of(raw, "a key")
        if not re.fullmatch(r"[-._A-Za-z0-9]{1,253}", text) or text in (".", ".."):
            raise ValueError(
                f"{text[:80]!r} is no key of a Secret: letters, digits and - _ . only, at most 253"
            )
        return cls(text)


class EnvironmentName(str):
    """The name of an environment variable that a container may have."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "EnvironmentName":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a name")
        if not re.fullmatch(r"[-._A-Za-z][-._A-Za-z0-9]{0,252}", text) or text in (".", ".."):
            raise ValueError(
                f"{text[:80]!r} is no name of a variable: letters, digits and _ - ., not beginning with a digit"
            )
        return cls(text)


class Quantity(str):
    """An amount of a resource: `100m`, `0.5`, `128Mi`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Quantity":
        """Return the amount as text; a number needs no quotes. Raises ValueError."""
        is_number = isinstance(raw, int | float) and not isinstance(raw, bool)
        text = str(raw) if is_number else string_of(raw, "an amount")
        if not _QUANTITY.match(text):
            raise ValueError(f"{text[:80]!r} is no amount: write one like 250m, 2 or 128Mi")
        return cls(text)


class LabelName(str):
    """The name of a label, an annotation, or a resource: `team`, `example.com/team`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "LabelName":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a name")
        prefix, slash, name = text.rpartition("/")
        is_prefix = not slash or (len(prefix) <= 253 and _SUBDOMAIN.match(prefix))
        if not is_prefix or not re.fullmatch(_NAME_PART, name):
            raise ValueError(f"{text[:80]!r} is no name: write one like team or example.com/team")
        return cls(text)


class ImageParts(NamedTuple):
    """An image, taken apart."""

    name: str
    tag: str
    """"" where there is none."""
    digest: str
    """`sha256:…`, or ""."""


class Image(str):
    """An image: `registry.example.com/shop/cart:1.7`, or with a digest."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Image":
        """Return the image. Raises ValueError."""
        text = string_of(raw, "an image")
        if len(text) > MAX_IMAGE or not _IMAGE.match(text):
            raise ValueError(
                f"{text[:80]!r} is no image: write one like registry.example.com/shop/cart:1.7, in lower case "
                "up to the tag"
            )
        return cls(text)

    @property
    def parts(self) -> ImageParts:
        """Name, tag and digest."""
        found = _IMAGE.match(self)
        name, tag, digest = found.group("name", "tag", "digest") if found else (self, "", "")
        return ImageParts(name, tag or "", digest or "")


class Words(str):
    """One argument of a command, or the value of a variable: any text without NUL."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Words":
        """Return the text. Raises ValueError."""
        if isinstance(raw, bool | int | float):
            raise ValueError(f"it is {str(raw).lower()}, not a text: put it in quotes")
        text = string_of(raw, "a text")
        if len(text) > 16 * MAX_TEXT:
            raise ValueError(f"it has {len(text)} characters: at most {16 * MAX_TEXT}")
        if "\0" in text:
            raise ValueError("it holds a NUL character: take it out")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(
                "it holds half a surrogate pair, which is no text: take it out"
            ) from None
        return cls(text)
