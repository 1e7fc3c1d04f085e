"""What a release of HAProxy cannot change without a fault is done by a reload. Pure."""

from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.changes.steps import (
    AddEntry,
    AddServer,
    DelEntry,
    DeleteServer,
    ReplaceEntries,
    RetireServer,
    SetEntry,
)
from lbsync.clients.haproxy import known_faults

_SERVERS = (AddServer, RetireServer, DeleteServer)
_MAPS = (AddEntry, SetEntry, DelEntry, ReplaceEntries)


def within_release_limits(todo: Plan, version: tuple[int, int, int]) -> Plan:
    """Return the plan, or a reload if one of its steps triggers a fault of this release."""
    for fault in known_faults.of(version):
        harmful = (*(_SERVERS if fault.servers else ()), *(_MAPS if fault.maps else ()))
        if any(isinstance(step, harmful) for step in todo.steps):
            return Plan((), (f"HAProxy {'.'.join(map(str, version))}: {fault.text}",))
    return todo
