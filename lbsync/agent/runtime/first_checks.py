"""Which servers get no request before a check has found them good. Pure.

HAProxy considers a new server up and sends it requests until its checks have failed. Where another
server of its backend is up and stays, no request needs to go to one that was never found good;
where there is none, a server that may be good is better than none.
"""

from collections.abc import Iterable

from lbsync.agent.runtime.changes.server_words import proves
from lbsync.agent.runtime.changes.steps import (
    AddServer,
    DeleteServer,
    RetireServer,
    SetAddress,
    SetState,
    SetWeight,
    Step,
)
from lbsync.clients.haproxy.answers import OP_RUNNING, OP_STARTING, ServerState

Name = tuple[str, str]
"""Backend and server."""

_MAINT = 1
_BY_CONFIGURATION = 4
"""It stays when a command has ended that maintenance (measured)."""


def may_wait(step: Step) -> bool:
    """Tell whether a step adds or changes a server whose check will soon tell if it is good."""
    match step:
        case AddServer():
            return proves(step.options) and "disabled" not in step.options
        case SetAddress():
            return bool(step.proved)
        case SetState():
            return bool(step.proved) and step.state == "ready"
        case _:
            return False


def waiting(steps: Iterable[Step], states: Iterable[ServerState]) -> frozenset[Name]:
    """Return the servers that have to wait for a good check, of those that `steps` bring.

    `states`: all servers of the backends concerned, as they are before the steps.
    """
    steps = tuple(steps)
    known = {(state.backend, state.name): state for state in states}
    fresh = {
        (step.backend, step.name)
        for step in steps
        if isinstance(step, AddServer | SetAddress | SetState)
        and may_wait(step)
        and _comes(step, known)
    }
    leave = _leaving(steps)
    safe = {
        state.backend
        for name, state in known.items()
        if serves(state) and name not in fresh | leave
    }
    return frozenset(name for name in fresh if name[0] in safe)


def serves(state: ServerState) -> bool:
    """Tell whether a server gets requests."""
    up = state.op_state in (OP_STARTING, OP_RUNNING)
    return up and state.admin_state in (0, _BY_CONFIGURATION) and state.weight > 0


def _comes(step: AddServer | SetAddress | SetState, known: dict[Name, ServerState]) -> bool:
    """Tell whether HAProxy has not checked the server at its new place yet."""
    if isinstance(step, AddServer):
        return True
    now = known.get((step.backend, step.name))
    if now is None:
        return False
    out = bool(now.admin_state & _MAINT)
    if isinstance(step, SetAddress):
        # In maintenance it is not checked at all; leaving that is a step of its own.
        return not out and (now.address, now.port) != (step.address, step.port)
    return out


def _leaving(steps: Iterable[Step]) -> set[Name]:
    found = set()
    for step in steps:
        match step:
            case RetireServer() | DeleteServer():
                found.add((step.backend, step.name))
            case SetWeight() if step.weight == 0:
                found.add((step.backend, step.name))
            case SetState() if step.state != "ready":
                found.add((step.backend, step.name))
            case _:
                pass
    return found
