"""The kubelet and the scheduler: pods get an address, become ready, fail as they are told to, and end."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.fake_kube.place import Place
from harness.fake_kube.resources import of_kind
from harness.fake_kube.status import Json
from harness.fake_kube.storage import Key

if TYPE_CHECKING:
    from harness.fake_kube.server import FakeKube


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the pods of one image. Together with `FakeKube.logs`, what a person finds."""

    unschedulable: str = ""
    """No node takes them, and why."""
    waiting: str = ""
    """Reason why the container does not run: `ImagePullBackOff`, `CrashLoopBackOff`, …"""
    message: str = ""
    ended: str = ""
    """How it ended the last time: `Error`, `OOMKilled`."""
    code: int = 1
    restarts: int = 0


WELL = Trouble()


class Kubelet:
    """Looks at every pod once in each step."""

    def __init__(
        self,
        fake: "FakeKube",
        start_pod: Callable[[Json], str] | None,
        stop_pod: Callable[[Json], None] | None,
        *,
        ready: bool,
        grace: float,
    ) -> None:
        self.fake = fake
        self.ready = ready
        self.grace = grace
        self.switches: dict[Key, bool] = {}
        self.troubles: dict[str, Trouble] = {}
        """By image."""
        self.ending: dict[Key, float] = {}
        self._start_pod = start_pod or self._invent_address
        self._stop_pod = stop_pod
        self._pods = 0

    def step(self) -> None:
        """Look at every pod."""
        for pod in self.fake.objects("Pod"):
            meta = pod["metadata"]
            key = (meta["namespace"], meta["name"])
            if meta.get("deletionTimestamp"):
                self._terminate(key, pod)
            else:
                self._run(key, pod)

    def _run(self, key: Key, pod: Json) -> None:
        trouble = self.troubles.get(_images(pod)[0], WELL)
        before = pod.get("status") or {}
        if trouble.unschedulable:
            wanted = {"phase": "Pending", "conditions": [_unscheduled(trouble.unschedulable)]}
        elif not before.get("podIP"):
            self._assign(key, pod)
            return
        else:
            ready = self.switches.get(key, self.ready) and not trouble.waiting
            phase = "Pending" if trouble.waiting and not trouble.restarts else "Running"
            wanted = {"phase": phase, "conditions": [_ready(ready)]}
            wanted["containerStatuses"] = _containers(pod, trouble, ready)
        if before != before | wanted:
            self.fake.put_status(pod | {"status": before | wanted})

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
        self.fake.put_status(found | {"status": status | {"conditions": [_ready(False)]}})

    def _terminate(self, key: Key, pod: Json) -> None:
        ends = self.ending.setdefault(key, time.monotonic() + self.grace)
        if time.monotonic() < ends:
            return
        del self.ending[key]
        self.switches.pop(key, None)
        place = Place(of_kind("Pod"), "v1", key[0], key[1], None)
        self.fake.writer.delete(place, b"", {"gracePeriodSeconds": "0"})
        if self._stop_pod is not None and (pod.get("status") or {}).get("podIP"):
            self._stop_pod(pod)

    def _invent_address(self, pod: Json) -> str:
        del pod
        self._pods += 1
        return f"10.244.{self._pods // 250}.{self._pods % 250 + 1}"


def _images(pod: Json) -> list[str]:
    return [str(c.get("image", "")) for c in pod["spec"].get("containers") or []] or [""]


def _containers(pod: Json, trouble: Trouble, ready: bool) -> list[Json]:
    found = []
    for index, container in enumerate(pod["spec"].get("containers") or []):
        image = str(container.get("image", ""))
        one: Json = {"name": container.get("name", ""), "image": image, "ready": ready}
        one |= {
            "restartCount": trouble.restarts,
            "state": {"running": {}},
            "imageID": _digest(image),
        }
        if index == 0 and trouble.waiting:
            one["state"] = {"waiting": {"reason": trouble.waiting, "message": trouble.message}}
            if trouble.ended:
                ended = {"reason": trouble.ended, "exitCode": trouble.code}
                one["lastState"] = {"terminated": ended}
            if not trouble.restarts:
                one["imageID"] = ""
        found.append(one)
    return found


def _digest(image: str) -> str:
    return (
        f"{image.rpartition(':')[0] or image}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"
    )


def _unscheduled(message: str) -> Json:
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }


def _ready(ready: bool) -> Json:
    return {"type": "Ready", "status": str(ready)}
