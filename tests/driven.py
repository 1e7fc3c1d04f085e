"""A publisher in this process whose passes a test runs: time runs fast, and nothing is left to luck."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.etcd import open_etcd
from harness.fake_kube import FakeKube
from harness.publisher import Store
from lbsync.clients.source import Source
from lbsync.errors import Unavailable
from lbsync.loop import Outcome, Waker
from lbsync.publisher.publisher import Publisher
from lbsync.settings import Publisher as Settings
from lbsync.values.basic import Duration, Name
from tests.kube import FAST, config_for

T = TypeVar("T")


class Driven:
    """One replica; `until` runs its passes."""

    def __init__(self, store: Store, fake: FakeKube, directory: Path, **fields: Any) -> None:
        """`fields` are those of `[publisher]`, and of `Timing`; `name` is who it is, `source` another
        store than etcd."""
        name = str(fields.pop("name", "driven"))
        adopt = bool(fields.pop("adopt", False))
        times = {key: fields.pop(key) for key in tuple(fields) if key in FAST.__struct_fields__}
        self.source: Source = fields.pop("source", None) or open_etcd(store.urls, store.prefix)
        given: dict[str, Any] = {"address_mode": "pod", "brake_hold": Duration(1000), **fields}
        if "cluster" in given:
            given["cluster"] = Name(given["cluster"])
        self.settings = Settings(**given)
        self.waker = Waker()
        self.now = 0.0
        """Added to the clock: how much time the test has skipped."""
        self.publisher = Publisher(
            self.settings,
            self.source,
            config_for(fake, directory),
            name=name,
            adopt=adopt,
            clock=lambda: time.monotonic() + self.now,
            timing=msgspec.structs.replace(FAST, **times),
        )
        self.source.start(self.waker.wake)
        self.publisher.start(self.waker.wake)
        self.outcomes: list[Outcome] = []

    def run_pass(self) -> Outcome:
        """Run one pass."""
        self.outcomes.append(self.publisher.run_pass())
        return self.outcomes[-1]

    def until(self, what: str, probe: Callable[[], T], timeout: float = 30.0) -> T:
        """Run passes until `probe` returns something true; return that."""
        deadline = time.monotonic() + timeout
        while True:
            if not self.publisher.missing:
                with contextlib.suppress(Unavailable):
                    self.run_pass()
            if found := probe():
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout:g} s for {what}: {self.outcomes[-1:]}")
            self.waker.wait(0.02)

    def settle(self) -> Outcome:
        """Run passes until one has nothing to write; return its outcome."""

        def is_quiet() -> bool:
            if not self.outcomes:
                return False
            last = self.outcomes[-1]
            return last.confirmed and not last.changed

        self.until("nothing to be left to write", is_quiet)
        return self.outcomes[-1]

    def close(self) -> None:
        """End it. May be called twice."""
        self.publisher.close()
        self.source.close()
