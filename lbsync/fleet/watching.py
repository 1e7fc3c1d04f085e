"""Ask every host how services do, and hear what they answer."""

import secrets
import threading
import time
from collections.abc import Collection
from typing import Self

import msgspec
from msgspec import UNSET

from lbsync.clients.source import Lease, Put, Source
from lbsync.errors import Conflict, Unavailable
from lbsync.model.health import HealthRecord, WatcherRecord
from lbsync.schema import fleet, health
from lbsync.schema.decode import encode
from lbsync.timestamps import stamp

LEASE_S = 10
"""Seconds after which the question of somebody who was killed is gone."""
_LOOK_AGAIN_S = 0.5


class Question:
    """A key below `watchers/` that stands for the length of a `with` block."""

    def __init__(self, source: Source, record: WatcherRecord) -> None:
        """Nothing is written before the block."""
        self._source = source
        self._record = record
        self._key = health.watcher_key(secrets.token_hex(6))
        self._lease: Lease | None = None

    def __enter__(self) -> Self:
        """Ask. Raises `Unavailable`, also where this user of etcd may not."""
        self.keep()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask no more."""
        if self._lease is not None:
            self._lease.end()

    def keep(self) -> None:
        """Ask again if the question is gone, as after a loss of etcd's. Raises `Unavailable`."""
        if self._lease is None or not self._lease.remaining():
            self._lease = self._source.lease(LEASE_S)
            self._write()

    def change(self, services: Collection[str], *, everything: bool = False) -> None:
        """Ask for something else from now on. Raises `Unavailable`."""
        self._record = msgspec.structs.replace(
            self._record, services=tuple(services), all=everything
        )
        if self._lease is None or not self._lease.remaining():
            self.keep()
        else:
            self._write()

    def _write(self) -> None:
        if self._lease is None:
            return
        try:
            self._source.commit([], [Put(self._key, encode(self._record), self._lease.id)])
        except Conflict as error:
            self._lease = None
            raise Unavailable(f"the question could not be kept: {error}") from error


def question(
    source: Source,
    by: str,
    *,
    services: Collection[str] = (),
    everything: bool = False,
    revision: int = 0,
) -> Question:
    """Return a question to every host; see `WatcherRecord`. `by`: who asks, for people."""
    record = WatcherRecord(tuple(services), everything, revision, by, stamp())
    return Question(source, record)


class Answers(msgspec.Struct, frozen=True):
    """What came within a time."""

    hosts: dict[str, HealthRecord]
    """Host to what it says of the services that were asked for."""
    silent: tuple[str, ...]
    """Hosts that report, and have not answered this."""


def first_answers(
    source: Source,
    answers: Source,
    by: str,
    *,
    services: Collection[str] = (),
    everything: bool = False,
    within_s: float,
) -> Answers:
    """Ask, and return what was answered once every live host has, or after `within_s` seconds.

    `answers`: the store of answers, not started yet. Raises `Unavailable`.
    """
    live = fleet.census(source.snapshot()).reporting
    if not live:
        return Answers({}, ())
    news = threading.Event()
    deadline = time.monotonic() + within_s
    with question(source, by, services=services, everything=everything):
        answers.start(news.set)
        while True:
            news.clear()
            found = about(_answered(answers), live, services, everything=everything)
            left = deadline - time.monotonic()
            if not found.silent or left <= 0:
                return found
            news.wait(left)


def heard(asked: Question, answers: Source) -> dict[str, HealthRecord | None]:
    """Return what every host answers now; `answers`: the store of answers, followed already.

    Raises `Unavailable` if the question can be kept no more.
    """
    asked.keep()
    return _answered(answers)


def about(
    found: dict[str, HealthRecord | None],
    live: Collection[str],
    services: Collection[str],
    *,
    everything: bool,
) -> Answers:
    """Return what of these answers is to a question about `services`, or all. `live`: hosts that report."""
    told = _about(found, services, everything=everything)
    return Answers(told, tuple(sorted(set(live) - told.keys())))


def _answered(answers: Source) -> dict[str, HealthRecord | None]:
    try:
        return health.answers(answers.snapshot())
    except Unavailable:  # it was not listed yet
        return {}


def _about(
    found: dict[str, HealthRecord | None], services: Collection[str], *, everything: bool
) -> dict[str, HealthRecord]:
    """Return the answers to this question among those to others."""
    return {
        host: record
        for host, record in found.items()
        if record is not None
        and (
            record.error
            or record.left_out
            or (
                all(service in record.services for service in services)
                and (not everything or record.summary is not UNSET)
            )
        )
    }
