"""Which fields the API has: enough of a pod's to find the usual slips, in the server's words."""

from collections.abc import Iterator

from harness.fake_kube.place import Place
from harness.fake_kube.status import ApiError, Json, bad_request

_CONTAINER = frozenset([
    "name", "image", "command", "args", "workingDir", "ports", "envFrom", "env", "resources", "resizePolicy",
    "volumeMounts", "volumeDevices", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
    "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin", "stdinOnce",
    "tty", "restartPolicy",
])  # fmt: skip
_POD = frozenset([
    "volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy", "affinity", "tolerations",
    "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy", "dnsConfig", "nodeSelector", "nodeName",
    "serviceAccountName", "serviceAccount", "automountServiceAccountToken", "hostNetwork", "hostPID", "hostIPC",
    "shareProcessNamespace", "securityContext", "imagePullSecrets", "hostname", "subdomain", "schedulerName",
    "hostAliases", "priorityClassName", "priority", "readinessGates", "runtimeClassName", "enableServiceLinks",
    "preemptionPolicy", "overhead", "topologySpreadConstraints", "setHostnameAsFQDN", "os", "hostUsers",
    "schedulingGates", "resourceClaims", "resources",
])  # fmt: skip
_DEPLOYMENT = frozenset([
    "replicas", "selector", "template", "strategy", "minReadySeconds", "revisionHistoryLimit", "paused",
    "progressDeadlineSeconds",
])  # fmt: skip


def refuse_strictly(place: Place, body: Json) -> None:
    """Raise 400 for fields that are not declared, as `fieldValidation=Strict` does."""
    if found := list(_undeclared(place, body)):
        listed = ", ".join(f'unknown field "{field}"' for field in found)
        raise bad_request(
            f"{place.resource.kind} in version {place.version!r} cannot be handled as a"
            f" {place.resource.kind}: strict decoding error: {listed}"
        )


def refuse_undeclared(place: Place, body: Json) -> None:
    """Raise what server-side apply says to the first such field, which is no status of a refusal."""
    field = next(_undeclared(place, body), None)
    if field is not None:
        raise ApiError(
            500,
            f"failed to create typed patch object ({place.namespace}/{place.name}; apps/v1,"
            f" Kind={place.resource.kind}): .{field}: field not declared in schema",
        )


def _undeclared(place: Place, body: Json) -> Iterator[str]:
    if place.resource.kind != "Deployment":
        return
    spec = body.get("spec") or {}
    yield from (f"spec.{name}" for name in spec.keys() - _DEPLOYMENT)
    pod = (spec.get("template") or {}).get("spec") or {}
    yield from (f"spec.template.spec.{name}" for name in pod.keys() - _POD)
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(pod.get(kind) or []):
            for name in container.keys() - _CONTAINER:
                yield f"spec.template.spec.{kind}[{index}].{name}"
