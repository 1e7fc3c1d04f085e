"""The keys that are not served as written, each with the reason and how to correct it."""

import msgspec

from lbsync.console.facts.state import State

MOST = 1000


class RefusedKey(msgspec.Struct, frozen=True):
    """One key, or one service, and who refuses it."""

    key: str
    service: str
    reason: str
    """What is wrong and what to do about it."""
    hosts: tuple[str, ...]
    """Who refuses it; empty: every host does, by the contract."""
    since: str = ""
    """RFC 3339, UTC, where it is known."""
    line: int = 0
    """Of haproxy.cfg as it was tried, where HAProxy named one; else 0."""


class RefusedView(msgspec.Struct, frozen=True):
    """All of them."""

    keys: tuple[RefusedKey, ...]
    """The first thousand."""
    all: int


def refused_view(state: State) -> RefusedView:
    """Return what is refused, sorted by service."""
    found = [
        RefusedKey(problem.key, problem.service, problem.reason, ())
        for problem in state.desired.problems
    ]
    hosts: dict[str, list[str]] = {}
    for host, record in state.census.live.items():
        for service in record.quarantined if record is not None else ():
            hosts.setdefault(service, []).append(host)
    explained = {problem.service for problem in state.desired.problems}
    for service in sorted(hosts.keys() | state.quarantined.keys()):
        told = state.quarantined.get(service)
        if told is None and service in explained:
            continue
        if told is not None and any(told.reason in one.reason for one in found):
            continue
        named = hosts.get(service) or ([told.host] if told is not None else [])
        reason = (
            told.reason
            if told is not None
            else f"{', '.join(named[:3])} refuses it; 'lbsync status' there tells why"
        )
        found.append(
            RefusedKey(
                f"services/{service}",
                service,
                reason,
                tuple(named),
                told.since if told is not None else "",
                told.line or 0 if told is not None else 0,
            )
        )
    found.sort(key=lambda each: (each.service or each.key, each.key))
    return RefusedView(tuple(found[:MOST]), len(found))
