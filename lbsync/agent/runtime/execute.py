"""Running a plan's steps over the runtime API and checking every reply.

The first unexpected reply stops the execution: the caller then reads back what runs, or reloads. A
stage is safe to leave half done (see `change_set.Phase`).
"""

from collections.abc import Container, Iterable, Iterator, Sequence

from lbsync import measure
from lbsync.agent.runtime import first_checks
from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.changes.steps import (
    AddBackend,
    AddEntry,
    AddServer,
    ListCertificate,
    ReplaceEntries,
    SetAddress,
    SetCertificate,
    SetState,
    Step,
)
from lbsync.agent.runtime.commands import Command, commands, entry_command
from lbsync.agent.runtime.first_checks import Name
from lbsync.clients.haproxy import answers
from lbsync.clients.haproxy.sockets import BATCH_BYTES, WorkerSocket
from lbsync.errors import ApplyFailed, Unavailable

_SHOWN_CHARACTERS = 200
_MOST_OF_A_MAP = 64_000
"""A thread of HAProxy serves nobody while it reads such a piece: 2 ms."""


class Deviated(ApplyFailed):
    """Raised when HAProxy's answer to a step is not the expected one, or missing.

    Steps before it took effect; of those in the same stage, some after it may have, too.
    """

    def __init__(self, step: Step, reply: str) -> None:
        """`reply`: HAProxy's words, or why there are none."""
        super().__init__(f"{step}: HAProxy says {reply[:_SHOWN_CHARACTERS].strip()!r}")
        self.step = step
        self.reply = reply


