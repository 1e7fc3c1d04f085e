"""The objects of one app in its cluster: found by their labels, and changed only in the state in which they were
read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import msgspec

from lbsync.clients.kube import DEPLOYMENTS, EVENTS, POD_STATES, SERVICES, Client, Kind
from lbsync.clients.kube.errors import Disputed, Forbidden, NotFound, Unauthorized
from lbsync.deployer.kubernetes import manifests
from lbsync.deployer.provider import Fence
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.kube_objects import Deployment, Event, PodState, Service

T = TypeVar("T", Deployment, Service)


class Found(msgspec.Struct, Generic[T], frozen=True):
    """An object as it was read."""

    value: T
    version: str
    """resourceVersion."""

    def as_read(self, **more: Any) -> manifests.Object:
        """Return the metadata with which only this very object is changed, and only as it was read."""
        uid = self.value.uid
        return {**more, "uid": uid, "resourceVersion": self.version}


class AppCluster:
    """The objects of one app.

    Methods that change something check the fence after reading the object, and raise as the fence does. Every
    method raises `Unavailable` if it may succeed the next time: this includes 403, which an API
    server answers to every request for a moment while it starts (measured, 1.36).
    """

    def __init__(self, client: Client, namespace: str, app: str) -> None:
        self._client = client
        self.namespace = namespace
        self.app = app

    def deployment(self, number: int) -> Found[Deployment] | None:
        """Return a version's Deployment, whoever created it."""
        return self._get(DEPLOYMENTS, manifests.deployment_name(self.app, number))

    def own_deployment(self, number: int) -> Found[Deployment] | None:
        """Return a version's Deployment, if the deployer made it."""
        found = self.deployment(number)
        return found if found and manifests.is_ours(found.value.labels, self.app) else None

    def deployments(self) -> list[Found[Deployment]]:
        """Return those of all versions."""
        with _patience():
            listed = self._client.list_all(DEPLOYMENTS, self.namespace, self._selector())
        return [
            Found(entry.value, entry.version)
            for entry in listed.entries
            if entry.value is not None
        ]  # fmt: skip

    def service(self) -> Found[Service] | None:
        """Return the Service with the app's name, whoever created it."""
        return self._get(SERVICES, self.app)

    def pods(self, number: int | None = None) -> list[PodState]:
        """Return the pods of a version, or of all; those that end, too."""
        selector = self._selector()
        if number is not None:
            selector += f",{manifests.VERSION}={manifests.group_of(number)}"
        with _patience():
            listed = self._client.list_all(POD_STATES, self.namespace, selector)
        return [entry.value for entry in listed.entries if entry.value is not None]

    def events(self, pod: str) -> list[Event]:
        """Return the events of a pod, the oldest first; nothing if they may not be read."""
        fields = f"involvedObject.kind=Pod,involvedObject.name={pod}"
        try:
            listed = self._client.list_all(EVENTS, self.namespace, fields=fields)
        except Rejected:
            return []
        found = [entry.value for entry in listed.entries if entry.value is not None]
        return sorted(found, key=lambda event: event.at)

    def log(self, pod: str, container: str, *, lines: int, previous: bool) -> str:
        """Return the last lines of a container's log. Raises `Rejected` if there is none."""
        return self._client.log(
            self.namespace, pod, container, lines=lines, previous=previous
        )  # fmt: skip

    def make_service(self, made: manifests.Object, fence: Fence) -> Found[Service]:
        """Make the Service, as far as that is the same for all versions; it is not published yet."""
        fence.check()
        with _patience(), _once_more():
            self._client.create(SERVICES, self.namespace, manifests.bare_service(made))
        found = self.service()
        if found is None:
            raise Unavailable(f"Service {self.namespace}/{self.app} is gone: it is made anew")
        return found

    def apply_service(
        self, made: manifests.Object, there: Found[Service] | None, fence: Fence
    ) -> None:
        """Bring the Service to this form. Raises `Rejected` if somebody else has changed it."""
        found = there or self.make_service(made, fence)
        metadata = made["metadata"]
        holder = {**metadata["annotations"], manifests.HOLDER: fence.token}
        body = {**made, "metadata": {**metadata, **found.as_read(annotations=holder)}}
        fence.check()
        with _patience(), _once_more():
            self._client.apply(SERVICES, self.namespace, body, manager=manifests.MANAGER)

    def make_deployment(self, made: manifests.Object, fence: Fence) -> None:
        """Make a Deployment."""
        made["metadata"]["annotations"][manifests.HOLDER] = fence.token
        fence.check()
        with _patience(), _once_more():
            self._client.create(DEPLOYMENTS, self.namespace, made)

    def hold_deployment(self, found: Found[Deployment], fence: Fence, replicas: int) -> None:
        """Set the number of pods of a version, so that no process that read it before can change it."""
        if (there := found.value).replicas == replicas and (
            there.annotations.get(manifests.HOLDER) == fence.token
        ):
            return
        holder = {manifests.HOLDER: fence.token}
        change: manifests.Object = {"metadata": found.as_read(annotations=holder)}
        if there.replicas != replicas:
            change["spec"] = {"replicas": replicas}
        fence.check()
        with _patience(), _once_more():
            self._client.patch(
                DEPLOYMENTS, self.namespace, there.name, change, manager=manifests.MANAGER
            )

    def delete_deployment(self, found: Found[Deployment], fence: Fence) -> None:
        """Delete a Deployment, and its pods after it."""
        self._delete(DEPLOYMENTS, found, fence)

    def delete_service(self, found: Found[Service], fence: Fence) -> None:
        """Delete the Service."""
        self._delete(SERVICES, found, fence)

    def _get(self, kind: Kind[T], name: str) -> Found[T] | None:
        with _patience():
            try:
                return Found(*self._client.get_at(kind, self.namespace, name))
            except NotFound:
                return None

    def _delete(self, kind: Kind[T], found: Found[T], fence: Fence) -> None:
        fence.check()
        name, uid = found.value.name, found.value.uid
        with _patience(), _once_more():
            self._client.delete(kind, self.namespace, name, uid, found.version)

    def _selector(self) -> str:
        return f"{manifests.MANAGED_BY}={manifests.MANAGER},{manifests.APP}={self.app}"


@contextmanager
def _patience() -> Iterator[None]:
    try:
        yield
    except (Forbidden, Unauthorized) as error:
        raise Unavailable(str(error)) from error


@contextmanager
def _once_more() -> Iterator[None]:
    """What was to be changed is gone, or not as it was read: it is looked at again."""
    try:
        yield
    except NotFound:
        return
    except Disputed as error:
        raise Rejected(
            f"{error}; somebody else has set that by hand: put it back, or into the app's document"
        ) from error
    except Conflict as error:
        raise Unavailable(str(error)) from error
