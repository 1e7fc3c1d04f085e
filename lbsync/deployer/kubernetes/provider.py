"""The provider for Kubernetes: versions are Deployments, and the publisher finds their pods through one Service."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET

from lbsync.agent.review import refusals
from lbsync.clients.kube import DEPLOYMENTS, SERVICES, Client
from lbsync.clients.kube.errors import NotFound
from lbsync.deployer.kubernetes import document, manifests, pods
from lbsync.deployer.kubernetes.changed_check import refuse_a_check_that_live_pods_fail
from lbsync.deployer.kubernetes.cluster import AppCluster
from lbsync.deployer.kubernetes.document import App
from lbsync.deployer.kubernetes.gate import KubernetesGate
from lbsync.deployer.kubernetes.publication import published, with_coming
from lbsync.deployer.kubernetes.warnings import warnings
from lbsync.deployer.provider import Fence
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.model.deploying import VersionRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema import reading
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId, endpoints_key, service_key
from lbsync.schema.publishing import SOURCE_PREFIX
from lbsync.schema.service_document import Change
from lbsync.settings import Settings
from lbsync.values.kubernetes import Image

_NO_VERSION = 0
"""Versions are counted from 1: nothing that is there has this number."""


class Kubernetes:
    """Makes versions of apps in one cluster. Thread-safe."""

    kind: Literal["kubernetes"] = "kubernetes"

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def check(
        self,
        app: ServiceId,
        found: Mapping[str, Any],
        snapshot: Snapshot,
        coming: Mapping[ServiceId, Mapping[str, Any]] | None = None,
        /,
    ) -> list[str]:
        """Return warnings. Raises `Rejected` where the document, what is published or about to be, or the cluster
        stands against it; nothing is changed."""
        made = document.from_plain(dict(found))
        if made.id != app:
            raise Rejected(
                f"the document is of {made.id}, not of {app}; correct namespace and name"
            )
        told = warnings(made)
        self.refuse_claimed(app, found, snapshot, coming or {})
        self._try(made)
        return told

    def refuse_claimed(
        self,
        app: ServiceId,
        found: Mapping[str, Any],
        snapshot: Snapshot,
        coming: Mapping[ServiceId, Mapping[str, Any]],
        /,
    ) -> None:
        """Raise `Rejected` where the service's key, hosts, paths or port are those of another one."""
        others = {name: plain for name, plain in coming.items() if name != app}
        self._refuse_taken(document.from_plain(dict(found)), with_coming(snapshot, others))

    def provision(
        self,
        app: ServiceId,
        version: VersionRecord,
        fence: Fence,
        live: VersionRecord | None = None,
        /,
    ) -> None:
        """Have the version's Deployment made, and the Service where there is none yet."""
        made = document.from_plain(version.document)
        cluster = self._of(app)
        if live is not None and (serving := cluster.own_deployment(live.number)) is not None:
            cluster.hold_deployment(serving, fence, serving.value.replicas)
        service = cluster.service()
        if service is None:
            cluster.apply_service(manifests.service(made), None, fence)
        else:
            manifests.refuse_foreign(f"Service {app}", service.value.labels, app.name)
        found = cluster.deployment(version.number)
        if found is None:
            wanted = manifests.deployment(made, version.number, version.deployment)
            cluster.make_deployment(wanted, fence)
            return
        there = found.value
        what = f"Deployment {app.ns}/{there.name}"
        manifests.refuse_foreign(what, there.labels, app.name)
        if there.annotations.get(manifests.DEPLOYMENT) != version.deployment:
            raise Rejected(
                f"{what} is there already, made by deployment "
                f"{there.annotations.get(manifests.DEPLOYMENT) or 'without a name'}; versions are counted on, so "
                "deploy once more, or remove it"
            )
        if there.deleting:
            raise Unavailable(f"{what} is being deleted: once it is gone it is made anew")
        cluster.hold_deployment(found, fence, there.replicas or made.replicas)

    def gate(self, app: ServiceId, version: VersionRecord, /) -> KubernetesGate:
        """Return what tells when the version is healthy."""
        del app
        made = document.from_plain(version.document)
        return KubernetesGate(self._client, made, version.number)

    def publish(
        self,
        app: ServiceId,
        version: VersionRecord,
        fence: Fence,
        live: VersionRecord | None = None,
        /,
    ) -> None:
        """Put what the version says of its service in force. `live`: what serves now, and has to get through a
        check that changes; raises `Rejected` where it would not."""
        made = document.from_plain(version.document)
        cluster = self._of(app)
        there = cluster.service()
        if there is not None:
            manifests.refuse_foreign(f"Service {app}", there.value.labels, app.name)
            if live is not None:
                serving = pods.living(cluster.pods(live.number))
                refuse_a_check_that_live_pods_fail(made, there.value, serving)
        cluster.apply_service(manifests.service(made), there, fence)

    def remove(self, app: ServiceId, version: VersionRecord, fence: Fence, /) -> bool:
        """Have the version's Deployment deleted; return whether nothing of it is left. What somebody else made
        is left alone."""
        cluster = self._of(app)
        there = cluster.own_deployment(version.number)
        if there is None:
            return not cluster.pods(version.number)
        if there.value.annotations.get(manifests.DEPLOYMENT) != version.deployment:
            return True
        if not there.value.deleting:
            cluster.delete_deployment(there, fence)
        return False

    def remove_app(self, app: ServiceId, fence: Fence, /) -> bool:
        """Have all of the app deleted; return whether nothing of it is left."""
        cluster = self._of(app)
        service = cluster.service()
        if service is not None and manifests.is_ours(service.value.labels, app.name):
            cluster.delete_service(service, fence)
        there = cluster.deployments()
        for found in there:
            if not found.value.deleting:
                cluster.delete_deployment(found, fence)
        return not there and not cluster.pods()

    def image(self, app: ServiceId, version: VersionRecord, /) -> Image:
        """Return the image that the version's pods run, by its digest. Raises `Rejected` where they do not tell."""
        made = document.from_plain(version.document)
        image = None if made.image is UNSET else made.image
        running = self._of(app).pods(version.number)
        try:
            return pods.image_that_runs(image, manifests.container_name(made), running)
        except Rejected as error:
            raise Rejected(f"{app}, version {version.number}: {error}") from error

    def _of(self, app: ServiceId) -> AppCluster:
        return AppCluster(self._client, app.ns, app.name)

    def _refuse_taken(self, made: App, snapshot: Snapshot) -> None:
        """Raise `Rejected` if the service's key is somebody else's, or its hosts, paths and port are."""
        key = service_key(made.id)
        item = snapshot.items.get(key)
        if item is not None and not _is_published(item.value):
            raise Rejected(
                f"{key} is there, and no publisher wrote it: the app's Service could not be published; remove it "
                f"('lbsync service rm {made.id}'), or give the app another name"
            )
        if item is not None:
            _refuse_shared(made.id, _source(item.value), snapshot)
        change = Change(key, item, encode(published(made)))
        if found := refusals(snapshot, [change], {str(made.id)}, self._settings):
            raise Rejected("; ".join(f"{problem.key}: {problem.reason}" for problem in found))

    def _try(self, made: App) -> None:
        """Have the API server judge both objects, and change nothing. Raises `Rejected`."""
        service = manifests.service(made)
        there = self._service_for_check(made)
        try:
            if there is None:
                self._client.create(SERVICES, made.namespace, service, dry_run=True)
            else:
                manifests.refuse_foreign(f"Service {made.id}", there.labels, made.name)
                service["metadata"]["uid"] = there.uid
                self._client.apply(
                    SERVICES, made.namespace, service, manager=manifests.MANAGER, dry_run=True
                )
            deployment = manifests.deployment(made, _NO_VERSION, "")
            self._client.create(DEPLOYMENTS, made.namespace, deployment, dry_run=True)
        except Conflict as error:
            raise Rejected(f"{error}; put that back, or into the app's document") from error

    def _service_for_check(self, made: App) -> Any:
        try:
            return self._client.get(SERVICES, made.namespace, made.name)
        except NotFound:
            return None


def _refuse_shared(app: ServiceId, source: str, snapshot: Snapshot) -> None:
    """Raise `Rejected` if another cluster has servers in the app's service: one of its groups may be called like a
    version, and the service would outlive the app."""
    folder = endpoints_key(app, "")
    for key in sorted(key for key in snapshot.items if key.startswith(folder)):
        other = _source(snapshot.items[key].value)
        if other.startswith(SOURCE_PREFIX) and other != source:
            raise Rejected(
                f"{key} is written by the publisher of another cluster ({other}), and {service_key(app)} by {source}: "
                f"an app has its service to itself; take the Service {app} out of publication there, or give one of "
                "them another name"
            )


def _is_published(value: bytes) -> bool:
    return _source(value).startswith(SOURCE_PREFIX)


def _source(value: bytes) -> str:
    """Return who wrote a record; empty: nobody is named, or it cannot be read."""
    try:
        found = reading.plain(value)
    except reading.Unreadable:
        return ""
    source = found.get("source") if isinstance(found, dict) else None
    return source if isinstance(source, str) else ""
