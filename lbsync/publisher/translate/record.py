"""The draft of a service's record, validated by the contract's own decoder."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lbsync.errors import BadKey
from lbsync.kube_objects import Service
from lbsync.model.records import ServiceRecord
from lbsync.publisher.translate.fields import FIELDS, Path
from lbsync.publisher.translate.modes import local_check
from lbsync.publisher.translate.options import PREFIX
from lbsync.publisher.translate.reader import AnnotationValues
from lbsync.publisher.translate.report import Refused, Report
from lbsync.publisher.translate.shapes import Shape, require_hosts
from lbsync.publisher.translate.vendors.aliases import PLACE
from lbsync.publisher.translate.vendors.policies import REWRITE_TARGET
from lbsync.schema.decode import decode_as
from lbsync.schema.keys import ServiceId, service_key
from lbsync.settings.publisher import AddressMode

_STEP = re.compile(r"[a-z_]+")
_PLAIN = frozenset({"", "http", "ws", "kubernetes.io/ws"})
#: Fields by which somebody has said in what servers are spoken to.
_PROTOCOL_FIELDS = {"backend_tls", "backend_protocol"}
_TELLS_CHECK = frozenset({"type", "path", "port", "status", "method"})
_NAME_OF: dict[Path, str] = {field.path: PREFIX + field.name for field in FIELDS.values()}


def complete(
    service: Service, values: AnnotationValues, mode: AddressMode, source: str, report: Report
) -> None:
    """Fill in what the Service itself says, where no annotation says it. Changes `values`."""
    draft = values.draft
    draft.setdefault("mode", "http")
    draft["source"] = source
    check = draft.get("check", {})
    found = local_check(service) if mode == "nodeport" else None
    if found and isinstance(check, dict) and not _TELLS_CHECK & check.keys():
        draft["check"] = {**check, **found}
    _affinity(service, draft, mode, report)
    if mode not in ("pod", "external-name") and "sticky" in draft:
        report.warn(
            f"a cookie keeps a client on one server, and in address mode {mode} that is no pod",
            "set annotation lbsync.io/address-mode: pod",
        )


def _affinity(service: Service, draft: dict[str, Any], mode: AddressMode, report: Report) -> None:
    if service.session_affinity != "ClientIP":
        return
    if mode != "pod":
        report.warn(
            "sessionAffinity ClientIP sees HAProxy's address only, so all traffic of one HAProxy "
            "host would go to one pod",
            "set sessionAffinity: None, or annotation lbsync.io/address-mode: pod",
        )
    elif "balance" not in draft and "sticky" not in draft:
        draft["balance"] = "source"
        report.warn(
            "sessionAffinity ClientIP is served by balance source: clients may move when servers do",
            "set annotation lbsync.io/sticky-cookie for more, or lbsync.io/balance for less",
        )


def warn_of_protocol(shape: Shape, draft: Mapping[str, Any], report: Report) -> None:
    """Report a port that does not speak what servers are spoken to in."""
    protocol = shape.port.app_protocol.lower()
    if draft["mode"] == "http" and protocol not in _PLAIN and not draft.keys() & _PROTOCOL_FIELDS:
        report.warn(
            f"its port says appProtocol {protocol}, and servers are spoken to in plain HTTP/1.1",
            "set annotation lbsync.io/backend-tls, lbsync.io/backend-protocol: h2c or lbsync.io/mode: "
            "tcp, or choose another port",
        )


def service_record(service: ServiceId, shape: Shape, values: AnnotationValues) -> ServiceRecord:
    """Return the validated record. Raises `Refused`, naming the annotation that is wrong."""
    draft = dict(values.draft)
    if shape.hosts:
        draft["hosts"] = shape.hosts
        draft["paths"] = () if shape.paths == ("/",) else shape.paths
    origins = dict(values.origins)
    if shape.said_by:
        origins |= {("hosts",): shape.said_by, ("paths",): shape.said_by}
    rewrite = _rewrite(values.rewrite_target, draft.get("paths", ()))
    if rewrite and "rewrite" not in draft:
        draft["rewrite"] = rewrite
        origins["rewrite",] = values.origins[PLACE, REWRITE_TARGET]
    key = service_key(service)
    try:
        value = msgspec.json.encode(draft, enc_hook=str.__str__)
        record = decode_as(ServiceRecord, key, value)
    except BadKey as error:
        reason = _explain(error.reason, origins)
        field = tuple(_STEP.findall(error.reason.partition(": ")[0]))
        is_said = any(path[: len(field)] == field or field[: len(path)] == path for path in origins)
        raise Refused(reason, "correct it, or take it out" if is_said else "set it") from error
    require_hosts(draft)
    return record


def _rewrite(target: str, paths: Any) -> dict[str, Any]:
    """Return the rewriting that puts `target` in the place of whichever of `paths` matched."""
    if not target:
        return {}
    strip = [path for path in paths if path != "/"]
    parts = {"strip": strip} if strip else {}
    return {**parts, "prefix": target} if target != "/" else parts


def _explain(reason: str, origins: Mapping[Path, str]) -> str:
    """Put the names of what set the fields, or could have, in the place of the fields' names."""
    head, colon, rest = reason.partition(": ")
    paths = [tuple(_STEP.findall(part)) for part in head.split(", ")]
    found = [name for path in paths if (name := _origin(path, origins))]
    found = found or [_NAME_OF[path] for path in paths if path in _NAME_OF]
    if not colon or not found:
        return reason
    names = ", ".join(dict.fromkeys(found))
    return f"{'' if names.startswith('Ingress') else 'annotation '}{names}: {rest}"


def _origin(path: Path, origins: Mapping[Path, str]) -> str | None:
    """Return what set the field at `path`, or one above or below it."""
    for length in range(len(path), 0, -1):
        if name := origins.get(path[:length]):
            part = ".".join(path[length:])
            return f"{name} ({part})" if part else name
    below = [name for known, name in sorted(origins.items()) if known[: len(path)] == path]
    return below[0] if below and path else None
