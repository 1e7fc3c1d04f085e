"""The credentials that a pod is given: environment, authority and a token that is rotated.

Source of the names: Kubernetes documentation, "Accessing the Kubernetes API from a Pod".
"""

import threading
from collections.abc import Mapping
from pathlib import Path

from lbsync.clients.kube.auth.access import Access, ClusterConfig
from lbsync.clients.kube.auth.files import EVERY, RotatedFile
from lbsync.errors import SettingsError, Unavailable

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts a pod's ServiceAccount."""


class ServiceAccount:
    """Token and authority from the mounted volume; both are read again when they change."""

    def __init__(self, directory: Path = ACCOUNT, every: float = EVERY) -> None:
        self._token = RotatedFile(directory / "token", every)
        self._authority = RotatedFile(directory / "ca.crt", every)
        self._lock = threading.Lock()

    def current(self) -> Access:
        """Return token and authority as mounted now. Raises `Unavailable`."""
        with self._lock:
            token = self._token.text()
            if not token:
                raise Unavailable(f"{self._token.path}: is empty; the kubelet has not written it")
            return Access(token=token, authority=self._authority.read())

    def refused(self, _access: Access, /) -> None:
        """Read both files again."""
        with self._lock:
            self._token.expire()
            self._authority.expire()


def inside(env: Mapping[str, str]) -> bool:
    """Say whether this process runs in a pod, as far as the environment tells."""
    return bool(env.get("KUBERNETES_SERVICE_HOST") and env.get("KUBERNETES_SERVICE_PORT"))


def load(env: Mapping[str, str], directory: Path = ACCOUNT, every: float = EVERY) -> ClusterConfig:
    """Return the configuration of the cluster this pod runs in. Raises `SettingsError`."""
    if not inside(env):
        raise SettingsError(
            ["KUBERNETES_SERVICE_HOST and _PORT are not set: this is no pod; name a kubeconfig"]
        )
    account = ServiceAccount(directory, every)
    try:
        account.current()
    except Unavailable as error:
        raise SettingsError(
            [f"{error}; let the pod have automountServiceAccountToken: true"]
        ) from error
    host = env["KUBERNETES_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    return ClusterConfig(
        server=f"https://{host}:{env['KUBERNETES_SERVICE_PORT']}",
        credentials=account,
        source="in-cluster",
        namespace=_namespace(directory / "namespace"),
    )


def _namespace(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip() or "default"
    except (OSError, UnicodeDecodeError):
        return "default"
