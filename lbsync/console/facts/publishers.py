"""The publishers of Kubernetes Services, and their messages to the owners of objects."""

import msgspec

from lbsync.console.facts.state import State
from lbsync.published import describe, is_old
from lbsync.schema.publishing import Known

_MOST_REPORTS = 500


class PublisherReport(msgspec.Struct, frozen=True):
    """The messages for the owner of one object."""

    about: str
    """`service shop/cart` or `ingress shop/cart`."""
    sentences: tuple[str, ...]
    since: str
    is_refused: bool


class PublisherView(msgspec.Struct, frozen=True):
    """The publishers of one cluster."""

    cluster: str
    is_well: bool
    sentence: str
    leader: str
    synced_at: str
    """RFC 3339, UTC: when etcd was last found equal to the cluster."""
    is_late: bool
    """That is longer ago than it should be."""
    services: int
    notices: tuple[str, ...]
    reports: tuple[PublisherReport, ...]
    """The first 500, refusals first."""
    more: int


class PublishersView(msgspec.Struct, frozen=True):
    """All clusters."""

    clusters: tuple[PublisherView, ...]


def publishers_view(state: State, now: float) -> PublishersView:
    """Return what all publishers say. `now`: seconds since 1970."""
    return PublishersView(tuple(_view(known, now) for known in state.publishers.values()))


def _view(known: Known, now: float) -> PublisherView:
    beat = known.heartbeat
    sentence, is_well = describe(known, now, ages=False)
    reports = [
        PublisherReport(about, report.sentences, report.since, bool(report.refused))
        for about, report in sorted(known.reports.items())
        if report.sentences
    ]
    reports.sort(key=lambda report: not report.is_refused)
    notices = tuple(filter(None, (beat.hold_sentence, *beat.notices))) if beat is not None else ()
    return PublisherView(
        known.cluster,
        is_well,
        sentence,
        known.leader.identity if known.leader is not None else "",
        beat.synced_at if beat is not None else "",
        beat is not None and is_old(beat, now),
        beat.services if beat is not None else 0,
        notices,
        tuple(reports[:_MOST_REPORTS]),
        max(0, len(reports) - _MOST_REPORTS),
    )
