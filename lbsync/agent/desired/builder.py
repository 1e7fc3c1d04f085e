"""From a snapshot to rendered files: which entries are used, and the state they request.

All decisions are based on values; only certificates and system files are read from the host.
"""

from collections.abc import Sequence
from itertools import chain

import msgspec

from lbsync.agent import boot
from lbsync.agent.desired import last_good, raw_layout, template_context
from lbsync.agent.desired.approvals import Approvals, Spent
from lbsync.agent.desired.assemble import Assembler, settings_of
from lbsync.agent.desired.certificates import Certificates
from lbsync.agent.desired.decode import Decoder, Entries, Entry
from lbsync.agent.desired.host_files import HostFiles, HostState
from lbsync.agent.desired.keeping import EntryMerger
from lbsync.agent.desired.quarantine import Quarantine, Suspect
from lbsync.agent.desired.raw_layout import Raw
from lbsync.agent.desired.states import DesiredState, PassInput, RenderedState
from lbsync.agent.file_names import CERTIFICATES, HOST_MAP
from lbsync.agent.guard.guard import Baseline, Guard, Hold
from lbsync.agent.render.digest import seal
from lbsync.agent.render.renderer import Renderer
from lbsync.clients.certificates import CertificateDirectory, CertificateFile
from lbsync.errors import ItemsRefused
from lbsync.model.desired import Desired, Problem, ServiceChanges
from lbsync.model.permission import Permission
from lbsync.model.profiles import by_service
from lbsync.model.rendered import Rendered
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import ServiceId, service_key


class _Texts(msgspec.Struct, frozen=True):
    files: dict[str, bytes]
    faults: tuple[tuple[str, str], ...]
    """Files outside of the generation that could not be rendered: path and why."""


