"""The objects of one app in its cluster: found by its marks, changed by their uid, so that nothing else can be."""

from collections.abc import Iterator
from contextlib import contextmanager

from lbsync.clients.kube import DEPLOYMENTS, EVENTS, POD_STATES, SERVICES, Client
from lbsync.clients.kube.errors import Forbidden, NotFound, Unauthorized
from lbsync.deployer.kubernetes import manifests
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.kube_objects import Deployment, Event, PodState, Service


class AppCluster:
    """What is there of one app.

    Every method raises `Unavailable` where it may go well the next time: also where it is forbidden, which an API
    server that starts says for a moment of everything (measured, 1.36).
    """

    def __init__(self, client: Client, namespace: str, app: str) -> None:
        self._client = client
        self.namespace = namespace
        self.app = app

    def deployment(self, number: int) -> Deployment | None:
        """Return a version's Deployment, whoever made it."""
        name = manifests.deployment_name(self.app, number)
        with _patience():
            try:
                return self._client.get(DEPLOYMENTS, self.namespace, name)
            except NotFound:
                return None

    def own_deployment(self, number: int) -> Deployment | None:
        """Return a version's Deployment, if the deployer made it."""
        found = self.deployment(number)
        return found if found and manifests.is_ours(found.labels, self.app) else None

    def deployments(self) -> list[Deployment]:
        """Return those of all versions."""
        with _patience():
            listed = self._client.list_all(DEPLOYMENTS, self.namespace, self._selector())
        return [entry.value for entry in listed.entries if entry.value is not None]

    def service(self) -> Service | None:
        """Return the Service of the app's name, whoever made it."""
        with _patience():
            try:
                return self._client.get(SERVICES, self.namespace, self.app)
            except NotFound:
                return None

    def pods(self, number: int | None = None) -> list[PodState]:
        """Return the pods of a version, or of all; those that end, too."""
        selector = self._selector()
        if number is not None:
            selector += f",{manifests.VERSION}={manifests.group_of(number)}"
        with _patience():
            listed = self._client.list_all(POD_STATES, self.namespace, selector)
        return [entry.value for entry in listed.entries if entry.value is not None]

    def events(self, pod: str) -> list[Event]:
        """Return what happened to a pod, the oldest first; nothing where that may not be read."""
        fields = f"involvedObject.kind=Pod,involvedObject.name={pod}"
        try:
            listed = self._client.list_all(EVENTS, self.namespace, fields=fields)
        except Rejected:
            return []
        found = [entry.value for entry in listed.entries if entry.value is not None]
        return sorted(found, key=lambda event: event.at)

    def log(self, pod: str, container: str, *, lines: int, previous: bool) -> str:
        """Return the last lines of a container's log. Raises `Rejected` where there is none."""
        return self._client.log(
            self.namespace, pod, container, lines=lines, previous=previous
        )  # fmt: skip

    def apply_service(self, made: manifests.Object, there: Service | None) -> None:
        """Make the Service, or bring it to this form. Raises `Rejected` where somebody else has changed it."""
        with _patience(), _nobody_else():
            self._client.apply(
                SERVICES, self.namespace, _with_uid(made, there), manager=manifests.MANAGER
            )

    def apply_deployment(self, made: manifests.Object) -> None:
        """Make a Deployment."""
        with _patience(), _nobody_else():
            self._client.apply(DEPLOYMENTS, self.namespace, made, manager=manifests.MANAGER)

    def scale(self, found: Deployment, replicas: int) -> None:
        """Have so many pods of a version."""
        change = {"metadata": {"uid": found.uid}, "spec": {"replicas": replicas}}
        with _patience(), _once_more():
            self._client.patch(
                DEPLOYMENTS, self.namespace, found.name, change, manager=manifests.MANAGER
            )

    def delete_deployment(self, found: Deployment) -> None:
        """Delete a Deployment, and its pods after it."""
        with _patience(), _once_more():
            self._client.delete(DEPLOYMENTS, self.namespace, found.name, found.uid)

    def delete_service(self, found: Service) -> None:
        """Delete the Service."""
        with _patience(), _once_more():
            self._client.delete(SERVICES, self.namespace, found.name, found.uid)

    def _selector(self) -> str:
        return f"{manifests.MANAGED_BY}={manifests.MANAGER},{manifests.APP}={self.app}"


def _with_uid(made: manifests.Object, there: Service | None) -> manifests.Object:
    if there is None:
        return made
    return {**made, "metadata": {**made["metadata"], "uid": there.uid}}


@contextmanager
def _patience() -> Iterator[None]:
    try:
        yield
    except (Forbidden, Unauthorized) as error:
        raise Unavailable(str(error)) from error


@contextmanager
def _nobody_else() -> Iterator[None]:
    try:
        yield
    except Conflict as error:
        raise Rejected(
            f"{error}; somebody else has set that by hand: put it back, or into the app's document"
        ) from error


@contextmanager
def _once_more() -> Iterator[None]:
    """What was to be changed is gone, or another one by now: it is looked at again."""
    try:
        yield
    except NotFound:
        return
    except Conflict as error:
        raise Unavailable(str(error)) from error
