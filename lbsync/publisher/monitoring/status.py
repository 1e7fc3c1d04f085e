"""How a publisher does, as one record: its metrics and `/status` are views of it."""

import time

import msgspec

import lbsync
from lbsync.loop import Report
from lbsync.publisher.publisher import Publisher


class PublisherStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was so after the last pass. Times are seconds since 1970; 0 stands for "never"."""

    cluster: str
    name: str
    """Who this is, among the replicas."""
    started_at: float
    lbsync: str = lbsync.__version__
    written_at: float = 0.0
    passes: int = 0
    leader: str = ""
    """Who leads, as far as known."""
    leads: bool = False
    """This one does."""
    sentence: str = "no pass has ended yet"
    error: str = ""
    kubernetes: str = ""
    """Why the cluster is not watched right now; empty: it is."""
    missing: tuple[str, ...] = ()
    """What has not been listed yet, without which nothing is published."""
    unread: tuple[str, ...] = ()
    """One sentence for each namespace that cannot be read."""
    objects: dict[str, int] = {}
    """Kind to how many objects of it are known."""
    published: int = 0
    refused: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    held: int = 0
    """Services with a removal of servers that waits."""
    hold: str = ""
    """One sentence about all of these."""
    transactions: int = 0
    """Since it started."""
    keys: int = 0
    """Keys written or removed since it started."""

    def after(self, report: Report, publisher: Publisher) -> "PublisherStatus":
        """Return it as of the end of a pass. In the thread that runs the passes."""
        outcome, found = report.outcome, publisher.summary
        leads = publisher.election.fence is not None
        fields = outcome.fields if outcome is not None else {}
        return msgspec.structs.replace(
            self,
            name=publisher.name,
            written_at=time.time(),
            passes=self.passes + 1,
            leader=publisher.election.leader,
            leads=leads,
            sentence=outcome.sentence if outcome is not None else "",
            error=report.error or report.reload_error,
            kubernetes=publisher.healthy,
            missing=tuple(publisher.missing),
            unread=tuple(publisher.unread),
            objects=publisher.informers.counts,
            # Who does not lead has looked at nothing.
            published=found.published if leads else 0,
            refused=found.refused if leads else (),
            conflicts=found.conflicts if leads else (),
            held=found.held if leads else 0,
            hold=found.hold if leads else "",
            transactions=self.transactions + _number(fields.get("transactions")),
            keys=self.keys + _number(fields.get("keys")),
        )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
