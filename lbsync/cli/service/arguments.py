"""The input of `lbsync service put`: a document, or flags."""

import argparse
from collections.abc import Mapping
from typing import Any

from lbsync.clients.files.contents import parse_yaml
from lbsync.clients.files.input_documents import bytes_of
from lbsync.errors import Rejected
from lbsync.model.snapshot import Item
from lbsync.schema import reading
from lbsync.schema.keys import ServiceId, service_key
from lbsync.schema.service_document import Document, compose, servers_of

_DEFAULT_GROUP = "main"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--file", metavar="FILE", help="document to write; - reads stdin")
    parser.add_argument("--dry-run", action="store_true", help="validate and show, write nothing")
    parser.add_argument("--force", action="store_true", help="even if a publisher owns the keys")
    servers = parser.add_argument_group("servers")
    servers.add_argument(
        "--group",
        metavar="NAME",
        help=f"group of the servers given with --server (default: {_DEFAULT_GROUP})",
    )
    servers.add_argument(
        "--server", action="append", default=[], metavar="NAME=ADDR:PORT[,weight=N][,state=S]",
        help="a server of the group; repeat for each server of the group",
    )  # fmt: skip
    servers.add_argument(
        "--replace", action="store_true", help="remove servers of the group that are not named"
    )
    fields = parser.add_argument_group("fields of the service")
    fields.add_argument("--mode", choices=("http", "tcp"), help="default for a new service: http")
    fields.add_argument(
        "--host", action="append", metavar="HOST", help="shop.example.com or *.example.com; repeat"
    )
    fields.add_argument("--path", action="append", metavar="PREFIX", help="/api; repeat")
    fields.add_argument("--listen", type=int, metavar="PORT", help="port of a tcp service")
    fields.add_argument("--balance", metavar="HOW", help="roundrobin, leastconn, random, source …")
    fields.add_argument("--check-path", metavar="PATH", help="path for health checks with GET")
    fields.add_argument(
        "--sticky", metavar="COOKIE", help="name of the cookie that keeps a client on one server"
    )
    fields.add_argument(
        "--maxconn", type=int, metavar="N", help="maximum number of connections to each server"
    )
    fields.add_argument("--owner", metavar="TEXT", help="contact for questions about the service")
    fields.add_argument(
        "--field", action="append", default=[], metavar="NAME=JSON",
        help="any field: --field 'timeouts={\"server\": \"5s\"}'; repeat",
    )  # fmt: skip


def wanted(args: argparse.Namespace, service: ServiceId, stored: Mapping[str, Item]) -> Document:
    """Return the document that is asked for: that of `-f`, or what the flags make of what is stored.

    Raises `Rejected`.
    """
    if args.file:
        return parse(bytes_of(args.file), service)
    changed = _fields(args, service)
    servers = [_server(text, service) for text in args.server]
    is_new = service_key(service) not in stored
    if not changed and not servers:
        raise Rejected(f"{service}: nothing to write; give -f FILE, --server, or a field")
    document: Document = {}
    if changed or is_new:
        old = {} if is_new else compose(stored, service).get("service", {})
        base = old if isinstance(old, dict) else {}
        document["service"] = {"mode": "http", **base, **changed}
    if servers:
        document["endpoints"] = _groups(args, service, stored, servers)
    return document


def parse(data: bytes, service: ServiceId) -> Document:
    """Read a document from JSON or YAML. Raises `Rejected`."""
    try:
        raw = parse_yaml(data)
    except ValueError as error:
        raise Rejected(f"{service}: the document is neither JSON nor YAML: {error}") from error
    if not isinstance(raw, dict):
        raise Rejected(f"{service}: the document must be an object with the fields of the service")
    parts = {"service", "endpoints", "route"}
    if not parts & raw.keys():
        return {"service": raw}
    if unknown := sorted(str(key) for key in raw.keys() - parts):
        raise Rejected(
            f"{service}: the document has {', '.join(unknown)} beside {', '.join(sorted(parts))}; "
            'fields of the service belong under "service"'
        )
    groups = raw.get("endpoints", {})
    if not isinstance(groups, dict) or not all(isinstance(name, str) for name in groups):
        raise Rejected(f'{service}: "endpoints" must be an object from group to servers')
    return raw


def _groups(
    args: argparse.Namespace,
    service: ServiceId,
    stored: Mapping[str, Item],
    servers: list[dict[str, Any]],
) -> dict[str, Any]:
    groups: dict[str, Any] = dict(compose(stored, service).get("endpoints", {}))
    if args.group is None and groups and list(groups) != [_DEFAULT_GROUP]:
        raise Rejected(f"{service}: has the groups {', '.join(groups)}; say which with --group")
    group = args.group or _DEFAULT_GROUP
    gone = _names(groups.get(group)) - _names({"servers": servers})
    if gone and not args.replace:
        first = min(gone)
        raise Rejected(
            f"{service}: --server names all servers of group {group}, so {', '.join(sorted(gone))} "
            "would go; name them, too, or give --replace if that is meant; one server alone is "
            f"changed by 'lbsync server drain|maint|up|weight {service}/{first}'"
        )
    groups[group] = {"servers": servers}
    return groups


def _names(value: object) -> set[str]:
    return {str(server.get("name")) for server in servers_of(value)}


def _fields(args: argparse.Namespace, service: ServiceId) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for flag, field in (
        ("mode", "mode"), ("host", "hosts"), ("path", "paths"), ("listen", "listen"),
        ("balance", "balance"), ("maxconn", "maxconn"), ("owner", "owner"),
    ):  # fmt: skip
        if (value := getattr(args, flag)) is not None:
            found[field] = value
    if args.check_path:
        found["check"] = {"type": "http", "path": args.check_path}
    if args.sticky:
        found["sticky"] = {"cookie": args.sticky}
    for text in args.field:
        name, equals, value = text.partition("=")
        try:
            found[name] = reading.plain(value)
        except reading.Unreadable as error:
            raise Rejected(f"{service}: --field {text}: write NAME=JSON ({error})") from error
        if not equals or not name:
            raise Rejected(f"{service}: --field {text}: write NAME=JSON")
    return found


def _server(text: str, service: ServiceId) -> dict[str, Any]:
    """Read `a=10.0.0.7:8080,weight=2,state=drain`, `a=[fd00::7]:8080`."""
    shape = "write NAME=ADDRESS:PORT, as in a=10.0.0.7:8080 or a=[fd00::7]:8080,weight=2"
    place, *options = text.split(",")
    name, _, target = place.partition("=")
    address, _, port = target.rpartition(":")
    if not name or not address or not port.isdecimal():
        raise Rejected(f"{service}: --server {text}: {shape}")
    server: dict[str, Any] = {
        "name": name,
        "address": address.removeprefix("[").removesuffix("]"),
        "port": int(port),
    }
    for option in options:
        key, _, value = option.partition("=")
        if key == "weight" and value.isdecimal():
            server["weight"] = int(value)
        elif key == "state" and value:
            server["state"] = value
        else:
            raise Rejected(
                f"{service}: --server {text}: {option!r} is neither weight=N nor state=S"
            )
    return server
