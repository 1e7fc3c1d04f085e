"""The words of the runtime API for each step, and the reply that means success. Pure.

Replies are text without a code, and success is mostly an empty one (all measured on 2.6 and 2.8;
management guide, section 9.3). What is not known here as success counts as failure.
"""

import re
from collections.abc import Iterator

import msgspec

from lbsync.agent.haproxycfg.server_options import options
from lbsync.agent.runtime.changes.steps import (
    AddBackend,
    AddEntry,
    AddServer,
    Correct,
    DelEntry,
    DeleteServer,
    DropCertificate,
    ListCertificate,
    Proof,
    PublishBackend,
    ReplaceEntries,
    RetireBackend,
    RetireServer,
    SetAddress,
    SetCertificate,
    SetChecks,
    SetEntry,
    SetState,
    SetWeight,
    Step,
    UnlistCertificate,
)

NOTHING = re.compile(r"")
REGISTERED = re.compile(r"New server registered\.")
MOVED = re.compile(r"(?:IP changed|no need to change the addr|port changed).*|nothing changed")
CORRECTED = re.compile(r"(?:server ssl setting updated\.)?")
DELETED = re.compile(r"Server deleted\.")
# Before it may stand what HAProxy warns of, or told that thread before (3.4, measured): the last line counts.
BACKEND_REGISTERED = re.compile(r"(?:.*\n)*New backend registered\b.*")
PUBLISHED = re.compile(r"(?:.*\n)*Backend published\.")
UNPUBLISHED = re.compile(r"(?:.*\n)*Backend unpublished\.")
BACKEND_DELETED = re.compile(r"(?:.*\n)*Backend deleted\.")
_CREATED = re.compile(r"New empty certificate store .*")
_OPENED = re.compile(r"Transaction (?:created|updated) for certificate .*")
_COMMITTED = re.compile(r"Committing .*\n(?:.*\n)*Success!")
_LISTED = re.compile(r"Inserting certificate .*\n(?:.*\n)*Success!")
_UNLISTED = re.compile(r"Entry .* deleted in crtlist .*")
_DROPPED = re.compile(r"Certificate .* deleted!")

Pattern = re.Pattern[str]


class Command(msgspec.Struct, frozen=True):
    """One command and what it answers when it worked."""

    text: str
    expected: Pattern
    alone: bool = False
    """Not to be joined with others: its reply is not closed by an empty line (2.6, `del server`)."""
    payload: str = ""
    """Whole lines."""


def word(text: str) -> str:
    r"""Write a value as one word: quotes mean nothing here, only `\` protects (measured)."""
    return re.sub(r"([\\; ])", r"\\\1", text)


def commands(step: Step, *, waits: bool = False) -> Iterator[Command]:
    """Yield the commands of a step, in order; none for `ReplaceEntries`, which needs answers.

    `waits`: the server gets no request before its next good check.
    """
    match step:
        case AddBackend() | PublishBackend() | RetireBackend():
            yield _backend(step)
        case SetChecks(backend=backend, name=name, on=on):
            yield Command(f"{'enable' if on else 'disable'} health {backend}/{name}", NOTHING)
        case AddServer():
            yield from _add_server(step, waits=waits)
        case SetAddress() | SetState() if waits:
            yield from _until_good(step)
        case SetAddress() | SetWeight() | SetState() | RetireServer() | DeleteServer():
            yield from _server(step)
        case AddEntry() | SetEntry() | DelEntry():
            yield Command(entry_command(step), NOTHING)
        case ReplaceEntries():
            return
        case Correct(command=command):
            yield Command(command, CORRECTED)
        case _:
            yield from _certificate(step)


def _backend(step: AddBackend | PublishBackend | RetireBackend) -> Command:
    name = step.backend
    match step:
        case AddBackend(defaults=defaults, mode=mode, guid=guid):
            said = [f"add backend {name} from {word(defaults)}"]
            said += [f"mode {word(mode)}"] if mode else []
            said += [f"guid {word(guid)}"] if guid else []
            return Command(" ".join(said), BACKEND_REGISTERED)
        case PublishBackend():
            return Command(f"publish backend {name}", PUBLISHED)
        case RetireBackend():
            return Command(f"unpublish backend {name}", UNPUBLISHED)


