"""Snapshot to plan: which entries count, what they ask for, what is held back and why.

Everything here is decided from values; nothing outside is touched but the certificates' directory.
"""

import time
from collections.abc import Callable, Mapping

import msgspec

from lbsync.agent import guard, inputs
from lbsync.agent.blame import Fingerprint, fingerprint
from lbsync.agent.desired import Assembler
from lbsync.agent.entries import Decoder, Entries, Entry, hold_back, settle_routes
from lbsync.agent.guard import Hold
from lbsync.agent.rawkeys import Raw, RawKeys
from lbsync.agent.render.digest import seal
from lbsync.agent.render.renderer import Renderer
from lbsync.clients.certificates import CertificateDirectory, CertificateFile
from lbsync.errors import Rejected
from lbsync.model.desired import Desired, Problem, Service
from lbsync.model.rendered import Rendered
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import ServiceId, service_key


class Bar(msgspec.Struct, frozen=True):
    """Why a service stays at its last good version although all its keys read well."""

    fingerprint: Fingerprint
    """Of the keys that were refused; the bar falls as soon as they are others."""
    reason: str
    """In HAProxy's words."""
    line: int = 0
    until: float = float("inf")
    """On the clock of `time.monotonic`: then it is tried again, whatever its keys are."""


class Settled(msgspec.Struct, frozen=True, eq=False):
    """What is wanted, decided but not yet rendered."""

    entries: Entries
    desired: Desired
    hold: Hold | None
    let_go: bool = False
    """A removal was wanted that the guard would have held, and may go."""


class Plan(msgspec.Struct, frozen=True, eq=False):
    """What one pass goes for."""

    entries: Entries
    desired: Desired
    hold: Hold | None
    let_go: bool
    """As in `Settled`."""
    rendered: Rendered
    outside: Mapping[str, bytes]
    """Text of files that are installed outside of the generation, by path."""
    raw: Raw
    """The keys as templates saw them; nothing where they see none."""


class Question(msgspec.Struct, frozen=True, eq=False):
    """What a pass starts from."""

    snapshot: Snapshot
    accepted: Entries
    draining: bool
    let_go: Callable[[Hold], bool]


class _Texts(msgspec.Struct, frozen=True):
    """What was rendered."""

    files: dict[str, bytes]
    faults: tuple[tuple[str, str], ...]
    """Files outside of the generation that could not be: path and why."""


