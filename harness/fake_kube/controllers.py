"""The controllers that a bare API server lacks: workloads, pods on nodes, and endpoint slices.

Level-triggered, in one thread: after every write all of them look at everything. Enough of the real
ones for a rolling update to look as it does in a cluster: the new pod becomes ready before an old
one goes, a pod that goes is first terminating in its slice, and slices are changed one by one.
"""

import threading
import time
from collections.abc import Callable

from harness.fake_kube import slices, workloads
from harness.fake_kube.kubelet import WELL, Kubelet, Trouble
from harness.fake_kube.server import FakeKube
from harness.fake_kube.status import Json


class Controllers:
    """Runs beside a `FakeKube`.

    `start_pod` is called with a pod that is to run, and returns its address; `stop_pod` with one
    whose time is over. Without them pods have addresses that nothing listens on.
    """

    def __init__(
        self,
        fake: FakeKube,
        *,
        start_pod: Callable[[Json], str] | None = None,
        stop_pod: Callable[[Json], None] | None = None,
        ready: bool = True,
        grace: float = 0.0,
        slice_size: int = 100,
    ) -> None:
        """`ready`: pods become ready by themselves; `grace`: seconds that a pod terminates."""
        self.fake = fake
        self.slice_size = slice_size
        self.kubelet = Kubelet(fake, start_pod, stop_pod, ready=ready, grace=grace)
        self.refused = ""
        """Why no pod can be made: a quota, an admission; "": they can."""
        self._told = 0
        """How often somebody said what pods are to be like."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-controllers")

    def start(self) -> "Controllers":
        """Start the thread that plays the controllers."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End; what runs is left as it is."""
        self._stop.set()
        with self.fake.storage.changed:
            self.fake.storage.changed.notify_all()
        self._thread.join()

    def switch(self, name: str, ready: bool, namespace: str = "default") -> None:
        """Let the kubelet report a pod ready, or not, from now on."""
        with self.fake.storage.changed:
            self.kubelet.switches[namespace, name] = ready
            self._tell()

    def trouble(self, image: str, trouble: Trouble | None) -> None:
        """Let all pods of an image have this trouble from now on; None: none any more."""
        with self.fake.storage.changed:
            self.kubelet.troubles[image] = trouble or WELL
            self._tell()

    def refuse_pods(self, why: str) -> None:
        """Let no pod be made from now on, for this reason; "": let them."""
        with self.fake.storage.changed:
            self.refused = why
            self._tell()

    def _tell(self) -> None:
        self._told += 1
        self.fake.storage.changed.notify_all()

    def settle(self) -> tuple[int, int]:
        """Look at everything until there is nothing left to do; return the state in which that is so."""
        while (seen := self._step()) != self._state():
            pass
        return seen

    def _run(self) -> None:
        while not self._stop.is_set():
            seen = self.settle()
            with self.fake.storage.changed:
                if seen != self._state():
                    continue
                wait = min(
                    (at - time.monotonic() for at in self.kubelet.ending.values()), default=1.0
                )
                if not self._stop.is_set():
                    self.fake.storage.changed.wait(max(0.001, min(wait, 1.0)))

    def _state(self) -> tuple[int, int]:
        """What all that is done depends on, but for the time."""
        return self.fake.storage.version, self._told

    def _step(self) -> tuple[int, int]:
        """Let every controller look once; return the state before that."""
        before = self._state()
        workloads.collect(self.fake)
        workloads.deployments(self.fake)
        workloads.replica_sets(self.fake, self.refused)
        self.kubelet.step()
        for service in self.fake.objects("Service"):
            slices.sync(self.fake, service, self.slice_size)
        slices.sweep(self.fake)
        return before
