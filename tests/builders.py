"""Small builders: a test states only what it is about."""

import json
from collections.abc import Mapping

from lbsync.agent.desired.decode import Decoder, Entries
from lbsync.model.snapshot import Item, Snapshot


def an_item(key: str, value: object, revision: int = 1, created: int | None = None) -> Item:
    """One stored key; `value` is JSON, or bytes as they are."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Item(key, data, created if created is not None else revision, revision)


def a_snapshot(values: Mapping[str, object], revision: int = 0) -> Snapshot:
    """A snapshot in which keys were created in the order given, one revision each."""
    items = {
        key: an_item(key, value, number) for number, (key, value) in enumerate(values.items(), 1)
    }
    return Snapshot(revision or len(items), 1, items)


def entries_of(values: Mapping[str, object]) -> Entries:
    """The entries of a snapshot in which every key is good."""
    resolved = Decoder().resolve(a_snapshot(values), {})
    assert not resolved.problems, resolved.problems
    return resolved.entries


def servers(*ports: int, address: str = "127.0.0.1") -> dict[str, object]:
    """An `endpoints` value with one server per port, named s1, s2, …"""
    return {
        "servers": [
            {"name": f"s{number}", "address": address, "port": port}
            for number, port in enumerate(ports, 1)
        ]
    }


def a_shop() -> dict[str, object]:
    """Two http services of two servers each, and a tcp one of one."""
    return {
        "services/shop/web": {"mode": "http", "hosts": ["shop.example.com"]},
        "endpoints/shop/web/default": servers(8001, 8002),
        "services/shop/cart": {"mode": "http", "hosts": ["shop.example.com"], "paths": ["/cart"]},
        "endpoints/shop/cart/default": servers(8003, 8004),
        "services/shop/db": {"mode": "tcp", "listen": 5432},
        "endpoints/shop/db/default": servers(8005),
    }
