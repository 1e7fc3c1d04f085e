"""Changes that a release of HAProxy cannot make without a fault, and which need a reload. Pure."""

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
from lbsync.clients.haproxy.capabilities import Capabilities

_SERVERS = (AddServer, RetireServer, DeleteServer)
_MAPS = (AddEntry, SetEntry, DelEntry, ReplaceEntries)


def within_release_limits(todo: Plan, can: Capabilities) -> Plan:
    """Return the plan, or a reload if the socket may not change things, or this release has a fault there."""
    if not can.admin and todo.steps:
        return Plan((), (can.changes.effect,))
    for fault in can.faults:
        harmful = (*(_SERVERS if fault.servers else ()), *(_MAPS if fault.maps else ()))
        if any(isinstance(step, harmful) for step in todo.steps):
            return Plan((), (f"HAProxy {can.name}: {fault.text}",))
    return todo
