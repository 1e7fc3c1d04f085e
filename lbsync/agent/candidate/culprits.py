"""What is quarantined when rendering fails or HAProxy refuses the configuration.

One bad service, key or certificate never stops the others: it stays at its last good version, named
with the reason.
"""

import time
from collections.abc import Callable, Iterable

from lbsync import log
from lbsync.agent.candidate import attribution, failed_digests, line_tracing
from lbsync.agent.candidate.reasons import first, patience, untried
from lbsync.agent.candidate.validate import Refused
from lbsync.agent.desired import certificates, raw_layout
from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.quarantine import (
    SETTINGS,
    Identity,
    QuarantineEntry,
    Suspect,
    a_service,
    stored,
)
from lbsync.agent.desired.states import DesiredState, PassInput, RenderedState
from lbsync.agent.haproxycfg.lint import Finding, unplaced
from lbsync.errors import BadKey, ItemsRefused, LbsyncError
from lbsync.schema.keys import SETTINGS_GLOBAL, service_key

#: Seconds after which a quarantined suspect is tried again unchanged: a port may be free by then.
_TRY_AGAIN_S = 60.0
#: The same for what is quarantined untried because too many were refused at once.
_TRY_UNTRIED_S = 5.0
#: Trials (each one `haproxy -c`) that a pass spends on bisecting what changed.
_MOST_TRIALS = 40
_MOST_TRIALS_OF_CERTIFICATES = 8
_MOST_REASONS = 8
_MOST_OF_FEW = 3

Tries = Callable[[set[Suspect]], LbsyncError | None]
"""Returns what is wrong when these are quarantined, too; None: nothing."""

Groups = list[list[Suspect]]
State = RenderedState | DesiredState


