"""The report of a pass: its sentence, its outcome, and what it found wrong. Pure."""

from collections.abc import Iterable

import msgspec

from lbsync.agent.apply.change import DeferredReload
from lbsync.agent.apply.switch import ApplyResult
from lbsync.agent.candidate import attribution
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.states import RenderedState
from lbsync.agent.guard.guard import Hold
from lbsync.agent.install import InstallResult
from lbsync.clients.source import Health
from lbsync.errors import Exit, Unavailable
from lbsync.loop.outcome import Outcome, some
from lbsync.model.desired import Service
from lbsync.schema.keys import service_key
from lbsync.values.plural import count
from lbsync.verdict import gravest


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def what_changed(entries: Entries, accepted: Entries, served: Iterable[Service]) -> str:
    """Name the services that are new, changed or are gone: `shop/cart, shop/web changed`, or how many.

    `served`: what HAProxy was proved to serve of `entries`; one that is not in there is not called new.
    """
    differ = sorted(attribution.newest_changes(entries, accepted))
    gone = [str(service) for service in differ if service_key(service) not in entries]
    added = {str(service) for service in differ if service_key(service) not in accepted}
    new = sorted(service.id for service in served if service.id in added) if added else []
    known = {*new, *gone}
    changed = [str(service) for service in differ if str(service) not in known]
    parts = [
        some(new, "is new", "are new"),
        some(changed, "changed"),
        some(gone, "is gone", "are gone"),
    ]
    return "; ".join(part for part in parts if part) or "no service changed"


def how_applied(applied: ApplyResult) -> str:
    """Say how it was applied, claiming no more than was verified."""
    if applied.outcome == "live":
        return applied.detail
    if applied.reload is None and applied.steps:
        return (
            f"changed without a reload in {count(applied.steps, 'step')}, "
            f"confirmed as generation {applied.generation.name}"
        )
    if applied.reload is None:
        return f"confirmed as generation {applied.generation.name}"
    again = f", asked {applied.reload.requests} times" if applied.reload.requests > 1 else ""
    return (
        f"reloaded in {_ms(applied.reload.seconds)}{again}, "
        f"confirmed as generation {applied.generation.name}"
    )


def troubles(state: RenderedState, installed: InstallResult) -> list[str]:
    """Return a sentence for everything that is wrong although the pass succeeded."""
    found = []
    if state.hold is not None:
        found.append(f"removal held: {state.hold}")
    found += [f"{p.key}: {p.reason}" if p.key else p.reason for p in state.desired.problems]
    found += installed.failed
    return found


def outcome(
    state: RenderedState,
    applied: ApplyResult,
    installed: InstallResult,
    accepted: Entries,
    seconds: float,
) -> Outcome:
    """Return the outcome of a pass that applied, or proved, what is wanted."""
    confirmed = applied.outcome == "confirmed"
    changed = applied.reload is not None or bool(applied.steps or installed.changed)
    news = "unchanged"
    if changed or not confirmed:
        news = what_changed(state.entries, accepted, state.desired.services)
    sentence = f"revision {state.desired.revision}: {news}{_also(installed)}; {how_applied(applied)}; {_ms(seconds)}"
    wrong = troubles(state, installed)
    if not confirmed:
        wrong.insert(0, applied.detail)
    return Outcome(
        sentence,
        confirmed,
        changed=changed,
        error=_first(wrong),
        retry=not confirmed,
        exit_code=_exit(confirmed, changed, wrong),
        fields={
            "revision": state.desired.revision,
            "digest": applied.generation.digest,
            "generation": applied.generation.seq,
            "ms": round(seconds * 1000, 1),
            "services": len(state.desired.services),
            "servers": state.desired.server_count,
            **({"healed": len(applied.healed)} if applied.healed else {}),
            **({"reload": applied.reasons[0]} if applied.reload and applied.reasons else {}),
        },
    )


def _also(installed: InstallResult) -> str:
    return f"; {', '.join(installed.changed)} installed" if installed.changed else ""


def _first(wrong: list[str]) -> str:
    if len(wrong) <= 1:
        return "".join(wrong)
    return f"{wrong[0]} (and {len(wrong) - 1} more: see `lbsync status`)"


def _exit(confirmed: bool, changed: bool, wrong: list[str]) -> Exit:
    facts = {Exit.UNAVAILABLE: not confirmed, Exit.REJECTED: bool(wrong), Exit.CHANGED: changed}
    return gravest(code for code, is_so in facts.items() if is_so)


def deferred(state: RenderedState, wait: DeferredReload, installed: InstallResult) -> Outcome:
    """Return the outcome of a pass whose reload has to wait."""
    confirmed = wait.applied.outcome == "confirmed"
    wrong = troubles(state, installed)
    if not confirmed:
        wrong.insert(0, wait.applied.detail)
    return Outcome(
        f"revision {state.desired.revision}: {wait}{_also(installed)}",
        confirmed,
        changed=bool(installed.changed),
        waits=f"{wait.delay.reason}; it is for {wait.reasons[0]}",
        waits_s=wait.delay.seconds if wait.delay.is_known else 0.0,
        error=_first(wrong),
        again_in=wait.delay.seconds,
        exit_code=Exit.UNVERIFIED,
        # Not `revision`: that says what is served.
        fields={"wanted": state.desired.revision, "reload": wait.reasons[0]},
    )


def held_whole(applied: ApplyResult, hold: Hold, installed: InstallResult) -> Outcome:
    """Return the outcome of a pass that holds everything, because what the files serve is all that is known."""
    served = applied.outcome == "confirmed"
    return Outcome(
        f"removal held: generation {applied.generation.name} stays",
        served,
        changed=bool(installed.changed),
        error=_first([f"removal held: {hold}", *installed.failed]),
        retry=not served,
        exit_code=Exit.REJECTED,
        fields={"digest": applied.generation.digest},
    )


def without_source(applied: ApplyResult, error: Unavailable, wanted_once: bool) -> Outcome:
    """Return the outcome of a pass that cannot read the source, and serves an earlier generation.

    `wanted_once`: an earlier pass wanted it, and verified that it is served; else it only lets HAProxy start, and
    the host is not ready.
    """
    served = applied.outcome == "confirmed"
    state = "is still served" if served else "is live, but HAProxy does not answer"
    return Outcome(
        f"no source; generation {applied.generation.name} {state}",
        served and wanted_once,
        error=f"{error}; generation {applied.generation.name} {state}",
        retry=True,
        exit_code=Exit.UNAVAILABLE,
        fields={"digest": applied.generation.digest},
    )


def stale(outcome: Outcome, source: Health) -> Outcome:
    """Add that what is served may be out of date, while the source does not answer.

    It comes first if HAProxy was verified, since the host's state is named after it.
    """
    if source.ok:
        return outcome
    old = f"what is served may be old: {source.detail}"
    both = (old, outcome.error) if outcome.confirmed else (outcome.error, old)
    return msgspec.structs.replace(outcome, error="; ".join(filter(None, both)))


def pinned(applied: ApplyResult, since: str) -> Outcome:
    """Return the outcome of a pass while an operator holds HAProxy at an older generation."""
    served = applied.outcome == "confirmed"
    return Outcome(
        f"rolled back since {since}: {how_applied(applied)}; changes wait for "
        "`lbsync rollback --release`",
        served,
        changed=applied.reload is not None,
        error="" if served else applied.detail,
        retry=not served,
        exit_code=_exit(served, applied.reload is not None, []),
        fields={"digest": applied.generation.digest},
    )