class DesiredBuilder:
    """Decides and renders the desired state; remembers what makes the next time cheap."""

    def __init__(
        self,
        renderer: Renderer,
        reserved_ports: frozenset[int],
        permission: Permission,
        guard: Guard,
        certificates: CertificateDirectory | None,
        *,
        raw_keys: bool,
        contract: bool,
        host_files: HostFiles | None = None,
    ) -> None:
        """`certificates`: None where HAProxy does not terminate TLS. `raw_keys`: templates may read raw
        keys, so that every change of a key needs rendering. `contract`: false where there are only such
        keys."""
        self._renderer = renderer
        self._decoder = Decoder(permission, contract=contract)
        self._assembler = Assembler(reserved_ports)
        self._held_assembler: Assembler | None = None
        """Used beside the other while a removal is held, for what goes on meanwhile."""
        self._guard = guard
        self._spent = Spent()
        self._merger = EntryMerger()
        self.certificates = Certificates(certificates)
        self.raw_keys = raw_keys
        """Templates see raw keys."""
        self.good_raw: Raw = {}
        """The raw keys as they were last served."""
        self.quarantine = Quarantine()
        self.host_files = host_files or HostFiles()
        """What is read from the host."""
        self._last: tuple[object, _Texts, Rendered] | None = None
        self._last_decision: tuple[Snapshot, Entries, DesiredState] | None = None
        """The last decision without a quarantine or hold, and its input."""

    def decide(self, wanted: PassInput, trial: frozenset[Suspect] = frozenset()) -> DesiredState:
        """Decide the desired state. `trial`: treat these as quarantined, too, for a trial.

        For the same snapshot again, as from the fast path and then the pass, it answers at once.
        """
        snapshot, accepted = wanted.snapshot, wanted.accepted
        self.quarantine.follow(snapshot)
        suspects = trial.union(self.quarantine.entries)
        if self._last_decision is not None and not suspects:
            of, since, decided = self._last_decision
            if of is snapshot and since is accepted:
                return decided
        self._last_decision = None
        resolved = self._decoder.resolve(snapshot, accepted)
        problems = list(resolved.problems)
        entries = resolved.entries
        # Before quarantine, so that a second fault of the same service is reported, too.
        problems += last_good.restore_routes(entries, accepted, resolved.routes)
        stuck = {p.service for p in resolved.problems if p.key == f"services/{p.service}"}
        entries = last_good.restore(entries, accepted, suspects, stuck)
        problems += self._problems()
        self._know_what_runs(accepted)
        desired = self._assembled(entries, accepted, snapshot.revision, problems, stuck)
        known = tuple(problems)
        confirmed = Approvals(snapshot, entries.values(), self._spent)
        removal = self._guard.check(desired.services, boot.now(), confirmed.meant)
        if not trial:  # in which some are wanted as they were
            self._spent.follow(confirmed.all, self._guard.wanted)
        ends_tls = bool(self.certificates.last)
        removal = self._guard.cut_off(removal, desired, settings_of(accepted), ends_tls=ends_tls)
        goes = removal is not None and wanted.is_approved(
            removal, confirmed.all.revision(removal.id)
        )
        if removal is not None and not goes:
            kept = self._keep(removal, entries, accepted)
            goes_on = self._held_assembler or self._assembler.clone()
            rest = goes_on.assemble(kept, snapshot.revision, known)
            decided = DesiredState(kept, rest, removal, confirmed.all)
            self._held_assembler = goes_on
        else:
            decided = DesiredState(entries, desired, None, confirmed.all, removal)
            self._held_assembler = None
        if removal is None:
            self._guard.baseline = None
        if removal is None and not suspects:
            self._last_decision = snapshot, accepted, decided
        return decided

    def _assembled(
        self,
        entries: dict[str, Entry],
        accepted: Entries,
        revision: int,
        problems: list[Problem],
        stuck: set[str],
    ) -> Desired:
        """Return the desired state; change `entries` and `problems` where a service has to stay in place
        because one of `stuck` does."""
        while True:
            desired = self._assembler.assemble(entries, revision, tuple(problems))
            kept, found = last_good.keep_in_place(
                self._assembler.shut_out, stuck, entries, accepted
            )
            if not kept:
                return desired
            entries.update(kept)
            problems += found
            stuck |= {problem.service for problem in found}

    def _keep(self, hold: Hold, entries: Entries, accepted: Entries) -> Entries:
        """Return what goes on while a removal is held."""
        self._guard.baseline = Baseline(hold.total, hold.removed)
        names = {ServiceId.parse(name) for name in hold.removed}
        return self._merger.merge(entries, accepted, names, settings=bool(hold.settings))

    def _know_what_runs(self, accepted: Entries) -> None:
        """Tell the guard what was accepted before this agent started, as that runs."""
        if accepted and self._guard.window.is_empty:
            running = self._assembler.assemble(accepted, 0, ()).services
            self._guard.window.runs(running, boot.now())

    @property
    def followed(self) -> Snapshot:
        """The snapshot that was decided on last."""
        return self._decoder.snapshot

    def update(self, snapshot: Snapshot) -> ServiceChanges | None:
        """Return the changed services if no others are concerned; else None, and it takes `decide`.

        The cost is that of the change, and of one comparison for each key.
        """
        if any(suspect.kind in ("service", "settings") for suspect in self.quarantine.entries):
            return None
        entries = self._decoder.diff(snapshot)
        if entries is None or self._guard.window.is_empty:
            return None
        changes = self._assembler.update(entries)
        if changes is None:
            return None
        known = chain(self._decoder.entries.values(), entries.changed)
        confirmed = Approvals(snapshot, known, self._spent)
        if self._guard.check_changes(changes, boot.now(), confirmed.meant) is not None:
            return None
        self._decoder.apply(snapshot, entries)
        return changes

    def render(self, wanted: PassInput, trial: frozenset[Suspect] = frozenset()) -> RenderedState:
        """Return the desired state, rendered; the arguments are those of `decide`.

        Raises `TemplateError` and `Rejected`, both naming template and line: `ItemsRefused` where
        it is known which services are at fault, `BadKey` where it is known which key.
        """
        decided = self.decide(wanted, trial)
        files, left_out = self.read_certificates(trial)
        desired = decided.desired
        raw = self._raw(wanted.snapshot, trial)
        host = self.host_files.read(desired)
        texts, rendered = self._render(desired, files, wanted.draining, raw, host)
        problems = [Problem("", "", sentence) for sentence in (*left_out, *host.problems)]
        problems += raw_layout.problems(self.quarantine.entries, self.good_raw)
        problems += [Problem("", "", f"{path} stays as it is: {e}") for path, e in texts.faults]
        if problems:
            desired = msgspec.structs.replace(desired, problems=(*problems, *desired.problems))
        outside = {path: text for path, text in texts.files.items() if path.startswith("/")}
        return RenderedState(
            decided.entries, desired, decided.hold, decided.approved, rendered, outside, raw,
            decided.confirmed,
        )  # fmt: skip

    def restore_allowance(self) -> None:
        """Give templates their full allowance again."""
        self._renderer.allowance.restore()

    def fragments(self, template: str, items: Sequence[object]) -> list[str]:
        """Return the texts of items of `each`, exactly as a full rendering prints them."""
        return self._renderer.fragments(template, items)

    def read_certificates(
        self, trial: frozenset[Suspect] = frozenset()
    ) -> tuple[list[CertificateFile], list[str]]:
        """Return the certificates to serve, and a sentence for each that is not served as it is.

        Raises `Rejected` if the directory cannot be read the first time.
        """
        return self.certificates.read(self.quarantine, trial)

    def _raw(self, snapshot: Snapshot, trial: frozenset[Suspect]) -> Raw:
        """Return the keys that templates see."""
        if not self.raw_keys:
            return {}
        entries = self.quarantine.entries.items()
        keys = {suspect.name: entry.out for suspect, entry in entries if suspect.kind == "key"}
        keys |= {s.name: False for s in trial if s.kind == "key" and s.name not in keys}
        return raw_layout.read(snapshot, self.good_raw, keys)

    def _problems(self) -> list[Problem]:
        """Return why services, or the settings for all, are quarantined."""
        found = []
        for suspect, entry in self.quarantine.entries.items():
            if (service := suspect.service) is not None:
                key = service_key(service)
                found.append(Problem(key, suspect.name, entry.reason, entry.line))
            elif suspect.kind == "settings":
                found.append(Problem(suspect.name, "", entry.reason, entry.line))
        return found

    def _render(
        self,
        desired: Desired,
        certificates: list[CertificateFile],
        draining: bool,
        raw: Raw,
        host: HostState,
    ) -> tuple[_Texts, Rendered]:
        """Render, or return the last result if the input is the same."""
        wanted = (desired.services, desired.settings, tuple(certificates), draining, raw, host)
        mark = (wanted, self._renderer.resting)
        if self._last is not None and self._last[0] == mark:
            return self._last[1], self._last[2]
        context = template_context.context(desired, certificates, draining, host)
        try:
            files, faults = self._renderer.render_what_can(context, raw)
        except ItemsRefused as error:
            raise by_service(error, desired.services) from error
        texts = _Texts(files, tuple((path, str(error)) for path, error in faults.items()))
        inside = {path: text for path, text in files.items() if not path.startswith("/")}
        served = {f"{CERTIFICATES}/{file.name}": file.data for file in certificates}
        inside |= {**desired.authorities, **dict(host.files), **served}
        modes = self._renderer.modes | dict.fromkeys(served, template_context.CERTIFICATE_MODE)
        rendered = seal(inside, modes, frozenset({HOST_MAP}))
        self._last = (mark, texts, rendered)
        return texts, rendered
