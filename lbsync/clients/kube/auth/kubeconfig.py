"""What a kubeconfig says, as a `ClusterConfig`, as kubectl and client-go understand it.

What cannot be honoured is refused by name: a field silently ignored would connect as somebody else.
"""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lbsync.clients.kube.auth.access import ClusterConfig, Credentials
from lbsync.clients.kube.auth.exec_plugin import AGAIN, VERSIONS, Exec, ExecPlugin
from lbsync.clients.kube.auth.files import EVERY, Content, Fixed, RotatedFile
from lbsync.clients.kube.auth.kubeconfig_file import (
    ClusterEntry,
    ContextEntry,
    Files,
    NamedUser,
    UserEntry,
    find,
    read_all,
)
from lbsync.clients.kube.auth.renewed import Renewed
from lbsync.clients.kube.auth.static_credentials import StaticCredentials
from lbsync.errors import SettingsError, Unavailable


def default_paths(env: Mapping[str, str]) -> list[Path]:
    """Return the files kubectl would read: $KUBECONFIG (a list), else ~/.kube/config."""
    named = [Path(part) for part in env.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path(env.get("HOME", "/"), ".kube", "config")]


def load(
    paths: Sequence[Path],
    context: str | None = None,
    every: float = EVERY,
    again: float = AGAIN,
) -> ClusterConfig:
    """Return what a context says; None means the file's `current-context`.

    `every` is how often the files, and those named in them, are looked at again, `again` the least
    time between two runs of a credential program; seconds. Raises `SettingsError`.
    """

    def read() -> ClusterConfig:
        return _read(paths, context, every, again)

    first = read()
    return msgspec.structs.replace(first, credentials=Renewed(paths, first, read, every))


def _read(paths: Sequence[Path], context: str | None, every: float, again: float) -> ClusterConfig:
    files = read_all(paths)
    shown = ", ".join(str(path) for path, _ in files)
    chosen, at = _context(files, context, shown)
    where = f"{shown}: context {chosen}"
    cluster_file, cluster = find(
        [(p, f.clusters) for p, f in files], at.cluster, f"{where}: clusters"
    )
    # A context may name no user: nobody then, which some servers let in.
    user_file, user = cluster_file, NamedUser("")
    if at.user:
        user_file, user = find([(p, f.users) for p, f in files], at.user, f"{where}: users")
    server = _server(cluster.cluster, f"{shown}: cluster {at.cluster}")
    authority = _content(
        cluster.cluster.certificate_authority_data,
        cluster.cluster.certificate_authority,
        cluster_file,
        "certificate-authority",
        every,
    )
    where = f"{user_file}: user {at.user}"
    entry = user.user or UserEntry()
    _refuse(entry, where)
    if entry.run is not None:
        _check_plugin(entry.run, where)
        told = _told(cluster.cluster, authority)
        credentials: Credentials = ExecPlugin(entry.run, user_file.parent, told, authority, again)
    else:
        credentials = _user(entry, where, user_file, authority, every)
    return ClusterConfig(
        server=server,
        credentials=credentials,
        source=f"kubeconfig {shown}, context {chosen}",
        tls_server_name=cluster.cluster.tls_server_name,
        insecure=cluster.cluster.insecure_skip_tls_verify,
        proxy_url=cluster.cluster.proxy_url,
        namespace=at.namespace or "default",
    )


def _context(files: Files, context: str | None, shown: str) -> tuple[str, ContextEntry]:
    chosen = context or next((f.current_context for _, f in files if f.current_context), None)
    if not chosen:
        raise SettingsError([f"{shown}: no current-context; name a context"])
    _, named = find([(p, f.contexts) for p, f in files], chosen, f"{shown}: contexts")
    return chosen, named.context


def _server(cluster: ClusterEntry, where: str) -> str:
    if not cluster.server.startswith(("https://", "http://")):
        raise SettingsError([f"{where}: server {cluster.server!r} must begin with https://"])
    if cluster.proxy_url and not cluster.proxy_url.startswith(("http://", "https://")):
        raise SettingsError(
            [f"{where}: proxy-url must begin with http:// or https://; SOCKS is not supported"]
        )
    return cluster.server.rstrip("/")


def _content(
    data: str | None, name: str | None, file: Path, fieldname: str, every: float
) -> Content | None:
    """Return the content of a pair of fields; data wins over the file's name, as in kubectl."""
    if data:
        try:
            return Fixed(base64.b64decode("".join(data.split()), validate=True))
        except (binascii.Error, ValueError) as error:
            raise SettingsError([f"{file}: {fieldname}-data is not base64: {error}"]) from error
    if not name:
        return None
    rotated = RotatedFile(file.parent / name, every)
    try:
        rotated.read()
    except Unavailable as error:
        raise SettingsError([f"{file}: {fieldname}: {error}"]) from error
    return rotated


def _refuse(user: UserEntry, where: str) -> None:
    cures = {
        "as": (user.impersonate, "use credentials of the account itself"),
        "username": (user.username, "use a token, a certificate or exec"),
        "auth-provider": (user.auth_provider, "use exec"),
    }
    problems = [
        f"{where}: {key} is not supported; {cure}" for key, (value, cure) in cures.items() if value
    ]
    if problems:
        raise SettingsError(problems)


def _user(
    user: UserEntry, where: str, file: Path, authority: Content | None, every: float
) -> Credentials:
    certificate = _content(
        user.client_certificate_data, user.client_certificate, file, "client-certificate", every
    )
    key = _content(user.client_key_data, user.client_key, file, "client-key", every)
    if (certificate is None) != (key is None):
        missing = "client-key" if key is None else "client-certificate"
        raise SettingsError([f"{where}: {missing} is missing; a certificate needs both"])
    token = _content(None, user.token_file, file, "tokenFile", every)
    if token is None and user.token:
        token = Fixed(user.token.encode())
    return StaticCredentials(token, certificate, key, authority)


def _check_plugin(spec: Exec, where: str) -> None:
    if spec.api_version not in VERSIONS:
        raise SettingsError(
            [f"{where}: exec.apiVersion {spec.api_version!r} must be {' or '.join(VERSIONS)}"]
        )
    if spec.interactive_mode == "Always":
        raise SettingsError([f"{where}: exec.interactiveMode Always: there is nobody to ask"])


def _told(cluster: ClusterEntry, authority: Content | None) -> dict[str, Any]:
    """Return what a program is told of the cluster (ExecCredential `spec.cluster`)."""
    told: dict[str, Any] = {"server": cluster.server}
    if authority is not None:
        told["certificate-authority-data"] = base64.b64encode(authority.read()).decode()
    optional = {
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "proxy-url": cluster.proxy_url,
        "config": _plugin_config(cluster),
    }
    return told | {key: value for key, value in optional.items() if value}


def _plugin_config(cluster: ClusterEntry) -> Any:
    """Return what the cluster entry keeps for plug-ins, under the name the documentation fixes."""
    for extension in cluster.extensions or []:
        if extension.get("name") == "client.authentication.k8s.io/exec":
            return extension.get("extension")
    return None
