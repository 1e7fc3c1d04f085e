"""Credentials that stand in a kubeconfig, or in files that it names."""

import threading

from lbsync.clients.kube.auth.access import Access, Certificate
from lbsync.clients.kube.auth.files import Content


class StaticCredentials:
    """Token, client certificate and authority; files among them are read again when they change."""

    def __init__(
        self,
        token: Content | None,
        certificate: Content | None,
        key: Content | None,
        authority: Content | None,
    ) -> None:
        self._token = token
        self._certificate = certificate
        self._key = key
        self._authority = authority
        self._lock = threading.Lock()

    def current(self) -> Access:
        """Return what the kubeconfig says now. Raises `Unavailable` when a file cannot be read."""
        with self._lock:
            pair = None
            if self._certificate and self._key:
                pair = Certificate(self._certificate.read(), self._key.read())
            return Access(
                token=(self._token.text() or None) if self._token else None,
                certificate=pair,
                authority=self._authority.read() if self._authority else None,
            )

    def refused(self, _access: Access, /) -> None:
        """Read the files again."""
        with self._lock:
            for content in (self._token, self._certificate, self._key, self._authority):
                if content:
                    content.expire()
