"""A kubeconfig that is renewed while it is used: tokens and `…-data` fields in the file itself."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from lbsync import log
from lbsync.clients.kube.auth.access import Access, ClusterConfig, Credentials
from lbsync.clients.kube.auth.files import RotatedFile
from lbsync.clients.kube.auth.static_credentials import StaticCredentials
from lbsync.errors import SettingsError, Unavailable


class Renewed:
    """The credentials of a kubeconfig, read again when one of its files says something else.

    Only credentials are taken over. Another server is another cluster, perhaps: that is told, and needs
    a reload (SIGHUP), after which the cluster's identity is looked at anew.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        first: ClusterConfig,
        read: Callable[[], ClusterConfig],
        every: float,
    ) -> None:
        """`first` is what `read` returned; `every` is how often the files are looked at, in seconds."""
        self._files = [RotatedFile(path, every) for path in paths if path.exists()]
        self._first = first
        self._read = read
        self._lock = threading.Lock()
        self._credentials: Credentials = first.credentials
        self._seen = self._contents()
        self._failing = log.Failing(
            "the kubeconfig cannot be read; what it said before counts",
            "the kubeconfig can be read again",
        )

    @property
    def are_written(self) -> bool:
        """Tell whether they stand in the kubeconfig, or in files that it names: no program has to be run."""
        return isinstance(self._credentials, StaticCredentials)

    def current(self) -> Access:
        """Return what the kubeconfig says now. Raises `Unavailable`."""
        with self._lock:
            contents = self._contents()
            if contents == self._seen:
                self._failing.recovered()
            elif self._take():
                self._seen = contents
            return self._credentials.current()

    def refused(self, access: Access, /) -> None:
        """Look at the files again on the next occasion."""
        with self._lock:
            for file in self._files:
                file.expire()
            self._credentials.refused(access)

    def _contents(self) -> list[bytes]:
        found = []
        for file in self._files:
            try:
                found.append(file.read())
            except Unavailable:
                found.append(b"")  # it went between two looks; what it said before counts
        return found

    def _take(self) -> bool:
        """Take over what the kubeconfig says now; false: it cannot be read yet, as it is being written, or
        names a file that comes after it."""
        try:
            found = self._read()
        except SettingsError as error:
            self._failing.failed(str(error))
            return False
        self._failing.recovered()
        if _place(found) != _place(self._first):
            log.get().warning(
                "the kubeconfig names another server or another way to it; SIGHUP goes there",
                source=found.source,
                server=found.server,
            )
            return True
        self._credentials = found.credentials
        log.get().info("the kubeconfig was read again", source=found.source)
        return True


def _place(config: ClusterConfig) -> tuple[object, ...]:
    return config.server, config.tls_server_name, config.insecure, config.proxy_url
