"""The health of nodes, pods and data stores, those that need attention first."""

from collections.abc import Iterator, Sequence

import msgspec

from lbsync.kube_objects import Node, PodState
from lbsync.values.plural import count

_MOST_PODS = 500
_KILLED = "OOMKilled"
_MANY = 3
"""So many restarts are more than a mishap."""
_ORDER = ("critical", "warning", "unknown", "ok")


class StoreSeen(msgspec.Struct, frozen=True):
    """What a check of a data store found."""

    name: str
    url: str
    degree: str
    """`ok` or `critical`."""
    said: str


class Seen(msgspec.Struct, frozen=True, eq=False):
    """What was found at one time."""

    at: str
    """RFC 3339, UTC."""
    nodes: Sequence[Node] = ()
    pods: Sequence[PodState] = ()
    stores: tuple[StoreSeen, ...] = ()
    error: str = ""
    """Why the cluster cannot be read; empty: it can, or none is asked."""


class NodeView(msgspec.Struct, frozen=True):
    """One node."""

    node: str
    degree: str
    said: str


class PodView(msgspec.Struct, frozen=True):
    """One pod."""

    pod: str
    """`<namespace>/<name>`."""
    degree: str
    """`ok`, `warning` or `critical`."""
    phase: str
    restarts: int
    last_end: str
    """Why a container ended the last time, as `OOMKilled`; empty: none did."""
    said: str


class ClusterView(msgspec.Struct, frozen=True):
    """All of it."""

    is_configured: bool
    at: str
    """When it was looked at; empty: not yet."""
    error: str
    sentence: str
    stores: tuple[StoreSeen, ...]
    nodes: tuple[NodeView, ...]
    pods: tuple[PodView, ...]
    """The first 500, those that need attention first."""
    more: int


def cluster_view(
    seen: Seen | None, namespaces: Sequence[str] = (), *, is_configured: bool = True
) -> ClusterView:
    """Return what was found. `namespaces`: pods of others are passed over, and so are nodes and data stores, which
    are everybody's; none named: all is shown."""
    if seen is None:
        told = "It is looked at now." if is_configured else "Nothing is set to be looked at."
        return ClusterView(is_configured, "", "", told, (), (), (), 0)
    pods = [_pod(pod) for pod in seen.pods if not namespaces or pod.namespace in namespaces]
    pods.sort(key=_urgency)
    nodes = (
        []
        if namespaces
        else sorted(map(_node, seen.nodes), key=lambda n: (_rank(n.degree), n.node))
    )
    stores = (
        () if namespaces else tuple(sorted(seen.stores, key=lambda s: (_rank(s.degree), s.name)))
    )
    bad = sum(pod.degree != "ok" for pod in pods)
    parts = [
        f"{count(len(pods), 'pod')}, {bad} of which need attention" if pods else "",
        _not_well("node", [n.degree for n in nodes]),
        _not_well("data store", [s.degree for s in stores]),
    ]
    return ClusterView(
        is_configured, seen.at, seen.error, "; ".join(filter(None, parts)) or "There is nothing.",
        stores, tuple(nodes), tuple(pods[:_MOST_PODS]), max(0, len(pods) - _MOST_PODS),
    )  # fmt: skip


def _not_well(what: str, degrees: Sequence[str]) -> str:
    unwell = sum(degree != "ok" for degree in degrees)
    return f"{count(len(degrees), what)}, {unwell} not well" if degrees else ""


def _rank(degree: str) -> int:
    return _ORDER.index(degree)


def _urgency(pod: PodView) -> tuple[int, bool, int, str]:
    """What comes first: what is worst, of that what was killed for memory, of that what restarts most."""
    return _rank(pod.degree), pod.last_end != _KILLED, -pod.restarts, pod.pod


def _node(node: Node) -> NodeView:
    if not node.ready:
        return NodeView(node.name, "critical", "it is not ready")
    if any(taint.key == "node.kubernetes.io/unschedulable" for taint in node.taints):
        return NodeView(node.name, "warning", "it takes no new pods")
    return NodeView(node.name, "ok", "ready")


def _pod(pod: PodState) -> PodView:
    restarts = sum(container.restarts for container in pod.containers)
    ends = [each.last_end for each in pod.containers if each.last_end]
    last = _KILLED if _KILLED in ends else (ends[0] if ends else "")
    said = tuple(_said(pod))
    if pod.phase in ("Succeeded", "Failed"):
        degree = "ok" if pod.phase == "Succeeded" else "warning"
    elif said or (restarts >= _MANY and last in (_KILLED, "Error")):
        degree = "critical"
    elif restarts or not pod.ready:
        degree = "warning"
    else:
        degree = "ok"
    told = "; ".join(said) or ("it takes more memory than its limit" if last == _KILLED else "")
    return PodView(f"{pod.namespace}/{pod.name}", degree, pod.phase, restarts, last, told)


def _said(pod: PodState) -> Iterator[str]:
    if pod.unschedulable:
        yield f"no node takes it: {pod.unschedulable}"
    for each in pod.containers:
        if each.waiting and each.waiting not in ("ContainerCreating", "PodInitializing"):
            yield f"{each.name}: {each.waiting}{f' ({each.message})' if each.message else ''}"
