"""From a created Deployment to a healthy version: by Kubernetes' readiness, and by the app's own probe."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
from msgspec import UNSET

from lbsync.clients import http_probe
from lbsync.clients.kube import Client
from lbsync.deployer.kubernetes import manifests, pods
from lbsync.deployer.kubernetes.cluster import AppCluster
from lbsync.deployer.kubernetes.document import App
from lbsync.deployer.kubernetes.explanation import explain, is_node_coming
from lbsync.deployer.provider import GateView
from lbsync.kube_objects import Deployment, PodState
from lbsync.schema.reading import one_line

_AT_ONCE = 16
"""Pods that are asked at the same time."""
_WITHOUT_PROBE = 3
"""So many looks in a row a pod has to be Ready where the app has no probe: one that ends again and again may be so
for a moment."""


class _Standing(msgspec.Struct):
    """How one pod has done."""

    good: int = 0
    asked: float = -1e9
    said: str = ""


class KubernetesGate:
    """The gate of one version. Each look asks Kubernetes, then every pod that is ready and due."""

    def __init__(
        self,
        client: Client,
        app: App,
        number: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = AppCluster(client, app.namespace, app.name)
        self._app = app
        self._number = number
        self._clock = clock
        self._standing: dict[str, _Standing] = {}
        self._since: dict[tuple[str, str], float] = {}

    def look(self) -> GateView:
        """Look once more. Raises `Unavailable` if the API server does not answer."""
        made = self._cluster.deployment(self._number)
        if made is None:
            name = manifests.deployment_name(self._app.name, self._number)
            return GateView(
                is_made=False,
                is_done=False,
                failed=f"Deployment {name} is not there any more: somebody has removed it",
            )
        deployment = made.value
        found = pods.living(self._cluster.pods(self._number))
        if (failed := self._failure(deployment, found)) is not None:
            return failed
        # One that somebody scaled to nothing proves nothing.
        wanted = max(1, deployment.replicas)
        ready = [pod for pod in found if pod.ready and pod.address]
        self._ask(ready)
        good = sum(self._standing[pod.uid].good >= self._needed for pod in ready)
        is_seen = deployment.observed >= deployment.generation
        return GateView(
            is_made=True,
            is_done=is_seen and good >= wanted and len(ready) == len(found),
            detail=self._detail(ready, good, wanted),
            servers=wanted,
        )

    @property
    def _needed(self) -> int:
        return _WITHOUT_PROBE if self._app.probe is UNSET else self._app.probe.good

    def _failure(self, deployment: Deployment, found: Sequence[PodState]) -> GateView | None:
        """Return the view of a version that will never be healthy, once that is beyond doubt."""
        now = self._clock()
        told = {(trouble.pod, trouble.kind): trouble for trouble in pods.troubles(found)}
        keys = {*told, ("", "refused")} if deployment.refused else set(told)
        self._since = {key: self._since.get(key, now) for key in keys}
        if deployment.refused and now - self._since["", "refused"] >= pods.PATIENCE_S:
            reason = f"Kubernetes makes no pods for {deployment.name}: {deployment.refused}"
            return GateView(is_made=True, is_done=False, failed=one_line(reason, 1000))
        for key, trouble in told.items():
            if now - self._since[key] < trouble.patience:
                continue
            if trouble.unschedulable and is_node_coming(self._cluster, trouble.pod):
                continue
            return GateView(
                is_made=True,
                is_done=False,
                failed=one_line(trouble.reason, 1000),
                log=explain(self._cluster, trouble),
            )
        return None

    def _ask(self, ready: Sequence[PodState]) -> None:
        """Ask each pod that is due, and count; one that is not ready any more starts again."""
        self._standing = {pod.uid: self._standing.get(pod.uid, _Standing()) for pod in ready}
        if self._app.probe is UNSET:
            for standing in self._standing.values():
                standing.good += 1
            return
        now = self._clock()
        interval = self._app.probe.interval.seconds
        due = [pod for pod in ready if now - self._standing[pod.uid].asked >= interval]
        if not due:
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(due)), "probe") as pool:
            for pod, said in zip(due, pool.map(self._answer, due), strict=True):
                standing = self._standing[pod.uid]
                standing.asked, standing.said = now, said
                standing.good = 0 if said else standing.good + 1

    def _answer(self, pod: PodState) -> str:
        """Return what is wrong with a pod's answer; empty: nothing is."""
        probe = self._app.probe
        if probe is UNSET:
            return ""
        port = self._app.port if probe.port is UNSET else probe.port
        question = http_probe.Question(
            path=probe.path,
            method=probe.method,
            host=manifests.probe_host(self._app),
            timeout=probe.timeout.seconds,
        )
        answer = http_probe.ask(pod.address, port, question)
        if answer.problem:
            return f"{answer.problem} ({pod.address}:{port})"
        return "" if http_probe.is_good(answer.status, probe.status) else f"answers {answer.status}"

    def _detail(self, ready: Sequence[PodState], good: int, wanted: int) -> str:
        said = pods.count_sentence(min(len(ready), wanted), wanted)
        if self._app.probe is UNSET:
            return said
        said += f", {good} by the probe of {self._app.probe.path}"
        bad = [(pod.name, self._standing[pod.uid].said) for pod in ready]
        wrong = [f"{name}: {why}" for name, why in bad if why]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return one_line(f"{said}; pod {wrong[0]}{more}", 1000) if wrong else said
