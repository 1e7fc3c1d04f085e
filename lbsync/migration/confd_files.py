"""Reads what confd is set up with: conf.d/*.toml and confd.toml."""

import posixpath
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lbsync.errors import Rejected
from lbsync.migration.remarks import Remarks


class Resource(msgspec.Struct, frozen=True):
    """One `[template]` of conf.d: a file that confd keeps."""

    file: Path
    """The TOML file."""
    src: str
    dest: str
    keys: tuple[str, ...] = ()
    prefix: str = ""
    owner: str = ""
    group: str = ""
    mode: str = ""
    check: str = ""
    reload: str = ""
    """Command lines for a shell, as confd runs them."""


class Backend(msgspec.Struct, frozen=True):
    """What confd.toml says of the store."""

    name: str = "etcd"
    prefix: str = ""
    nodes: tuple[str, ...] = ()
    ca: str = ""
    cert: str = ""
    key: str = ""
    user: str = ""


_TEXTS = {
    "src": "src",
    "dest": "dest",
    "check_cmd": "check",
    "reload_cmd": "reload",
    "mode": "mode",
}
_OWNERS = {"owner": "owner", "uid": "owner", "group": "group", "gid": "group"}
_CONNECTION = {
    "backend": "name", "client_cakeys": "ca", "client_cert": "cert", "client_key": "key", "username": "user",
}  # fmt: skip
_WITHOUT_COUNTERPART = {
    "interval": "lbsync always watches; `agent.resync` is how often it reads everything again",
    "watch": "lbsync always watches",
    "password": "write the password into a file, and name it as etcd.password_file",
    "basic_auth": "is switched on by etcd.user",
    "client_insecure": "lbsync always verifies the members' certificates; name their authority in etcd.ca",
    "srv_domain": "name the members in etcd.endpoints",
    "srv_record": "name the members in etcd.endpoints",
}
_SILENT = frozenset({"confdir", "log-level", "noop", "onetime", "scheme", "sync-only", "version"})


def read_resource(path: Path, remarks: Remarks) -> Resource:
    """Return what one file of conf.d says. Raises `Rejected` if confd would not take it either."""
    document = _toml(path)
    table = document.get("template")
    if not isinstance(table, dict):
        raise Rejected(f"{path}: there is no [template] in it")
    found: dict[str, Any] = {}
    for name, value in table.items():
        line = _line(path, name)
        if name in _TEXTS:
            found[_TEXTS[name]] = str(value)
        elif name in _OWNERS:
            # A name says more than a number; confd too prefers it where both stand.
            if name in ("owner", "group") or _OWNERS[name] not in found:
                found[_OWNERS[name]] = str(value)
        elif name == "keys" and isinstance(value, list):
            found["keys"] = tuple(map(str, value))
        elif name == "prefix":
            found["prefix"] = clean_prefix(str(value))
        else:
            remarks.leave_open(line, f"`{name}` is no field of confd's that lbsync knows")
    for needed in ("src", "dest"):
        if not found.get(needed):
            raise Rejected(f"{path}: [template] has no `{needed}`")
    return Resource(path, **found)


def read_backend(path: Path, remarks: Remarks) -> Backend:
    """Return what confd.toml says of the store. Raises `Rejected` when it is no TOML."""
    found: dict[str, Any] = {}
    for name, value in _toml(path).items():
        line = _line(path, name)
        if name in _CONNECTION:
            found[_CONNECTION[name]] = str(value)
        elif name == "nodes" and isinstance(value, list):
            found["nodes"] = tuple(map(str, value))
        elif name == "prefix":
            found["prefix"] = clean_prefix(str(value))
        elif name in _WITHOUT_COUNTERPART:
            remarks.tell(line, f"`{name}`: {_WITHOUT_COUNTERPART[name]}")
        elif name not in _SILENT and name.replace("_", "-") not in _SILENT:
            remarks.tell(line, f"`{name}` has no counterpart")
    return Backend(**found)


def clean_prefix(prefix: str) -> str:
    """Return a prefix as confd joins it: "" or "/a/b"."""
    cleaned = posixpath.normpath("/" + prefix.strip("/"))
    return "" if cleaned in ("/", "//") else cleaned


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise Rejected(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise Rejected(f"{path}: is no TOML ({error})") from error


def _line(path: Path, name: str) -> int:
    """Return the line in which `name` is set; 0 when it is not found."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.lstrip().strip('"').startswith(name):
            return number
    return 0