class Settler:
    """Makes plans; remembers what it needs to make the next one cheaply."""

    def __init__(
        self,
        renderer: Renderer,
        reserved_ports: frozenset[int],
        guard_percent: int,
        certificates: CertificateDirectory | None,
        *,
        raw_keys: bool,
        contract: bool,
    ) -> None:
        """`certificates`: None where HAProxy ends no TLS. `raw_keys`: a template may ask for keys
        as they are stored, so every change of any key asks for a rendering. `contract`: false where
        keys are nothing but that."""
        self._renderer = renderer
        self._decoder = Decoder(contract=contract)
        self._assembler = Assembler(reserved_ports)
        self._guard_percent = guard_percent
        self._certificates = certificates
        self.raw = RawKeys() if raw_keys else None
        """What templates see of the keys; None: nothing."""
        self.bars: dict[ServiceId, Bar] = {}
        self.standing = 0
        """Servers there were when the hold that stands began; 0: none stands."""
        self.barred_certificates: dict[str, bytes] = {}
        """Name to content of certificates that HAProxy refused."""
        self.last_certificates: tuple[CertificateFile, ...] = ()
        """Those that HAProxy was last proved to serve."""
        self._last: tuple[object, _Texts, Rendered] | None = None
        self._undisturbed: tuple[Snapshot, Entries, Settled] | None = None
        """The last decision in which nothing was held back, and what it was made from."""

    def settle(
        self,
        snapshot: Snapshot,
        accepted: Entries,
        let_go: Callable[[Hold], bool],
        held: frozenset[ServiceId] = frozenset(),
    ) -> Settled:
        """Decide what is wanted. `let_go` tells whether a removal may pass the guard; `held` are
        services to leave at their accepted version, for a trial.

        Asked again of the same snapshot, by the look ahead and by the pass, it answers at once.
        """
        if self._undisturbed is not None and not self.bars and not held:
            of, since, settled = self._undisturbed
            if of is snapshot and since is accepted:
                return settled
        self._undisturbed = None
        resolved = self._decoder.resolve(snapshot, accepted)
        problems = list(resolved.problems)
        entries = resolved.entries
        self._drop_old_bars(entries)
        if self.bars or held:
            entries = hold_back(entries, accepted, {*self.bars, *held})
        problems += settle_routes(entries, accepted)
        problems += [
            Problem(service_key(service), str(service), bar.reason, bar.line)
            for service, bar in self.bars.items()
        ]
        removal = guard.check(accepted, entries, self._guard_percent, self.standing)
        hold = None if removal is None or let_go(removal) else removal
        self.standing = hold.total if hold else 0
        if hold is not None:
            entries = hold_back(entries, accepted, guard.kept(hold))
        desired = self._assembler.assemble(entries, snapshot.revision, tuple(problems))
        settled = Settled(entries, desired, hold, removal is not None and hold is None)
        if removal is None and not self.bars and not held:
            self._undisturbed = snapshot, accepted, settled
        return settled

    def nudge(self, snapshot: Snapshot, accepted: Entries) -> list[Service] | None:
        """Return the services that changed, where nothing but them is concerned; else None.

        What `settle` would decide anew for everybody stays as it was; the cost is that of the
        change, and of one look at each key.
        """
        if self.bars:
            return None
        changed = self._decoder.glance(snapshot)
        if changed is None or guard.loses(accepted, changed, self._guard_percent):
            return None
        services = self._assembler.nudge(changed)
        if services is not None:
            self._decoder.take(snapshot, changed)
        return services

    def plan(
        self,
        snapshot: Snapshot,
        accepted: Entries,
        draining: bool,
        let_go: Callable[[Hold], bool],
        held: frozenset[ServiceId] = frozenset(),
    ) -> Plan:
        """Return what to go for, rendered; the arguments are those of `settle`.

        Raises `TemplateError` and `Rejected`, both naming template and line: `ItemsRefused` where
        it is known which services are at fault, `BadKey` where it is known which key.
        """
        settled = self.settle(snapshot, accepted, let_go, held)
        files, left_out = self.read_certificates()
        desired = settled.desired
        raw = self.raw.read(snapshot) if self.raw else {}
        texts, rendered = self._render(desired, files, draining, raw)
        problems = [Problem("", "", sentence) for sentence in left_out]
        problems += self.raw.problems() if self.raw else ()
        problems += [Problem("", "", f"{path} stays as it is: {e}") for path, e in texts.faults]
        if problems:
            desired = msgspec.structs.replace(desired, problems=(*problems, *desired.problems))
        outside = {path: text for path, text in texts.files.items() if path.startswith("/")}
        return Plan(settled.entries, desired, settled.hold, settled.let_go, rendered, outside, raw)

    def fragment(self, template: str, item: object) -> str:
        """Return the text of one item of `each`, as the whole rendering prints it."""
        return self._renderer.fragment(template, item)

    def _drop_old_bars(self, entries: dict[str, Entry]) -> None:
        for service, bar in list(self.bars.items()):
            if fingerprint(entries, service) != bar.fingerprint or time.monotonic() >= bar.until:
                del self.bars[service]

    def read_certificates(self) -> tuple[list[CertificateFile], list[str]]:
        """Return the certificates to serve: the last good one in place of one that is refused.

        A directory that was emptied, or cannot be read, takes nothing away: without any certificate
        HAProxy would stop to listen for TLS. Raises `Rejected` where it cannot be read at first.
        """
        if self._certificates is None:
            return [], []
        try:
            files, left_out = self._certificates.read()
        except Rejected as error:
            if not self.last_certificates:
                raise
            files, left_out = [], [str(error)]
        if self.last_certificates and not any(file.served for file in files):
            left_out.append(
                "proxy.certificates: there is none left; the last ones are served: put them back, "
                "or set certificates to nothing"
            )
            return list(self.last_certificates), left_out
        last = {file.name: file for file in self.last_certificates}
        found = []
        for file in files:
            if self.barred_certificates.get(file.name) != file.data:
                found.append(file)
                continue
            good = last.get(file.name)
            stays = "the last good one is served" if good else "it is left out"
            left_out.append(
                f"{file.name}: HAProxy does not take this certificate; {stays}: replace it"
            )
            if good is not None:
                found.append(good)
        return found, left_out

    def _render(
        self,
        desired: Desired,
        certificates: list[CertificateFile],
        draining: bool,
        raw: Raw,
    ) -> tuple[_Texts, Rendered]:
        """Render, or return the last result where nothing that goes into it has changed."""
        mark = (desired.services, desired.settings, tuple(certificates), draining, raw)
        if self._last is not None and self._last[0] == mark:
            return self._last[1], self._last[2]
        context = inputs.context(desired, certificates, draining)
        files, faults = self._renderer.render_what_can(context, raw)
        texts = _Texts(files, tuple((path, str(error)) for path, error in faults.items()))
        inside = {path: text for path, text in files.items() if not path.startswith("/")}
        inside |= desired.authorities
        modes = dict(self._renderer.modes)
        for file in certificates:
            path = f"{inputs.CERTIFICATES}/{file.name}"
            inside[path], modes[path] = file.data, inputs.CERTIFICATE_MODE
        rendered = seal(inside, modes, frozenset({inputs.HOST_MAP}))
        self._last = (mark, texts, rendered)
        return texts, rendered
