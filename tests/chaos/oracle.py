"""What a request must be answered, computed from docs/etcd-contract.md and nothing of lbsync."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

CLIENT = ip_address("127.0.0.1")
"""The address all requests come from."""

Value = Mapping[str, Any]
Answers = frozenset[str]
"""Names of servers, or status codes: each is a right answer."""


class Written(msgspec.Struct, frozen=True):
    """One key in one transaction."""

    revision: int
    key: str
    value: Value | None
    """None: it was deleted."""
    is_good: bool = True
    """False: a value that the contract refuses; the key stays at its last good version."""
    created: int = 0
    """Revision at which the key was created, where that is not known to be this one."""


class Stored(msgspec.Struct, frozen=True):
    """The last good version of a key."""

    value: Value
    created: int


def settled(log: Iterable[Written]) -> dict[str, Stored]:
    """Return the last good version of every key that is there, after everything that was written."""
    created: dict[str, int] = {}
    found: dict[str, Stored] = {}
    for one in sorted(log, key=lambda written: written.revision):
        if one.value is None:
            created.pop(one.key, None)
            found.pop(one.key, None)
            continue
        created.setdefault(one.key, one.created or one.revision)
        if one.is_good:
            found[one.key] = Stored(one.value, created[one.key])
    return found


class Oracle:
    """The answers that a settled store asks for."""

    def __init__(self, keys: Mapping[str, Stored]) -> None:
        self._keys = keys
        self._claims: dict[tuple[str, str], str] = {}
        services = [
            (k.removeprefix("services/"), s) for k, s in keys.items() if k[:9] == "services/"
        ]
        # "The key that was created first keeps it."
        for name, stored in sorted(services, key=lambda pair: pair[1].created):
            for host in stored.value.get("hosts") or ["*"]:
                for path in stored.value.get("paths") or ["/"]:
                    self._claims.setdefault((host, path), name)

    def answers(self, host: str, path: str) -> Answers:
        """Return the right answers to a request."""
        service = self._find(host, path)
        if service is None:
            return frozenset({"404"})
        record = self._keys[f"services/{service}"].value
        if any(CLIENT in ip_network(one) for one in record.get("deny", [])):
            return frozenset({"403"})
        allow = record.get("allow", [])
        if allow and not any(CLIENT in ip_network(one) for one in allow):
            return frozenset({"403"})
        return self._servers(service)

    def _find(self, host: str, path: str) -> str | None:
        labels = host.split(".")
        suffixes = [f"*.{'.'.join(labels[n:])}" for n in range(1, len(labels))]
        for name in [host, *suffixes, "*"]:
            fitting = [
                claimed
                for claimed_host, claimed in self._claims
                if claimed_host == name and is_below(path, claimed)
            ]
            if fitting:
                return self._claims[name, max(fitting, key=len)]
        return None

    def _servers(self, service: str) -> Answers:
        prefix = f"endpoints/{service}/"
        groups = {
            key.removeprefix(prefix): stored.value["servers"]
            for key, stored in self._keys.items()
            if key.startswith(prefix)
        }
        route = self._keys.get(f"routes/{service}")
        if route is None:
            chosen = [group for group, servers in groups.items() if servers]
        else:
            shares = route.value["groups"]
            chosen = [group for group, share in shares.items() if share and group in groups]
        answers: set[str] = set()
        for group in chosen:
            usable = {
                server["name"]
                for server in groups[group]
                if server.get("state", "up") == "up" and server.get("weight", 1)
            }
            answers |= usable or {"503"}
        return frozenset(answers or {"503"})


def is_below(path: str, beginning: str) -> bool:
    """Tell whether a path begins with another one and ends, or goes on with a slash, there."""
    return beginning in ("/", path) or path.startswith(f"{beginning}/")