def _add_server(step: AddServer, *, waits: bool) -> Iterator[Command]:
    name = f"{step.backend}/{step.name}"
    address = f"[{step.address}]" if ":" in step.address else step.address
    said = " ".join(map(word, step.options))
    yield Command(f"add server {name} {address}:{step.port} {said}".rstrip(), REGISTERED)
    keywords = {option[0] for option in options(step.options)}
    # Checks first: enabled before them, the server's health would stand at -1 (measured).
    if "check" in keywords:
        yield Command(f"enable health {name}", NOTHING)
    if "agent-check" in keywords:
        yield Command(f"enable agent {name}", NOTHING)
    if "disabled" not in keywords:
        ready = [Command(f"enable server {name}", NOTHING)]
        yield from _ready_when_good(name, step.proved) if waits else ready


def _until_good(step: SetAddress | SetState) -> Iterator[Command]:
    name = f"{step.backend}/{step.name}"
    if isinstance(step, SetState):
        yield from _ready_when_good(name, step.proved)
        return
    yield Command(f"set server {name} health {_until(step.proved)}", NOTHING)
    yield from _server(step)


def _ready_when_good(name: str, proved: Proof) -> Iterator[Command]:
    """End a server's maintenance as down, so that only good checks bring it up.

    A server leaves maintenance as UP, whatever its health was, and only then can be called anything else. In
    between it drains, so that no request finds it (2.6 to 3.4, measured).
    """
    for words in ("state drain", f"health {_until(proved)}", "state ready"):
        yield Command(f"set server {name} {words}", NOTHING)


def _until(proved: Proof) -> str:
    """Return the health from which good checks bring a server up."""
    return "stopping" if proved == "first" else "down"


def _server(
    step: SetAddress | SetWeight | SetState | RetireServer | DeleteServer,
) -> Iterator[Command]:
    name = f"{step.backend}/{step.name}"
    match step:
        case SetAddress(address=address, port=port):
            yield Command(f"set server {name} addr {address} port {port}", MOVED)
        case SetWeight(weight=weight):
            yield Command(f"set server {name} weight {weight}", NOTHING)
        case SetState(state=state):
            yield Command(f"set server {name} state {state}", NOTHING)
        case RetireServer():
            # Not `state drain`: that would end a maintenance, and sticky clients come in again.
            yield Command(f"set server {name} weight 0%", NOTHING)
        case DeleteServer():
            yield Command(f"set server {name} state maint", NOTHING)
            yield Command(f"del server {name}", DELETED, alone=True)


def entry_command(step: AddEntry | SetEntry | DelEntry, version: int | None = None) -> str:
    """Return the command for one entry; `version`: into a version that was prepared."""
    at = "" if version is None else f"@{version} "
    match step:
        case AddEntry(kind="acl"):
            return f"add acl {at}{step.file} {word(step.key)}"
        case AddEntry():
            return f"add map {at}{step.file} {word(step.key)} {word(step.value)}"
        case SetEntry():
            return f"set map {step.file} {word(step.key)} {word(step.value)}"
        case DelEntry():
            return f"del {step.kind} {step.file} {word(step.key)}"


def _certificate(
    step: SetCertificate | ListCertificate | UnlistCertificate | DropCertificate,
) -> Iterator[Command]:
    path = step.path
    match step:
        case SetCertificate(parts=parts, new=new):
            if new:
                yield Command(f"new ssl cert {path}", _CREATED, alone=True)
            for part in parts:
                text = f"set ssl cert {part.path}"
                yield Command(text, _OPENED, alone=True, payload=part.pem)
            yield Command(f"commit ssl cert {path}", _COMMITTED, alone=True)
        case ListCertificate(crt_list=crt_list, line=line):
            text = f"add ssl crt-list {crt_list}"
            yield Command(text, _LISTED, alone=True, payload=f"{line}\n")
        case UnlistCertificate(crt_list=crt_list):
            yield Command(f"del ssl crt-list {crt_list} {path}", _UNLISTED, alone=True)
        case DropCertificate():
            yield Command(f"del ssl cert {path}", _DROPPED, alone=True)
