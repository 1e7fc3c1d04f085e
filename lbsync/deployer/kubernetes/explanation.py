"""Details for people when a pod does not start: its last log lines and its events."""

from lbsync.deployer.kubernetes.cluster import AppCluster
from lbsync.deployer.kubernetes.pods import Trouble
from lbsync.errors import LbsyncError
from lbsync.schema.reading import one_line

_LINES = 20
_EVENTS = 5
_MOST = 500
_NODE_COMES = frozenset({"TriggeredScaleUp", "Nominated"})
"""What the cluster autoscaler and Karpenter say of a pod that they make a node for."""


def explain(cluster: AppCluster, trouble: Trouble) -> tuple[str, ...]:
    """Return lines for people, the log's first. What cannot be read is said in a line of its own: the reason of
    the failure is known, and has to get through."""
    return (*_log(cluster, trouble), *_events(cluster, trouble))


def is_node_coming(cluster: AppCluster, pod: str) -> bool:
    """Tell whether a node is being added for a pod that no node accepts. Raises `Unavailable`."""
    return any(event.reason in _NODE_COMES for event in cluster.events(pod))


def _log(cluster: AppCluster, trouble: Trouble) -> list[str]:
    if not trouble.container:
        return []
    text, problem = "", ""
    # What a container wrote before it was started anew may be gone by now.
    for previous in (True, False) if trouble.restarted else (False,):
        try:
            text = cluster.log(trouble.pod, trouble.container, lines=_LINES, previous=previous)
        except LbsyncError as error:
            problem = one_line(f"its log cannot be read: {error}", _MOST)
            continue
        problem = ""
        break
    if problem:
        return [problem]
    lines = [one_line(line, _MOST) for line in text.splitlines() if line.strip()]
    return [f"{trouble.container}: {line}" for line in lines[-_LINES:]]


def _events(cluster: AppCluster, trouble: Trouble) -> list[str]:
    try:
        found = cluster.events(trouble.pod)
    except LbsyncError as error:
        return [one_line(f"its events cannot be read: {error}", _MOST)]
    return [one_line(f"event {event.reason}: {event.message}", _MOST) for event in found[-_EVENTS:]]
