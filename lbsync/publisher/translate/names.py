"""Server names: the same for the same pod at every pass, and no two alike in one group."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from lbsync.model.records import ServerRecord
from lbsync.values.names import Address, ServerName

_MAX = 80
_BAD = re.compile(r"[^A-Za-z0-9_.:-]")


class Draft(msgspec.Struct, frozen=True):
    """A server before it has its final name."""

    base: str
    """Name of the pod, host or node; "" where there is none."""
    address: Address
    port: int
    weight: int = 1
    state: Literal["up", "drain"] = "up"


def _mark(text: str) -> str:
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def _clean(text: str) -> str:
    """Return a name that HAProxy takes; one that had to be changed carries a mark of its own."""
    name = _BAD.sub("-", text)
    if not name[:1].isalnum():
        name = f"s{name}"
    if name != text or len(name) > _MAX:
        name = f"{name[: _MAX - 9]}-{_mark(text)}"
    return name


def _from_address(address: Address) -> str:
    return address if address.is_name else f"ip-{address.replace(':', '-')}"


def name_servers(drafts: Iterable[Draft]) -> tuple[ServerRecord, ...]:
    """Return the servers with their names, sorted by name."""
    named = [(_clean(draft.base or _from_address(draft.address)), draft) for draft in drafts]
    count = Counter(name for name, _ in named)
    servers = []
    for name, draft in named:
        if count[name] > 1:
            name = f"{name[: _MAX - 9]}-{_mark(f'{draft.address} {draft.port}')}"  # noqa: PLW2901 - the better name replaces it
        servers.append(
            ServerRecord(ServerName(name), draft.address, draft.port, draft.weight, draft.state)
        )
    return tuple(sorted(servers, key=lambda server: server.name))
