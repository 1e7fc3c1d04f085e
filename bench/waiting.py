"""One who waits, as `lbsync wait` does."""

import contextlib
import json
import threading
import time

from bench.scale import service
from harness.etcd import open_etcd
from lbsync.clients.source import Put, Source
from lbsync.errors import Unavailable
from lbsync.fleet import newest
from lbsync.fleet.watching import question
from lbsync.schema import fleet as schema
from lbsync.schema.health import health_prefix


def awaited(source: Source, prefix: str, hosts: int) -> tuple[int, float]:
    """Change a service and wait as `lbsync wait` does; return the revision, and when the last host had said that it
    serves it."""
    value = json.dumps({**service(1), "owner": f"wait {time.time()}"}).encode()
    revision = source.commit([], [Put("services/ns1/svc1", value)])
    told = threading.Event()
    last = 0.0
    with question(source, "bench", revision=revision):
        reports = open_etcd(source._settings.endpoints, f"{prefix}{schema.AGENTS}")  # type: ignore[attr-defined]
        beside = open_etcd(source._settings.endpoints, health_prefix(prefix))  # type: ignore[attr-defined]
        try:
            reports.start(told.set)
            beside.start(told.set)
            while not last:
                told.wait(30)
                told.clear()
                with contextlib.suppress(Unavailable):  # not listed yet
                    live = schema.census(newest(reports, beside), root="").live.values()
                    done = [one for one in live if one is not None and one.revision >= revision]
                    last = time.time() if len(done) == hosts else 0.0
        finally:
            reports.close()
            beside.close()
    return revision, last
