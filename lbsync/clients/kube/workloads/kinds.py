"""The kinds, and how each is reduced to its value. Pure; nothing can fail here."""

from collections.abc import Iterable

from lbsync import kube_objects as objects
from lbsync.clients.kube.kinds import Kind
from lbsync.clients.kube.project import labels
from lbsync.clients.kube.workloads import wire

_NOTHING = wire.State()


def _deployment(wired: wire.Deployment) -> objects.Deployment:
    meta = wired.metadata
    spec, status = wired.spec or wire.DeploymentSpec(), wired.status or wire.DeploymentStatus()
    return objects.Deployment(
        namespace=meta.namespace or "",
        name=meta.name,
        uid=meta.uid or "",
        labels=labels(meta.labels),
        annotations=labels(meta.annotations),
        replicas=1 if spec.replicas is None else spec.replicas,
        generation=meta.generation or 0,
        observed=status.observed_generation or 0,
        refused=_condition(status.conditions, "ReplicaFailure", "True"),
        deleting=bool(meta.deletion_timestamp),
    )


def _pod(wired: wire.Pod) -> objects.PodState:
    meta, status = wired.metadata, wired.status or wire.PodStatus()
    containers = [*(status.init_container_statuses or ()), *(status.container_statuses or ())]
    is_ready = any(c.type == "Ready" and c.status == "True" for c in status.conditions or ())
    unscheduled = [c for c in status.conditions or () if c.reason == "Unschedulable"]
    return objects.PodState(
        namespace=meta.namespace or "",
        name=meta.name,
        uid=meta.uid or "",
        labels=labels(meta.labels),
        address=status.pod_ip or "",
        phase=status.phase or "",
        ready=is_ready,
        deleting=bool(meta.deletion_timestamp),
        unschedulable=_condition(unscheduled, "PodScheduled", "False"),
        containers=tuple(map(_container, containers)),
    )


def _container(wired: wire.ContainerStatus) -> objects.ContainerState:
    state, last = wired.state or _NOTHING, wired.last_state or _NOTHING
    waiting = state.waiting or wire.Waiting()
    ended = last.terminated or state.terminated or wire.Terminated()
    return objects.ContainerState(
        name=wired.name or "",
        image_id=wired.image_id or "",
        restarts=wired.restart_count or 0,
        waiting=waiting.reason or "",
        message=waiting.message or "",
        last_end=ended.reason or "",
        last_code=ended.exit_code or 0,
    )


def _condition(found: Iterable[wire.Condition] | None, kind: str, status: str) -> str:
    """Return what a condition says while it has this status; "" while it has not."""
    return next(
        (
            condition.message or condition.reason or kind
            for condition in found or ()
            if condition.type == kind and condition.status == status
        ),
        "",
    )


def _event(wired: wire.Event) -> objects.Event:
    meta, about = wired.metadata, wired.involved_object or wire.Reference()
    series = wired.series or wire.Series()
    at = series.last_observed_time or wired.last_timestamp or wired.event_time
    return objects.Event(
        namespace=meta.namespace or "",
        name=meta.name,
        about=about.name or "",
        type=wired.type or "",
        reason=wired.reason or "",
        message=wired.message or "",
        at=at or meta.creation_timestamp or "",
    )


DEPLOYMENTS: Kind[objects.Deployment] = Kind(
    "Deployment",
    "deployments",
    ("apps/v1",),
    True,
    objects.Deployment,
    wire.Deployment,
    _deployment,
)
POD_STATES: Kind[objects.PodState] = Kind(
    "Pod", "pods", ("v1",), True, objects.PodState, wire.Pod, _pod
)
EVENTS: Kind[objects.Event] = Kind(
    "Event", "events", ("v1",), True, objects.Event, wire.Event, _event
)
