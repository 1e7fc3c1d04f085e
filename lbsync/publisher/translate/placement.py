"""Where the servers of a Service are: the annotations that are no fields of its record."""

from collections.abc import Mapping
from typing import Any, Protocol, get_args

import msgspec

from lbsync.publisher.translate.fields import read_switch
from lbsync.publisher.translate.report import Refused, shown
from lbsync.settings.publisher import AddressMode, IpFamily, NodeAddressKind
from lbsync.values.names import is_name


class Placement(msgspec.Struct, frozen=True):
    """What a Service says of its servers; empty or None: it says nothing of that."""

    address_mode: AddressMode | None = None
    port: str = ""
    """Name or number of the Service's port."""
    ip_family: IpFamily | None = None
    node_address: NodeAddressKind | None = None
    group: str = ""
    group_label: str = ""
    """Label of a pod or slice whose value names the group of an endpoint."""
    allow_external_name: bool = False


class Note(Protocol):
    """An annotation: its full name and its text."""

    @property
    def name(self) -> str:
        """The annotation's name, with its prefix."""

    @property
    def text(self) -> str:
        """The annotation's value, as it was written."""


def _one_of(text: str, allowed: tuple[str, ...]) -> str:
    for known in allowed:
        if known.lower() == text.lower():
            return known
    raise ValueError(f"it is none of {', '.join(allowed)}")


def _group(text: str) -> str:
    if not is_name(text):
        raise ValueError(
            "it is no name of a group: lower-case letters, digits, - and ., at most 63, beginning "
            "and ending with a letter or digit"
        )
    return text


def _some(text: str) -> str:
    if not text:
        raise ValueError("it is empty: write a value")
    return text


_READERS: dict[str, Any] = {
    "address-mode": lambda text: _one_of(text, get_args(AddressMode)),
    "port": _some,
    "ip-family": lambda text: _one_of(text, get_args(IpFamily)),
    "node-address": lambda text: _one_of(text, get_args(NodeAddressKind)),
    "group": _group,
    "group-label": _some,
    "allow-external-name": read_switch,
}
PLACE_NAMES = frozenset(_READERS)
"""Names of these annotations, without the prefix."""


def read_placement(notes: Mapping[str, Note]) -> Placement:
    """Read the annotations in `notes` (by name without prefix). Raises `Refused`."""
    found: dict[str, Any] = {}
    for name, note in notes.items():
        try:
            found[name.replace("-", "_")] = _READERS[name](note.text.strip())
        except ValueError as error:
            raise Refused(
                f"annotation {note.name}: {shown(note.text)}: {error}", "correct or remove it"
            ) from error
    return Placement(**found)
