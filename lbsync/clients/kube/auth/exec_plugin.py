"""Credentials from a program, as kubeconfig's `users[].user.exec` describes it.

Source: Kubernetes documentation, "client-go credential plugins" (`client.authentication.k8s.io`,
v1 and v1beta1). The program prints an ExecCredential; it is run again when that expires, and when
the server refuses it.
"""

import datetime
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec

from lbsync.clients import programs
from lbsync.clients.kube.auth.access import Access, Certificate
from lbsync.clients.kube.auth.files import Content
from lbsync.clients.kube.errors import UNREADABLE
from lbsync.decoders import decode
from lbsync.errors import Unavailable

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
TIMEOUT = 20.0
"""Seconds a program may take."""
EARLY = 10.0
"""Seconds before the announced end from which a credential is no longer used."""
AGAIN = 10.0
"""Least seconds between two runs: several watches that are refused together, or a program that
fails, must not start it over and over."""


class Variable(msgspec.Struct, frozen=True):
    """One of `exec.env`."""

    name: str
    value: str = ""


class Exec(msgspec.Struct, frozen=True, rename="camel"):
    """The `exec` section of a kubeconfig."""

    command: str
    api_version: str = ""
    args: list[str] | None = None
    env: list[Variable] | None = None
    install_hint: str | None = None
    provide_cluster_info: bool = False
    interactive_mode: str = "IfAvailable"


class _Status(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: Annotated[datetime.datetime, msgspec.Meta(tz=True)] | None = None
    """RFC 3339, which names a time zone."""


class _ExecCredential(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    status: _Status


class ExecPlugin:
    """Runs the program when its last answer is used up, and keeps the answer until then."""

    def __init__(
        self,
        spec: Exec,
        directory: Path,
        cluster: dict[str, Any],
        authority: Content | None,
        again: float = AGAIN,
    ) -> None:
        """`directory` is the kubeconfig's: a command with a slash is relative to it. `cluster` is
        handed to the program when `provideClusterInfo` asks for it."""
        command = spec.command
        if "/" in command:
            command = str(directory / command)
        self._argv = [command, *(spec.args or [])]
        self._spec = spec
        self._info = self._exec_info(cluster)
        self._authority = authority
        self._again = again
        self._lock = threading.Lock()
        self._access: Access | None = None
        self._expires = float("inf")
        self._failure = ""
        self._ran = float("-inf")

    def _exec_info(self, cluster: dict[str, Any]) -> str:
        told: dict[str, Any] = {"interactive": False}
        if self._spec.provide_cluster_info:
            told["cluster"] = cluster
        info = {"kind": "ExecCredential", "apiVersion": self._spec.api_version, "spec": told}
        return msgspec.json.encode(info).decode()

    def current(self) -> Access:
        """Return the program's last answer, or run it. Raises `Unavailable`."""
        with self._lock:
            shown = self._shown()
        authority = self._authority.read() if self._authority else None
        return msgspec.structs.replace(shown, authority=authority)

    def _shown(self) -> Access:
        if self._access is not None and time.time() < self._expires - EARLY:
            return self._access
        if time.monotonic() - self._ran < self._again:
            if self._access is not None and time.time() < self._expires:
                return self._access
            if self._failure:
                raise Unavailable(self._failure)
        self._ran = time.monotonic()
        try:
            self._access = self._run()
        except Unavailable as error:
            self._access = None
            self._failure = str(error)
            raise
        self._failure = ""
        return self._access

    def refused(self, access: Access, /) -> None:
        """Run the program again on the next `current`, but not within `again` seconds."""
        with self._lock:
            known = self._access
            same = known is not None and (known.token, known.certificate) == (
                access.token,
                access.certificate,
            )
            if same and time.monotonic() - self._ran >= self._again:
                self._access = None

    def _run(self) -> Access:
        env = {variable.name: variable.value for variable in self._spec.env or []}
        env["KUBERNETES_EXEC_INFO"] = self._info
        try:
            outcome = programs.run(self._argv, TIMEOUT, env=env)
        except Unavailable as error:
            raise Unavailable(f"credential plugin {error}{self._hint()}") from error
        if outcome.rc != 0:
            said = outcome.stderr.strip()[-500:] or "it said nothing"
            raise Unavailable(
                f"credential plugin {self._argv[0]}: exit code {outcome.rc}: {said}{self._hint()}"
            )
        return self._read(outcome.stdout)

    def _hint(self) -> str:
        return f"; {self._spec.install_hint.strip()}" if self._spec.install_hint else ""

    def _read(self, stdout: str) -> Access:
        name = f"credential plugin {self._argv[0]}"
        try:
            answer = decode(stdout, _ExecCredential)
        except UNREADABLE as error:
            # The answer itself may hold a secret: only what is wrong with it is told.
            raise Unavailable(f"{name}: printed no ExecCredential: {error}") from error
        if answer.kind != "ExecCredential" or answer.api_version != self._spec.api_version:
            raise Unavailable(
                f"{name}: printed {answer.kind} {answer.api_version},"
                f" wanted ExecCredential {self._spec.api_version}"
            )
        status = answer.status
        certificate = None
        if status.client_certificate_data and status.client_key_data:
            certificate = Certificate(
                status.client_certificate_data.encode(), status.client_key_data.encode()
            )
        if not status.token and certificate is None:
            raise Unavailable(f"{name}: printed neither a token nor a certificate with its key")
        ends = status.expiration_timestamp
        self._expires = ends.timestamp() if ends else float("inf")
        return Access(token=status.token, certificate=certificate)
