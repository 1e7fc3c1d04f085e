"""The Kubernetes objects for an app and a version. Pure.

Each version has its own Deployment, `<app>-<number>`. All share one Service, through which the publisher
finds their pods: the label `lbsync.io/version` of a pod is its group. The Service is headless, because a cluster IP
would send requests within the cluster to every version at once, whether it has traffic or not.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from lbsync.deployer.kubernetes.document import App, Resources, SecretReference
from lbsync.deployer.kubernetes.pod_template import OURS, main_container
from lbsync.errors import Rejected
from lbsync.model.records import ServiceRecord
from lbsync.publisher.translate.fields import FIELDS
from lbsync.publisher.translate.options import PREFIX, PUBLISH_LABEL
from lbsync.schema.decode import as_plain

MANAGER = "lbsync-deployer"
"""Who owns the fields, for server-side apply, and the value of the label that marks what is ours."""
MANAGED_BY = "app.kubernetes.io/managed-by"
APP = f"{OURS}app"
VERSION = f"{OURS}version"
DEPLOYMENT = f"{OURS}deployment"
"""Annotation of a Deployment: which deployment made it."""
HOLDER = "deployer.lbsync.io/holder"
"""Annotation of a Service and of Deployments: who worked on it last. It is there so that each who goes on changes the
object: who has read it before, and was frozen since, does not find it as it was. (The publisher judges all that begins
with `lbsync.io/`.)"""
Object = dict[str, Any]


def group_of(number: int) -> str:
    """Return the group of servers that a version is."""
    return f"v{number}"


def deployment_name(app: str, number: int) -> str:
    """Return the name of a version's Deployment."""
    return f"{app}-{number}"


def container_name(app: App) -> str:
    """Return the name of the app's own container."""
    if app.pod is UNSET:
        return app.name
    main = main_container(app.pod.spec, None if app.container is UNSET else app.container)
    return str((main or {}).get("name", ""))


def marks(app: str) -> dict[str, str]:
    """Return the labels of everything that is made for an app."""
    return {MANAGED_BY: MANAGER, "app.kubernetes.io/name": app, APP: app}


def is_ours(labels: Mapping[str, str], app: str) -> bool:
    """Tell whether an object with these labels was created for this app; no other object is changed."""
    return labels.get(MANAGED_BY) == MANAGER and labels.get(APP) == app


def refuse_foreign(what: str, labels: Mapping[str, str], app: str) -> None:
    """Raise `Rejected` for an object that was not made for this app."""
    if not is_ours(labels, app):
        raise Rejected(
            f"{what} is there, and the deployer has not made it for app {app} (labels {MANAGED_BY}: "
            f"{MANAGER} and {APP}: {app}); it is left alone: remove it, or give the app another name"
        )


def service(app: App) -> Object:
    """Return the one Service of an app."""
    port = {"name": app.service.mode, "port": app.port, "targetPort": app.port, "protocol": "TCP"}
    made = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": app.name,
            "namespace": app.namespace,
            "labels": {**marks(app.name), PUBLISH_LABEL: "true"},
            "annotations": annotations(app),
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "selector": {APP: app.name},
            "ports": [port],
        },
    }
    found: Object = as_plain(made)
    return found


def bare_service(made: Object) -> Object:
    """Return the part of a Service that is the same for all versions. The Service is created with it, which
    fails if one exists; an apply would change an existing one, and claim fields under two names that then
    conflict with each other."""
    metadata, spec = made["metadata"], made["spec"]
    labels = {name: text for name, text in metadata["labels"].items() if name != PUBLISH_LABEL}
    kept = {name: spec[name] for name in ("type", "clusterIP", "selector")}
    names = {name: metadata[name] for name in ("name", "namespace")}
    return {**made, "metadata": {**names, "labels": labels}, "spec": kept}


def annotations(app: App) -> dict[str, str]:
    """Return what the publisher reads: where the servers are, and each field of the service that is not
    at its default."""
    found = {f"{PREFIX}address-mode": "pod", f"{PREFIX}group-label": VERSION}
    fields: dict[str, Any] = as_plain(app.service)
    for name, value in fields.items():
        kind = FIELDS[name.replace("_", "-")].kind
        is_text = kind in ("text", "number") and not isinstance(value, dict | list)
        text = str(value) if is_text else msgspec.json.encode(value).decode()
        found[PREFIX + name.replace("_", "-")] = text
    return dict(sorted(found.items()))


