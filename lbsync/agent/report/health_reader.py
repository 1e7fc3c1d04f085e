"""The answer to clients that watch services: the health of those asked for, and a summary of all."""

import time
from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from lbsync.agent.report import health_reading
from lbsync.clients.haproxy.options import HaproxyOptions, from_settings
from lbsync.clients.source import Source
from lbsync.errors import Unavailable
from lbsync.model.health import HealthRecord, HealthSummary
from lbsync.schema.health import WATCHERS, Asked
from lbsync.schema.keys import ServiceId
from lbsync.settings import Settings
from lbsync.timestamps import stamp

_SUMMARY_EVERY_S = 10.0
#: etcd takes 1.5 MB; an answer of more than this names fewer services.
_MOST_BYTES = 512 << 10
_NO_GROUP = ("default",)


class HealthReader:
    """Reads HAProxy once for all clients; caches what need not be read each time. Used by one thread."""

    def __init__(self, settings: Settings, source: Source) -> None:
        """`source`: where the groups of services are known."""
        self._source = source
        self._groups: tuple[int, dict[ServiceId, tuple[str, ...]]] = (-1, {})
        self.forget()
        self.follow(settings)

    def follow(self, settings: Settings) -> None:
        """Take over new settings."""
        self._options: HaproxyOptions = from_settings(settings)

    def forget(self) -> None:
        """Drop what was cached: no client watches any more."""
        self._summary: HealthSummary | UnsetType = UNSET
        self._summary_at = float("-inf")

    def record(self, questions: Asked, every_s: float) -> HealthRecord:
        """Return the answer; it contains the error if HAProxy cannot be read. `every_s`: seconds until the next one."""
        at, every = stamp(milliseconds=True), round(every_s, 1)
        try:
            wanted = self._groups_of(questions.services)
            reading = health_reading.read(self._options, wanted)
            if questions.all:
                self._refresh_summary()
        except Unavailable as error:
            return HealthRecord(at, every, asked=questions.newest, error=str(error))
        record = HealthRecord(
            at,
            every,
            reading.services,
            self._summary if questions.all else UNSET,
            questions.left_out,
            questions.newest,
            reading.unasked_workers,
        )
        return _cut(record)

    def _refresh_summary(self) -> None:
        now = time.monotonic()
        if self._summary is UNSET or now - self._summary_at >= _SUMMARY_EVERY_S:
            self._summary = health_reading.summary(self._options)
            self._summary_at = now

    def _groups_of(self, services: Sequence[ServiceId]) -> dict[ServiceId, tuple[str, ...]]:
        """Return the groups that each service has. Looked for again when something has changed."""
        revision, known = self._groups
        if revision != self._source.leased(WATCHERS).followed_revision or known.keys() != set(
            services
        ):
            found: dict[ServiceId, list[str]] = {service: [] for service in services}
            folders = {f"endpoints/{service}/": service for service in services}
            snapshot = self._source.snapshot()
            for key in snapshot.items:
                folder, _, group = key.rpartition("/")
                if (service := folders.get(f"{folder}/")) is not None:
                    found[service].append(group)
            known = {
                service: tuple(sorted(groups)) or _NO_GROUP for service, groups in found.items()
            }
            self._groups = (snapshot.followed_revision, known)
        return known


def _cut(record: HealthRecord) -> HealthRecord:
    """Leave services out until the answer is of a size that etcd takes."""
    size, kept = 0, {}
    for service, groups in record.services.items():
        size += len(msgspec.json.encode(groups)) + len(service)
        if size > _MOST_BYTES:
            break
        kept[service] = groups
    if len(kept) == len(record.services):
        return record
    left_out = record.left_out + len(record.services) - len(kept)
    return msgspec.structs.replace(record, services=kept, left_out=left_out)
