"""The layout of keys under the prefix, and nothing else."""

import difflib
from typing import Literal

import msgspec

from lbsync.values.names import is_name

Kind = Literal["services", "endpoints", "routes", "settings"]


class ServiceId(msgspec.Struct, frozen=True, order=True, gc=False):
    """What names a service everywhere: namespace and name."""

    ns: str
    name: str

    def __str__(self) -> str:
        """`ns/name`, as on the command line and in map files."""
        return f"{self.ns}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "ServiceId":
        """Read `ns/name`. Raises ValueError with the cure."""
        ns, slash, name = text.partition("/")
        if not slash or not is_name(ns) or not is_name(name):
            raise ValueError(
                f"{text[:140]!r} names no service: write NAMESPACE/NAME, each of lower-case letters, "
                "digits, - and ., at most 63, beginning and ending with a letter or digit"
            )
        return cls(ns, name)


class Key(msgspec.Struct, frozen=True, gc=False):
    """One key of the contract, taken apart."""

    kind: Kind
    service: ServiceId | None
    """None for `settings/global`."""
    group: str = ""
    """Only of `endpoints`."""


SETTINGS_GLOBAL = "settings/global"
_DEPTH = {"services": 3, "endpoints": 4, "routes": 3}
#: First segments that others write or that belong to the fleet's own bookkeeping: not for the agent.
FOREIGN = frozenset(
    {"agents", "quarantine", "publishers", "deployers", "watchers", "orders", "history"}
)

#: First segments of keys that say nothing lasting of what is to be served.
TRANSIENT = FOREIGN | {"confirmations"}


def service_key(service: ServiceId) -> str:
    """Return the key of the service's own record."""
    return f"services/{service}"


def endpoints_key(service: ServiceId, group: str) -> str:
    """Return the key of one group's servers."""
    return f"endpoints/{service}/{group}"


def route_key(service: ServiceId) -> str:
    """Return the key of the service's route."""
    return f"routes/{service}"


def backend_name(service: ServiceId, group: str) -> str:
    """Return what the backend of one group is called in HAProxy."""
    return f"be_{service.ns}_{service.name}_{group}"


def backend_owner(name: str) -> tuple[str, str] | None:
    """Return the service (`ns/name`) and the group of a backend; None for one of another kind."""
    parts = name.split("_")  # which no name has
    if len(parts) != 4 or parts[0] != "be":
        return None
    return f"{parts[1]}/{parts[2]}", parts[3]


def parse_key(key: str) -> Key | None:
    """Take a key apart; None for keys that are not the agent's business.

    Raises ValueError, with the cure, for a key that begins like one of the contract's but is none.
    """
    parts = key.split("/")
    kind = parts[0]
    if kind == "settings":
        if key != SETTINGS_GLOBAL:
            raise ValueError("no such settings key: the one there is is settings/global")
        return Key("settings", None)
    depth = _DEPTH.get(kind)
    if depth is None:
        near = difflib.get_close_matches(kind, _DEPTH, n=1, cutoff=0.85)
        if near and len(parts) == _DEPTH[near[0]]:
            raise ValueError(f"no keys begin with {kind}/; did you mean {near[0]}/?")
        return None
    if len(parts) != depth or not all(map(is_name, parts[1:])):
        shape = f"{kind}/<ns>/<name>" + ("/<group>" if depth == 4 else "")
        raise ValueError(
            f"the key is not of the form {shape}, each part of lower-case letters, digits, - and ., "
            "at most 63, beginning and ending with a letter or digit"
        )
    return Key(kind, ServiceId(parts[1], parts[2]), parts[3] if depth == 4 else "")  # type: ignore[arg-type]
