"""These objects as they travel; see `lbsync.clients.kube.wire`."""

import msgspec

from lbsync.clients.kube.wire import Meta, Number, Object, Part, Text


class GenerationMeta(Meta):
    """`metadata` of an object whose `spec` is counted."""

    generation: Number = None


class DeploymentSpec(Part):
    """`Deployment.spec`."""

    replicas: Number = None


class Condition(Part):
    """One of `status.conditions`."""

    type: Text = None
    status: Text = None
    reason: Text = None
    message: Text = None


class DeploymentStatus(Part):
    """`Deployment.status`."""

    observed_generation: Number = None
    conditions: list[Condition] | None = None


class Deployment(Object):
    """apps/v1 Deployment."""

    metadata: GenerationMeta
    spec: DeploymentSpec | None = None
    status: DeploymentStatus | None = None


class Waiting(Part):
    """`state.waiting`."""

    reason: Text = None
    message: Text = None


class Terminated(Part):
    """`state.terminated`, and `lastState.terminated`."""

    reason: Text = None
    exit_code: Number = None


class State(Part):
    """`state` and `lastState` of a container."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(Part):
    """One of `status.containerStatuses`."""

    name: Text = None
    image_id: Text = msgspec.field(default=None, name="imageID")
    restart_count: Number = None
    state: State | None = None
    last_state: State | None = None


class PodStatus(Part):
    """`Pod.status`."""

    phase: Text = None
    pod_ip: Text = msgspec.field(default=None, name="podIP")
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class Pod(Object):
    """v1 Pod."""

    status: PodStatus | None = None


class Reference(Part):
    """`Event.involvedObject`."""

    name: Text = None


class Series(Part):
    """`Event.series`."""

    last_observed_time: Text = None


class Event(Object):
    """v1 Event."""

    involved_object: Reference | None = None
    type: Text = None
    reason: Text = None
    message: Text = None
    last_timestamp: Text = None
    event_time: Text = None
    series: Series | None = None
