"""Whether the live version would pass a health check that changes with a new version.

The service has one check for all its groups, so a path that only the new version knows would take out every
server of the old one, and with them the service, before anything is switched.
"""

from collections.abc import Iterable

from msgspec import UNSET

from lbsync.clients import http_probe
from lbsync.deployer.kubernetes import manifests
from lbsync.deployer.kubernetes.document import App
from lbsync.errors import Rejected
from lbsync.kube_objects import PodState, Service
from lbsync.model.records import Check, ServiceRecord

_CHECK = "lbsync.io/check"
_TIMEOUT_S = 2.0
_AT_MOST = 20
"""Pods that are asked: those of one version are alike."""


def refuse_a_check_that_live_pods_fail(
    app: App, there: Service, serving: Iterable[PodState]
) -> None:
    """Raise `Rejected` if a pod that serves now answers the app's check badly, and that check is a new one.

    A pod that cannot be reached from here proves nothing.
    """
    if there.annotations.get(_CHECK) == manifests.annotations(app).get(_CHECK):
        return
    check = app.service.check
    if check.kind == "none":
        return
    for pod in [pod for pod in serving if pod.ready and pod.address][:_AT_MOST]:
        if why := _wrong(pod, app.service, check, app.port if check.port is UNSET else check.port):
            raise Rejected(
                f"service.check: it changes, and pod {pod.name}, which serves now, would fail it ({why}): the version "
                "that is live would be taken out before the switch; deploy a version first that answers both checks"
            )


def _wrong(pod: PodState, service: ServiceRecord, check: Check, port: int) -> str:
    if check.kind == "tcp" or service.backend_tls is not UNSET:
        answer = http_probe.connects(pod.address, port, _TIMEOUT_S)
        return answer.problem if answer.refused else ""
    question = http_probe.Question(
        path="/" if check.path is UNSET else check.path,
        method=check.method,
        host=manifests.first_host(service),
        timeout=_TIMEOUT_S,
    )
    answer = http_probe.ask(pod.address, port, question)
    if answer.refused:
        return answer.problem
    wanted = "200-399" if check.status is UNSET else check.status
    if answer.status and not http_probe.is_good(answer.status, wanted):
        return f"it answers {answer.status}, wanted {wanted}"
    return ""
