"""The fake API server: starts, stops, breaks, and is filled from tests."""

import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from harness.fake_kube import status
from harness.fake_kube.faults import Faults
from harness.fake_kube.handler import Handler, Seen
from harness.fake_kube.place import Place, User
from harness.fake_kube.resources import of_kind
from harness.fake_kube.status import Json
from harness.fake_kube.storage import Backup, Storage
from harness.fake_kube.writing import Writer
from harness.ports import free_port

ADMIN = "admin-token"
"""The token that may do everything."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64
    fake: "FakeKube"
    is_closed = False
    """A connection that comes to its handler later is cut at once."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a silent client harms only itself."""
        context = self.fake.tls
        if context is None:
            super().finish_request(request, client_address)
            return
        with context.wrap_socket(request, server_side=True) as wrapped:
            Handler(wrapped, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is one of the fake's own."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class FakeKube:
    """One fake API server on 127.0.0.1.

    `minor` is the Kubernetes version it plays: 1.20 knows EndpointSlices only as v1beta1, 1.25 and
    later only as v1. `tls` are the files of a certificate and its key; `client_ca` the authority
    whose client certificates log in under their CN.
    """

    def __init__(
        self,
        *,
        minor: int = 32,
        version: int = 100,
        oldest: int = 0,
        tls: tuple[Path, Path] | None = None,
        client_ca: Path | None = None,
    ) -> None:
        self.minor = minor
        self.storage = Storage(version, oldest)
        self.writer = Writer(self.storage, minor)
        self.faults = Faults()
        self.requests: list[Seen] = []
        self.users: dict[str, User] = {ADMIN: User("admin")}
        self.anonymous: User | None = None
        """Who comes without a token; None: refused with 401."""
        self.connections: set[Handler] = set()
        self.logs: dict[str, str] = {}
        """What the containers of an image wrote."""
        self.tls = _tls_context(tls, client_ca) if tls else None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        for name in ("default", "kube-system"):
            self.storage.write(of_kind("Namespace"), ("", name), {"metadata": {"name": name}})

    @property
    def url(self) -> str:
        """Address of the API server."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> "FakeKube":
        """Listen; on the same port as before when it was stopped."""
        self.port = self.port or free_port()
        self._server = _Server(("127.0.0.1", self.port), Handler)
        self._server.fake = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="fake-kube"
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and all connections; what is stored stays."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()
        self._server.is_closed = True
        self.drop()
        self._server.server_close()
        self._server = self._thread = None

    def drop(self) -> None:
        """Cut all connections of this moment."""
        for connection in list(self.connections):
            connection.drop()
        with self.storage.changed:
            self.storage.changed.notify_all()

    def restore(self, backup: Backup) -> None:
        """Put an older state back, as after a restored etcd: versions jump back, clients are cut."""
        self.storage.restore(backup)
        self.drop()

    def user_of(self, token: str, connection: socket.socket) -> User:
        """Return who a request comes from. Raises 401."""
        if isinstance(connection, ssl.SSLSocket) and not token:
            certificate = connection.getpeercert() or {}
            names = dict(pair for part in certificate.get("subject", ()) for pair in part)  # type: ignore[misc]
            if "commonName" in names:
                return User(str(names["commonName"]))
        user = self.users.get(token) if token else self.anonymous
        if user is None:
            raise status.unauthorized()
        return user

    def put(self, found: Json) -> Json:
        """Create an object, or replace it; its namespace is made when needed. Return it stored."""
        place = self._place(found["kind"], found["metadata"])
        if place.namespace:
            self.namespace(place.namespace)
        with self.storage.changed:
            if self.storage.get(place.resource, place.key) is None:
                return self.writer.create(place, found, "test")[1]
            return self.writer.update(place, found, "test")[1]

    def put_status(self, found: Json) -> Json:
        """Replace an object's status."""
        place = self._place(found["kind"], found["metadata"], "status")
        return self.writer.update(place, found, "test")[1]

    def patch(self, kind: str, namespace: str, name: str, change: Json) -> Json:
        """Change an object by a merge patch."""
        place = self._place(kind, {"namespace": namespace, "name": name})
        body = json.dumps(change).encode()
        return self.writer.patch(place, body, "application/merge-patch+json", {}, "test")[1]

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        """Return a stored object, with its kind."""
        place = self._place(kind, {"namespace": namespace, "name": name})
        found = self.storage.get(place.resource, place.key)
        return found and {"kind": kind} | found

    def objects(self, kind: str) -> list[Json]:
        """Return all stored objects of a kind, in the order of their names."""
        stored = sorted(self.storage.objects(of_kind(kind)).items())
        return [{"kind": kind} | found for _, found in stored]

    def delete(self, kind: str, namespace: str, name: str, *, grace: int = 0) -> None:
        """Delete an object, as `kubectl delete` would."""
        place = self._place(kind, {"namespace": namespace, "name": name})
        self.writer.delete(place, b"", {"gracePeriodSeconds": str(grace)})

    def namespace(self, name: str) -> None:
        """Make a namespace unless it is there."""
        place = self._place("Namespace", {"name": name})
        with self.storage.changed:
            if self.storage.get(place.resource, place.key) is None:
                self.writer.create(place, {"metadata": {"name": name}}, "test")

    def kubeconfig(self, path: Path, *, token: str = ADMIN, authority: Path | None = None) -> Path:
        """Write a kubeconfig for this server and return its path."""
        cluster: Json = {"server": self.url}
        if authority is not None:
            cluster["certificate-authority"] = str(authority)
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "somebody", "user": {"token": token}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "somebody"}}],
            "current-context": "fake",
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def has(self, place: Place) -> bool:
        """Tell whether the object is there."""
        return self.storage.get(place.resource, place.key) is not None

    def log_of(self, place: Place, query: dict[str, str]) -> str:
        """Return the last lines that a pod's container wrote."""
        pod = self.storage.get(place.resource, place.key) or {}
        containers = pod.get("spec", {}).get("containers") or [{}]
        name = query.get("container") or containers[0].get("name")
        image = next((c.get("image", "") for c in containers if c.get("name") == name), "")
        statuses = pod.get("status", {}).get("containerStatuses") or [{}]
        restarts = statuses[0].get("restartCount", 0)
        if query.get("previous") == "true" and not restarts:
            raise status.bad_request(f'previous terminated container "{name}" not found')
        if "waiting" in statuses[0].get("state", {}) and not restarts:
            raise status.bad_request(f'container "{name}" in pod is waiting to start')
        lines = self.logs.get(image, "").splitlines(keepends=True)
        return "".join(lines[-int(query.get("tailLines", "1000000")) :])

    def _place(self, kind: str, meta: Json, sub: str | None = None) -> Place:
        resource = of_kind(kind)
        namespace = (meta.get("namespace") or "default") if resource.namespaced else None
        return Place(resource, "v1", namespace, meta.get("name"), sub)


def _tls_context(files: tuple[Path, Path], client_ca: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


@contextmanager
def running(**options: Any) -> Iterator[FakeKube]:
    """Run a fake API server for the time of a `with`."""
    fake = FakeKube(**options).start()
    try:
        yield fake
    finally:
        fake.stop()
