"""Commands of people for a deployment in progress. Pure: a record becomes the next one, or the command is refused."""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec import UNSET

from lbsync.errors import Rejected
from lbsync.model.deploying import BEFORE_TRAFFIC, DeploymentRecord
from lbsync.timestamps import stamp

Command = Literal["pause", "resume", "promote", "cancel", "rollback", "abandon"]


def apply(
    record: DeploymentRecord, command: Command, by: str, now: float
) -> tuple[DeploymentRecord, str]:
    """Return the record after a command, and the event that describes it. `by`: the user; `now`: seconds since
    1970. Raises `Rejected` if the command does not apply to the phase, and names one that does."""
    if record.is_ended:
        back = "; 'lbsync deploy rollback' brings back the version before"
        raise Rejected(
            f"deployment {record.id} has ended: it is {record.phase}"
            f"{back if record.phase == 'deployed' and record.old is not UNSET else ''}"
        )
    if command == "abandon":
        return _abandon(record, by)
    if record.phase == "reverting" or record.wish:
        raise Rejected(
            f"deployment {record.id} is on its way back: {record.reason or record.wish}; where it cannot come to its "
            "end, 'lbsync deploy abandon' ends it as it stands"
        )
    if record.is_removal:
        _refuse_of_a_removal(record, command)
    return _COMMANDS[command](record, by, now)


def _refuse_of_a_removal(record: DeploymentRecord, command: Command) -> None:
    if command in ("promote", "rollback"):
        raise Rejected(
            f"deployment {record.id} takes the app away: there is no version to go to; 'lbsync deploy cancel' "
            "puts the route back"
        )
    if command in ("cancel", "pause") and record.phase == "drained":
        raise Rejected(
            f"deployment {record.id} removes the app's pods already, which cannot be undone; deploy the app once more "
            "when it has ended"
        )


def _pause(record: DeploymentRecord, by: str, _now: float) -> tuple[DeploymentRecord, str]:
    if record.paused:
        raise Rejected(f"deployment {record.id} is paused already, by {record.paused}")
    return msgspec.structs.replace(record, paused=by or "somebody"), "paused"


def _resume(record: DeploymentRecord, _by: str, now: float) -> tuple[DeploymentRecord, str]:
    if not record.paused:
        raise Rejected(f"deployment {record.id} is not paused")
    # What it waited for may take as long again as it may from the beginning.
    restarts_wait = record.phase in BEFORE_TRAFFIC
    at = stamp(now, milliseconds=True) if restarts_wait else record.phase_at
    return msgspec.structs.replace(record, paused="", phase_at=at), "resumed"


def _promote(record: DeploymentRecord, _by: str, now: float) -> tuple[DeploymentRecord, str]:
    last = len(record.strategy.shares)
    if record.phase not in ("staged", "switching") or record.step >= last:
        raise Rejected(
            f"deployment {record.id} has no step to be promoted to now: it is {record.phase}"
        )
    begins = record.strategy.preview and not record.step and not record.promoted
    following = 1 if begins else max(record.step, 1) + 1
    if following > last or record.promoted >= following:
        raise Rejected(f"deployment {record.id} is promoted already, to step {record.promoted}")
    told = f"promoted to step {following} of {last}"
    # Its servers may take as long again to be up everywhere as they may from the beginning.
    at = stamp(now, milliseconds=True) if begins else record.phase_at
    return msgspec.structs.replace(record, promoted=following, phase_at=at), told


def _abandon(record: DeploymentRecord, by: str) -> tuple[DeploymentRecord, str]:
    if record.phase != "reverting" and not (record.is_removal and record.phase == "drained"):
        raise Rejected(
            f"deployment {record.id} is not on its way back: it is {record.phase}; 'lbsync deploy cancel' puts "
            "everything back first"
        )
    if record.abandoned:
        raise Rejected(f"deployment {record.id} is abandoned already, by {record.abandoned}")
    return msgspec.structs.replace(record, abandoned=by or "somebody"), "to end as it stands"


def _back(wish: Literal["cancel", "rollback"]) -> Callable[..., tuple[DeploymentRecord, str]]:
    def turn(record: DeploymentRecord, by: str, _now: float) -> tuple[DeploymentRecord, str]:
        told = "cancelled" if wish == "cancel" else "rolled back"
        after = msgspec.structs.replace(record, wish=wish, reason=f"{told} by {by}", paused="")
        return after, f"to be {told}"

    return turn


_COMMANDS: Mapping[Command, Callable[..., tuple[DeploymentRecord, str]]] = {
    "pause": _pause,
    "resume": _resume,
    "promote": _promote,
    "cancel": _back("cancel"),
    "rollback": _back("rollback"),
}
