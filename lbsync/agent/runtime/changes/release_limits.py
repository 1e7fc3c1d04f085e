"""What a release of HAProxy cannot bear while it runs is done by a reload. Pure."""

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
    """Return a plan, or a reload in its place where this release cannot bear one of its steps."""
    for fault in known_faults.of(version):
        harmful = (*(_SERVERS if fault.servers else ()), *(_MAPS if fault.maps else ()))
        if any(isinstance(step, harmful) for step in todo.steps):
            return Plan((), (f"HAProxy {'.'.join(map(str, version))}: {fault.text}",))
    return todo