class Executor:
    """Runs steps on one HAProxy: over its stats socket, or through its master's."""

    def __init__(self, worker: WorkerSocket) -> None:
        self._worker = worker
        self._payload_bytes = BATCH_BYTES

    @measure.timed("runtime_change")
    def run(self, plan: Plan, payload_bytes: int = BATCH_BYTES) -> None:
        """Run all steps of a plan in order. Raises `Deviated` at the first that went wrong.

        A server that was never found good gets no requests while another one serves
        (`first_checks`). `payload_bytes`: what a command may carry (`Capabilities.payload_bytes`).
        """
        self._payload_bytes = payload_bytes
        wait = self._new_servers(plan.steps)
        for stage in plan.stages:
            self.run_steps(stage.steps, wait)

    def run_steps(self, steps: Iterable[Step], wait: Container[Name] = ()) -> None:
        """Run steps that do not depend on each other. Raises `Deviated`.

        `wait`: backend and name of the servers that are to wait for a good check.
        """
        waiting: list[tuple[Step, Command]] = []
        for step in steps:
            if isinstance(step, ReplaceEntries):
                self._send(waiting)
                waiting = []
                self._replace(step)
                continue
            for command in commands(step, waits=_name(step) in wait):
                if command.alone:
                    self._send(waiting)
                    waiting = []
                    self._single(step, command)
                else:
                    waiting.append((step, command))
        self._send(waiting)

    def _new_servers(self, steps: Sequence[Step]) -> frozenset[Name]:
        """Return which servers have to wait, by what the others of their backends do now."""
        coming = [step for step in steps if first_checks.may_wait(step)]
        # One that is only made by these steps has no server that serves yet.
        made = {step.backend for step in steps if isinstance(step, AddBackend)}
        named = {name[0] for step in coming if (name := _name(step)) is not None}
        backends = sorted(named - made)
        try:
            return first_checks.waiting(steps, self._worker.servers_of(backends))
        except Unavailable as error:
            raise Deviated(coming[0], str(error)) from error

    def _send(self, waiting: Sequence[tuple[Step, Command]]) -> None:
        """Send commands in as few lines as their length allows; judge each reply."""
        done = 0
        for texts in self._worker.batches([command.text for _, command in waiting]):
            batch = waiting[done : done + len(texts)]
            done += len(texts)
            answer = self._ask(batch[0][0], texts)
            try:
                replies = answers.split_replies(answer, len(batch))
            except Unavailable as error:
                # An unexpected reply has spoilt the count, or HAProxy ended.
                raise Deviated(_suspect(batch, answer), answer or str(error)) from error
            for (step, command), reply in zip(batch, replies, strict=True):
                if not command.expected.fullmatch(reply):
                    raise Deviated(step, reply)

    def _single(self, step: Step, command: Command) -> None:
        answer = self._ask(step, [command.text], command.payload)
        if not command.expected.fullmatch(answer.strip("\n")):
            if isinstance(step, SetCertificate):
                self._abort(step)
            elif isinstance(step, ListCertificate):
                self._drop_unlisted(step)
            raise Deviated(step, answer or "nothing")

    def _abort(self, step: SetCertificate) -> None:
        """Abort the transaction, as the next one would build on it."""
        self._ask(step, [f"abort ssl cert {step.path}"])
        if step.new:
            self._ask(step, [f"del ssl cert {step.path}"])

    def _drop_unlisted(self, step: ListCertificate) -> None:
        """Delete certificates that no list has accepted: the next attempt would find their names taken.

        Since 3.3, one without a key is only refused by the list. HAProxy refuses to delete what another list has.
        """
        self._ask(step, [f"del ssl cert {step.path}"])

    def _replace(self, step: ReplaceEntries) -> None:
        """Fill a new version of a map, count it, and only then put it in force."""
        name = f"{step.kind} {step.file}"
        said = self._ask(step, [f"prepare {name}"]).strip()
        word, _, number = said.rpartition(" ")
        if word != "New version created:" or not number.isdecimal():
            raise Deviated(step, said)
        version = int(number)
        before = self._count(step)
        try:
            self._fill(step, version)
            added = self._count(step) - before
            if added != len(step.entries):
                raise Deviated(step, f"{added} of {len(step.entries)} entries")
            answer = self._ask(step, [f"commit {step.kind} @{version} {step.file}"])
            if answer.strip("\n") or (count := self._count(step)) != len(step.entries):
                raise Deviated(step, answer.strip("\n") or f"{count} entries after the commit")
        except Deviated:
            self._ask(step, [f"clear {step.kind} @{version} {step.file}"])
            raise

    def _fill(self, step: ReplaceEntries, version: int) -> None:
        if step.kind == "acl":  # lists take no payload (measured)
            lines = [AddEntry("acl", step.file, key, "") for key, _ in step.entries]
            expected = next(iter(commands(lines[0]))).expected if lines else None
            if expected is not None:
                self._send([(step, Command(entry_command(e, version), expected)) for e in lines])
            return
        for payload in _payloads(step.entries, min(self._payload_bytes, _MOST_OF_A_MAP)):
            answer = self._ask(step, [f"add map @{version} {step.file}"], payload)
            if answer.strip("\n"):
                raise Deviated(step, answer)

    def _count(self, step: ReplaceEntries) -> int:
        """Return the number of entries of all versions together, as HAProxy counts them."""
        for found in answers.parse_maps(self._ask(step, [f"show {step.kind}"])):
            if found.file == step.file:
                return found.entries
        raise Deviated(step, f"no {step.kind} of that name")

    def _ask(self, step: Step, lines: Sequence[str], payload: str = "") -> str:
        try:
            return self._worker.run(lines, payload)
        except Unavailable as error:
            raise Deviated(step, str(error)) from error


def _name(step: Step) -> Name | None:
    """Return backend and name of the server that a step concerns; None: there is none."""
    match step:
        case AddServer() | SetAddress() | SetState():
            return step.backend, step.name
        case _:
            return None


def _suspect(batch: Sequence[tuple[Step, Command]], answer: str) -> Step:
    """Return the step with the first unexpected reply; the first step if that is unknown."""
    replies = answer.split("\n\n") if answer else []
    for (step, command), reply in zip(batch, replies, strict=False):
        if not command.expected.fullmatch(reply.strip("\n")):
            return step
    return batch[0][0]


def _payloads(entries: Sequence[tuple[str, str]], most: int) -> Iterator[str]:
    """Yield the lines of a map in pieces of `most` bytes: what is too long, 2.6 drops without a word."""
    lines: list[str] = []
    size = 0
    for key, value in entries:
        line = f"{key} {value}\n"
        cost = len(line.encode())
        if lines and size + cost > most:
            yield "".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += cost
    if lines:
        yield "".join(lines)