def deployment(app: App, number: int, made_by: str) -> Object:
    """Return the Deployment of one version; `made_by` is the id of the deployment that brings it."""
    chosen = {APP: app.name, VERSION: group_of(number)}
    template = _template(app, number)
    template["metadata"]["labels"] |= {**marks(app.name), **chosen}
    made = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(app.name, number),
            "namespace": app.namespace,
            "labels": {**marks(app.name), **chosen},
            "annotations": {DEPLOYMENT: made_by},
        },
        "spec": {
            "replicas": app.replicas,
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": chosen},
            "template": template,
        },
    }
    found: Object = as_plain(made)
    return found


def _template(app: App, number: int) -> Object:
    if app.pod is UNSET:
        return {"metadata": {"labels": {}}, "spec": _spec(app, number)}
    # A copy, of which anything may be changed.
    found: Object = as_plain(app.pod)
    metadata = {"labels": {}, **found.get("metadata", {})}
    spec: Object = found["spec"]
    main = main_container(spec, None if app.container is UNSET else app.container)
    if main is not None:
        if app.image is not UNSET:
            main["image"] = app.image
        own = main.get("env") or []
        taken = {entry["name"] for entry in own if isinstance(entry, dict) and "name" in entry}
        main["env"] = [*_environment(app, number, taken), *own]
    return {"metadata": metadata, "spec": spec}


def _spec(app: App, number: int) -> Object:
    container: Object = {
        "name": app.name,
        "image": app.image,
        "ports": [{"name": app.service.mode, "containerPort": app.port, "protocol": "TCP"}],
        "env": _environment(app, number, set()),
        "readinessProbe": _readiness(app),
    }
    if app.command:
        container["command"] = app.command
    if app.args:
        container["args"] = app.args
    if app.resources != Resources():
        container["resources"] = app.resources
    spec: Object = {
        "containers": [container],
        "terminationGracePeriodSeconds": app.grace_seconds,
    }
    if app.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in app.pull_secrets]
    if app.service_account is not UNSET:
        spec["serviceAccountName"] = str(app.service_account)
    return spec


def _environment(app: App, number: int, taken: set[str]) -> list[Object]:
    """Return the variables of the app's container: its own, and what tells it who it is, unless it says
    that itself."""
    told: dict[str, Object] = {
        "APP_NAME": {"value": app.name},
        "APP_VERSION": {"value": str(number)},
        "POD_NAME": {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        "POD_NAMESPACE": {"valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    }
    found = [
        {"name": name, **value}
        for name, value in told.items()
        if name not in app.env and name not in taken
    ]
    return found + [_variable(name, value) for name, value in app.env.items()]


def _variable(name: str, value: str | SecretReference) -> Object:
    if isinstance(value, str):
        # Kubernetes would put another variable in place of $(NAME), and $ in place of $$ (API reference,
        # EnvVar.value): a literal is to arrive as it was written.
        return {"name": name, "value": value.replace("$", "$$")}
    key: Object = {"name": value.secret, "key": value.key}
    if value.optional:
        key["optional"] = True
    return {"name": name, "valueFrom": {"secretKeyRef": key}}


def _readiness(app: App) -> Object:
    """Return what makes a pod Ready: the app's probe where the kubelet can judge its answers, else that its
    port is open."""
    probe = app.probe
    if probe is UNSET or probe.status != "200-399" or probe.method != "GET":
        # 200 to 399 are good, whatever one may say (API reference, HTTPGetAction).
        return {"tcpSocket": {"port": app.port}, "periodSeconds": 2}
    get: Object = {
        "path": probe.path,
        "port": app.port if probe.port is UNSET else probe.port,
        "scheme": "HTTP",
    }
    if host := probe_host(app):
        get["httpHeaders"] = [{"name": "Host", "value": host}]
    return {
        "httpGet": get,
        "periodSeconds": max(1, -(-probe.interval // 1000)),
        "timeoutSeconds": max(1, -(-probe.timeout // 1000)),
    }


def probe_host(app: App) -> str:
    """Return the host that the probe asks for; nothing: the pod's own address."""
    if app.probe is not UNSET and app.probe.host is not UNSET:
        return str(app.probe.host)
    return first_host(app.service)


def first_host(service: ServiceRecord) -> str:
    """Return the first host of a service that is one host; "": it names none."""
    return next((str(host) for host in service.hosts if "*" not in host), "")
