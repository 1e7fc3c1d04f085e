"""Reading kubeconfig files, as kubectl and client-go do.

Source: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files" and "kubeconfig
(v1)". Where several files are named, the first that knows a name wins. What cannot be honoured is
refused by name: a field silently ignored would connect as somebody else.
"""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import field

from lbsync.clients.kube.access import ClusterConfig, Credentials
from lbsync.clients.kube.exec_plugin import VERSIONS, Exec, ExecPlugin
from lbsync.clients.kube.files import EVERY, Content, Fixed, RotatedFile
from lbsync.clients.kube.user import UserCredentials
from lbsync.errors import SettingsError, Unavailable


class _Cluster(msgspec.Struct, rename="kebab"):
    server: str = ""
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool = False
    proxy_url: str | None = None
    extensions: list[dict[str, Any]] | None = None


class _User(msgspec.Struct, rename="kebab"):
    token: str | None = None
    token_file: str | None = field(default=None, name="tokenFile")
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    run: Exec | None = field(default=None, name="exec")
    impersonate: Any = field(default=None, name="as")
    username: Any = None
    auth_provider: Any = None


class _Context(msgspec.Struct):
    cluster: str = ""
    user: str = ""
    namespace: str | None = None


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: _Cluster


class _NamedUser(msgspec.Struct):
    name: str
    user: _User | None = None


class _NamedContext(msgspec.Struct):
    name: str
    context: _Context


class _File(msgspec.Struct, rename="kebab"):
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None
    current_context: str | None = None


_Named = TypeVar("_Named", _NamedCluster, _NamedUser, _NamedContext)
_Files = list[tuple[Path, _File]]


def default_paths(env: Mapping[str, str]) -> list[Path]:
    """Return the files kubectl would read: $KUBECONFIG (a list), else ~/.kube/config."""
    named = [Path(part) for part in env.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path(env.get("HOME", "/root")) / ".kube" / "config"]


def load(paths: Sequence[Path], context: str | None = None, every: float = EVERY) -> ClusterConfig:
    """Return what a context says; None means the file's `current-context`.

    `every` is how often (seconds) files named in it are looked at again. Raises `SettingsError`.
    """
    files = _read_all(paths)
    shown = ", ".join(str(path) for path, _ in files)
    chosen = context or next((f.current_context for _, f in files if f.current_context), None)
    if not chosen:
        raise SettingsError([f"{shown}: no current-context; name a context"])
    _, named = _find([(p, f.contexts) for p, f in files], chosen, f"{shown}: contexts")
    where = f"{shown}: context {chosen}"
    at = named.context
    cluster_file, cluster = _find(
        [(p, f.clusters) for p, f in files], at.cluster, f"{where}: clusters"
    )
    user_file, user = _find([(p, f.users) for p, f in files], at.user, f"{where}: users")
    server = _server(cluster.cluster, f"{shown}: cluster {at.cluster}")
    authority = _content(
        cluster.cluster.certificate_authority_data,
        cluster.cluster.certificate_authority,
        cluster_file,
        "certificate-authority",
        every,
    )
    where = f"{user_file}: user {at.user}"
    entry = user.user or _User()
    if entry.run is not None:
        credentials = _plugin(entry.run, where, user_file, cluster.cluster, authority)
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


def _read_all(paths: Sequence[Path]) -> _Files:
    """Read every file that is there; kubectl, too, passes over those of a list that are not."""
    files: _Files = []
    for path in paths:
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            if len(paths) == 1:
                raise SettingsError([f"kubeconfig {path}: is not there"]) from error
            continue
        except OSError as error:
            raise SettingsError(
                [f"kubeconfig {path}: cannot be read ({error.strerror})"]
            ) from error
        try:
            files.append((path, msgspec.convert(yaml.safe_load(text), _File)))
        except (yaml.YAMLError, msgspec.ValidationError, ValueError) as error:
            told = " ".join(str(error).split())
            raise SettingsError([f"kubeconfig {path}: is no kubeconfig: {told}"]) from error
    if not files:
        raise SettingsError([f"kubeconfig: none of {', '.join(map(str, paths))} is there"])
    return files


def _find(
    lists: list[tuple[Path, list[_Named] | None]], name: str, where: str
) -> tuple[Path, _Named]:
    known: list[str] = []
    for path, entries in lists:
        for entry in entries or []:
            if entry.name == name:
                return path, entry
            known.append(entry.name)
    raise SettingsError([f"{where}: no {name!r}; there are: {', '.join(known) or 'none'}"])


def _server(cluster: _Cluster, where: str) -> str:
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
            return Fixed(base64.b64decode(data, validate=False))
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


def _refuse(user: _User, where: str) -> None:
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
    user: _User, where: str, file: Path, authority: Content | None, every: float
) -> Credentials:
    _refuse(user, where)
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
    return UserCredentials(token, certificate, key, authority)


def _plugin(
    spec: Exec, where: str, file: Path, cluster: _Cluster, authority: Content | None
) -> Credentials:
    if spec.api_version not in VERSIONS:
        raise SettingsError(
            [f"{where}: exec.apiVersion {spec.api_version!r} must be {' or '.join(VERSIONS)}"]
        )
    if spec.interactive_mode == "Always":
        raise SettingsError([f"{where}: exec.interactiveMode Always: there is nobody to ask"])
    told: dict[str, Any] = {"server": cluster.server}
    if authority is not None:
        told["certificate-authority-data"] = base64.b64encode(authority.read()).decode()
    optional = {
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "proxy-url": cluster.proxy_url,
        "config": _plugin_config(cluster),
    }
    told.update({key: value for key, value in optional.items() if value})
    return ExecPlugin(spec, file.parent, told, authority)


def _plugin_config(cluster: _Cluster) -> Any:
    """Return what the cluster entry keeps for plug-ins, under the name the documentation fixes."""
    for extension in cluster.extensions or []:
        if extension.get("name") == "client.authentication.k8s.io/exec":
            return extension.get("extension")
    return None
