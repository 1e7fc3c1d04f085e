"""The controllers that a bare API server lacks: workloads, pods on nodes, and endpoint slices.

Level-triggered, in one thread: after every write all of them look at everything. Enough of the real
ones for a rolling update to look as it does in a cluster: the new pod becomes ready before an old
one goes, a pod that goes is first terminating in its slice, and slices are changed one by one.
"""

import threading
import time
from collections.abc import Callable

from harness.fake_kube import slices, workloads
from harness.fake_kube.place import Place
from harness.fake_kube.resources import of_kind
from harness.fake_kube.server import FakeKube
from harness.fake_kube.status import Json
from harness.fake_kube.storage import Key


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
        self.ready = ready
        self.grace = grace
        self.slice_size = slice_size
        self._start_pod = start_pod or self._invent_address
        self._stop_pod = stop_pod
        self._pods = 0
        self._ending: dict[Key, float] = {}
        self._switches: dict[Key, bool] = {}
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
            self._switches[namespace, name] = ready
            self.fake.storage.changed.notify_all()

    def settle(self) -> None:
        """Look at everything until there is nothing left to do."""
        while self._step():
            pass

    def _run(self) -> None:
        seen = -1
        while not self._stop.is_set():
            self.settle()
            with self.fake.storage.changed:
                if seen != self.fake.storage.version:
                    seen = self.fake.storage.version
                    continue
                wait = min((at - time.monotonic() for at in self._ending.values()), default=1.0)
                if not self._stop.is_set():
                    self.fake.storage.changed.wait(max(0.001, min(wait, 1.0)))
                seen = -1

    def _step(self) -> bool:
        """Let every controller look once; say whether anything was written."""
        before = self.fake.storage.version
        workloads.deployments(self.fake)
        workloads.replica_sets(self.fake)
        self._kubelet()
        for service in self.fake.objects("Service"):
            slices.sync(self.fake, service, self.slice_size)
        slices.sweep(self.fake)
        return self.fake.storage.version != before

    def _kubelet(self) -> None:
        for pod in self.fake.objects("Pod"):
            meta, status = pod["metadata"], pod.get("status") or {}
            key = (meta["namespace"], meta["name"])
            if meta.get("deletionTimestamp"):
                self._terminate(key, pod)
                continue
            if not status.get("podIP"):
                self._assign(key, pod)
                continue
            ready = self._switches.get(key, self.ready)
            if workloads.is_ready(pod) != ready:
                self.fake.put_status(pod | {"status": status | _conditions(ready)})

    def _assign(self, key: Key, pod: Json) -> None:
        nodes = self.fake.objects("Node")
        if nodes and not pod["spec"].get("nodeName"):
            self._pods += 1
            name = nodes[self._pods % len(nodes)]["metadata"]["name"]
            self.fake.patch("Pod", *key, {"spec": {"nodeName": name}})
        found = self.fake.get("Pod", *key)
        if found is None:
            return
        address = self._start_pod(found)
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        self.fake.put_status(found | {"status": status | _conditions(False)})

    def _terminate(self, key: Key, pod: Json) -> None:
        ends = self._ending.setdefault(key, time.monotonic() + self.grace)
        if time.monotonic() < ends:
            return
        del self._ending[key]
        self._switches.pop(key, None)
        place = Place(of_kind("Pod"), "v1", key[0], key[1], None)
        self.fake.writer.delete(place, b"", {"gracePeriodSeconds": "0"})
        if self._stop_pod is not None:
            self._stop_pod(pod)

    def _invent_address(self, pod: Json) -> str:
        del pod
        self._pods += 1
        return f"10.244.{self._pods // 250}.{self._pods % 250 + 1}"


def _conditions(ready: bool) -> Json:
    return {"conditions": [{"type": "Ready", "status": str(ready)}]}