class Culprits:
    """Fills the builder's quarantine; each call adds to it or raises."""

    def __init__(self, builder: DesiredBuilder) -> None:
        self._builder = builder
        self._quarantine = builder.quarantine
        self._said = log.OnChange()
        self._trials = 0
        self._failed: dict[Suspect, tuple[Identity, int]] = {}
        """What was stored for a suspect when a reload failed, and how often that was."""

    def begin(self) -> None:
        """Begin a search and release what is due to be tried again."""
        self._trials = _MOST_TRIALS
        self._said.keep({f"{suspect.kind} {suspect.name}" for suspect in self._quarantine.entries})
        self._quarantine.try_again()

    def quarantine_unprintable(
        self, wanted: PassInput, decided: DesiredState, error: LbsyncError, tries: Tries
    ) -> None:
        """Quarantine what cannot be rendered; raise the error if no suspect is at fault."""
        if isinstance(error, BadKey) and self._put_key(wanted, error):
            return
        reasons = error.reasons if isinstance(error, ItemsRefused) else {}
        named = {Suspect("service", name): unplaced(why) for name, why in reasons.items()}
        if not self._put_named(wanted, decided, named, error, _TRY_AGAIN_S * patience(error)):
            self._search(wanted, decided, error, tries)

    def quarantine_refused(
        self, wanted: PassInput, state: RenderedState, refusal: Refused, tries: Tries
    ) -> None:
        """Quarantine what HAProxy refuses; raise the refusal if no suspect is at fault."""
        named = self._named(wanted, state, refusal.findings)
        if not self._put_named(wanted, state, named, refusal, _TRY_AGAIN_S):
            self._search(wanted, state, refusal, tries)
        elif any(suspect.kind == "certificate" for suspect in named):
            self._put_certificates(wanted, tries)

    def _named(
        self, wanted: PassInput, state: RenderedState, findings: Iterable[Finding]
    ) -> dict[Suspect, Finding]:
        """Return the suspects that HAProxy names, directly or by a line printed from a changed key."""
        named = attribution.named_suspects(state.desired, findings)
        others = [finding for finding in findings if finding not in named.values()]
        groups = self._suspects(wanted, state)
        keys = [s.name for group in groups for s in group if s.kind == "key"]
        items = wanted.snapshot.items
        changed = {key: items[key].value for key in keys if key in items}
        printed = attribution.printed(state.rendered, others, changed) | named
        others = [finding for finding in others if finding not in printed.values()]
        return line_tracing.keys_behind(self._builder, wanted, state, others, keys) | printed

    def _put_certificates(self, wanted: PassInput, tries: Tries) -> None:
        """Quarantine what HAProxy would name next, as it names only one certificate at a time: those that
        OpenSSL would not serve either, unless HAProxy accepts them."""
        found = {
            Suspect("certificate", name): unplaced(f"OpenSSL says: {why}")
            for name, why in self._builder.certificates.objections()
        }
        suspects = sorted(found.keys() - self._quarantine.entries.keys())
        if not suspects or tries(set()) is None:
            return
        search = attribution.Bisection([suspects], lambda trial: tries(trial) is None)
        search.run(_MOST_TRIALS_OF_CERTIFICATES)
        self._put(wanted, {suspect: found[suspect] for suspect in search.quarantined}, _TRY_AGAIN_S)

    def load_failed(
        self,
        wanted: PassInput,
        state: RenderedState,
        findings: tuple[Finding, ...],
        binders: set[str],
    ) -> bool:
        """Quarantine what may have made a reload fail; tell whether there is anything.

        That is what HAProxy names; else services with a new address in their sections (`binders`), as no
        check can predict a bind for sure; else everything that changed. It lasts longer each time, since
        a failed reload may stop all traffic for two seconds.
        """
        owners = attribution.section_owners(state.desired)
        why = findings[0] if findings else unplaced("HAProxy did not take it; see its log")
        suspects = self._named(wanted, state, findings)
        new = {suspect for name in binders for suspect in owners.get(name, ())}
        if binders and not suspects and not new:
            return False  # an address of the settings, or of a template
        changed = [suspect for group in self._suspects(wanted, state) for suspect in group]
        address = unplaced("HAProxy did not take it, most likely as it cannot bind a new address")
        for reasons in (suspects, dict.fromkeys(new, address), dict.fromkeys(changed, why)):
            fresh = {suspect: reasons[suspect] for suspect in changed if suspect in reasons}
            if fresh:
                self._leave_alone(wanted, fresh)
                return True
        return False

    def _leave_alone(self, wanted: PassInput, reasons: dict[Suspect, Finding]) -> None:
        for suspect, identity in self._identities(wanted, reasons).items():
            before = self._failed.get(suspect)
            count = before[1] + 1 if before and before[0] == identity else 1
            self._failed[suspect] = (identity, count)
            self._put(wanted, {suspect: reasons[suspect]}, failed_digests.pause(count))

    def quarantine_all_changed(
        self, wanted: PassInput, found: State, error: LbsyncError, tries: Tries
    ) -> None:
        """Quarantine everything that changed, of one kind if that is enough, as too much is refused to find
        each now. Raise the error if that does not help."""
        groups = self._suspects(wanted, found)
        for suspects in (*groups, [suspect for group in groups for suspect in group]):
            if suspects and tries(set(suspects)) is None:
                self._put_untried(wanted, suspects, error)
                return
        raise error

    def _put_key(self, wanted: PassInput, error: BadKey) -> bool:
        """Quarantine a key that a template named; tell whether that makes a difference."""
        key = raw_layout.as_stored(wanted.snapshot, error.key)
        if not key or not self._builder.raw_keys:
            return False
        suspect = Suspect("key", key)
        known = self._quarantine.entries.get(suspect)
        good = raw_layout.last_good(self._builder.good_raw, key)
        # A template that was changed may refuse what was good before.
        out = known is not None or good == wanted.snapshot.items[key].value
        if known is not None and known.out:
            return False
        identity = stored(wanted.snapshot, [suspect])[suspect]
        entry = QuarantineEntry(
            identity, error.reason, until=time.monotonic() + _TRY_AGAIN_S, out=out
        )
        self._quarantine.put(suspect, entry)
        self._tell(wanted, suspect, unplaced(error.reason))
        return True

    def _search(self, wanted: PassInput, found: State, error: LbsyncError, tries: Tries) -> None:
        """Bisect everything that changed until only the culprits are left."""
        search = attribution.Bisection(
            self._suspects(wanted, found), lambda trial: tries(trial) is None, lambda s: s.family
        )
        before = self._trials
        search.run(before)
        self._trials -= min(before, search.trials)
        reasons = dict.fromkeys(search.proved, first(error))
        if len(search.proved) > 1:
            for suspect in sorted(search.proved)[:_MOST_REASONS]:
                # The message may have been about another one.
                own = tries(search.quarantined - {suspect})
                reasons[suspect] = first(own or error)
        others = search.quarantined - search.proved
        if (
            not self._put_named(wanted, found, reasons, error, _TRY_AGAIN_S * patience(error))
            and not others
        ):
            raise error
        self._put_untried(wanted, others, error)

    def _suspects(self, wanted: PassInput, found: State) -> Groups:
        """Return everything that changed and is not quarantined yet: by kind, the oldest change first, as
        that is more likely innocent."""
        builder, accepted = self._builder, wanted.accepted
        services = attribution.newest_changes(found.entries, accepted)
        keys = raw_layout.changed(wanted.snapshot, builder.good_raw) if builder.raw_keys else ()
        settings = found.entries.get(SETTINGS_GLOBAL) is not accepted.get(SETTINGS_GLOBAL)
        groups = [
            [Suspect("key", key) for _, key in sorted(keys)],
            [Suspect("certificate", name) for name in sorted(builder.certificates.changed())],
            [SETTINGS] if settings else [],
            [a_service(s) for s in sorted(services, key=lambda s: (services[s], s))],
        ]
        entries = self._quarantine.entries
        return [[suspect for suspect in group if suspect not in entries] for group in groups]

    def _put_named(
        self,
        wanted: PassInput,
        found: State,
        reasons: dict[Suspect, Finding],
        error: LbsyncError,
        seconds: float,
    ) -> bool:
        """Quarantine those of `reasons` that changed; tell whether there are any.

        Raise the error if nothing that is wanted would be left: then it is not their fault.
        """
        changed = {suspect for group in self._suspects(wanted, found) for suspect in group}
        fresh = {suspect: why for suspect, why in reasons.items() if suspect in changed}
        if self._leaves_nothing({*self._quarantine.entries, *fresh}, wanted, found):
            raise error
        self._put(wanted, fresh, seconds)
        return bool(fresh)

    def _put_untried(
        self, wanted: PassInput, suspects: Iterable[Suspect], error: LbsyncError
    ) -> None:
        seconds = _TRY_UNTRIED_S * patience(error)
        self._put(wanted, dict.fromkeys(suspects, untried(error)), seconds)

    def _put(self, wanted: PassInput, reasons: dict[Suspect, Finding], seconds: float) -> None:
        until = time.monotonic() + seconds
        identities = self._identities(wanted, reasons)
        for suspect, finding in reasons.items():
            entry = QuarantineEntry(identities[suspect], str(finding), finding.line, until)
            self._quarantine.put(suspect, entry)
            self._tell(wanted, suspect, finding)

    def _identities(
        self, wanted: PassInput, suspects: Iterable[Suspect]
    ) -> dict[Suspect, Identity]:
        found = stored(wanted.snapshot, suspects)
        files = self._builder.certificates.stored
        for suspect in suspects:
            if suspect.kind == "certificate":
                found[suspect] = certificates.identity(files, suspect.name)
        return found

    def _leaves_nothing(self, quarantined: set[Suspect], wanted: PassInput, found: State) -> bool:
        """Tell whether nothing at all would be served with these quarantined.

        A few may be left out even if there is nothing else.
        """
        out = {s for s in quarantined if not self._had(wanted, s)}
        services = {suspect.name for suspect in out if suspect.kind == "service"}
        keys = {suspect.name for suspect in out if suspect.kind == "key"}
        if len(services) > _MOST_OF_FEW:
            entries = found.entries.values()
            there = {str(e.key.service) for e in entries if e.key.kind == "services"}
            if there <= services:
                return True
        if len(keys) > _MOST_OF_FEW:
            return {key for key in wanted.snapshot.items if raw_layout.is_shown(key)} <= keys
        return False

    def _tell(self, wanted: PassInput, suspect: Suspect, finding: Finding) -> None:
        """Log it once, not at each new try; the status keeps showing it."""
        state = (
            "is quarantined at its last good version"
            if self._had(wanted, suspect)
            else "is left out"
        )
        fields = {"service": suspect.name} if suspect.kind == "service" else {}
        name = f"certificate {suspect.name}" if suspect.kind == "certificate" else suspect.name
        is_news = self._said.is_new(f"{suspect.kind} {suspect.name}", finding.text)
        say = log.get().error if is_news else log.get().debug
        say(f"{name} {state}: {finding}", **fields)

    def _had(self, wanted: PassInput, suspect: Suspect) -> bool:
        """Tell whether there is a last good version."""
        if suspect.kind == "certificate":
            last = self._builder.certificates.last
            return bool(certificates.identity(last, suspect.name))
        if suspect.kind == "key":
            entry = self._quarantine.entries.get(suspect)
            good = raw_layout.last_good(self._builder.good_raw, suspect.name)
            return good is not None and not (entry and entry.out)
        service = suspect.service
        return (service_key(service) if service else suspect.name) in wanted.accepted
