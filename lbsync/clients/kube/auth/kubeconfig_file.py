"""The fields of kubeconfig files, and finding an entry in several of them.

Source: Kubernetes documentation, "kubeconfig (v1)". Where several files are named, the first that
knows a name wins ("Organizing Cluster Access Using kubeconfig Files").
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import field

from lbsync.clients.kube.auth.exec_plugin import Exec
from lbsync.decoders import convert
from lbsync.errors import SettingsError


class ClusterEntry(msgspec.Struct, rename="kebab"):
    """`clusters[].cluster`."""

    server: str = ""
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool = False
    proxy_url: str | None = None
    extensions: list[dict[str, Any]] | None = None


class UserEntry(msgspec.Struct, rename="kebab"):
    """`users[].user`; what is `Any` is only looked at to be refused."""

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


class ContextEntry(msgspec.Struct):
    """`contexts[].context`."""

    cluster: str = ""
    user: str = ""
    namespace: str | None = None


class NamedCluster(msgspec.Struct):
    """`clusters[]`."""

    name: str
    cluster: ClusterEntry


class NamedUser(msgspec.Struct):
    """`users[]`."""

    name: str
    user: UserEntry | None = None


class NamedContext(msgspec.Struct):
    """`contexts[]`."""

    name: str
    context: ContextEntry


class File(msgspec.Struct, rename="kebab"):
    """A kubeconfig file as far as it is read."""

    clusters: list[NamedCluster] | None = None
    users: list[NamedUser] | None = None
    contexts: list[NamedContext] | None = None
    current_context: str | None = None


_NO_KUBECONFIG = (
    *(yaml.YAMLError, msgspec.ValidationError, ValueError, RecursionError),
    *(LookupError, AttributeError, OverflowError),
)
"""What is raised for a text that is none: PyYAML lets errors of Python through (`!!int ""`: IndexError, `!!bool x`:
KeyError, `!!timestamp x`: AttributeError; measured, 6.0)."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one: Python's own takes seconds for a thousand lists within each other."""

Named = TypeVar("Named", NamedCluster, NamedUser, NamedContext)
Files = list[tuple[Path, File]]


def read_all(paths: Sequence[Path]) -> Files:
    """Read every file that is there; kubectl, too, passes over those of a list that are not.

    Raises `SettingsError` for what is no kubeconfig, and when none is there.
    """
    files: Files = []
    for path in paths:
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            if len(paths) == 1:
                raise SettingsError(
                    [
                        f"kubeconfig {path}: is not there; name yours in the settings (`kubeconfig`), or in KUBECONFIG"
                    ]
                ) from error
            continue
        except OSError as error:
            raise SettingsError(
                [f"kubeconfig {path}: cannot be read ({error.strerror})"]
            ) from error
        try:
            files.append((path, convert(yaml.load(text, _LOADER) or {}, File)))
        except _NO_KUBECONFIG as error:
            told = " ".join(str(error).split())
            raise SettingsError([f"kubeconfig {path}: is no kubeconfig: {told}"]) from error
    if not files:
        raise SettingsError([f"kubeconfig: none of {', '.join(map(str, paths))} is there"])
    return files


def find(lists: list[tuple[Path, list[Named] | None]], name: str, where: str) -> tuple[Path, Named]:
    """Return the first entry of that name and the file it stands in. Raises `SettingsError`."""
    known: list[str] = []
    for path, entries in lists:
        for entry in entries or []:
            if entry.name == name:
                return path, entry
            known.append(entry.name)
    raise SettingsError([f"{where}: no {name!r}; there are: {', '.join(known) or 'none'}"])
