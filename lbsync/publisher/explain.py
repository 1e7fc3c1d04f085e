"""Why a Service is published as it is, or not at all: told from what is there. Pure."""

from collections.abc import Collection, Iterator

import msgspec

from lbsync.kube_objects import Endpoint, Node, Service
from lbsync.model.permission import Permission
from lbsync.model.records import EndpointsRecord
from lbsync.publisher.cluster.lister import Inputs
from lbsync.publisher.followed import permitted, translated
from lbsync.publisher.store.diff import Change, Identity, arrange, changes
from lbsync.publisher.store.index import Keys
from lbsync.publisher.translate import Options, Translation, endpoint_results, is_published
from lbsync.publisher.translate.annotations import read_annotations
from lbsync.publisher.translate.nodes import EXCLUDED, GOING
from lbsync.publisher.translate.options import PUBLISH_LABEL
from lbsync.publisher.translate.report import Refused, Report
from lbsync.publisher.translate.slices import Judged, slices_of
from lbsync.settings.publisher import AddressMode


class Line(msgspec.Struct, frozen=True):
    """One line of an explanation."""

    about: str
    """`Service`, `annotation`, `endpoint`, `node`, `refused`, `warning`, `conflict` or `step`."""
    text: str
    good: bool = True


def absent(name: str) -> list[Line]:
    """Return what there is to say of a Service that the cluster does not have."""
    return [Line("Service", f"the cluster has no Service {name}", good=False)]


def explain(
    me: Identity,
    inputs: Inputs,
    nodes: list[Node],
    stored: Keys,
    options: Options,
    *,
    permission: Permission,
) -> list[Line]:
    """Return everything that decides about one Service, in the order in which it does."""
    service = inputs.service
    lines = list(_service(service, options))
    if not is_published(service):
        return lines
    lines += _origins(inputs)
    lines += _endpoints(inputs, options)
    lines += _nodes(nodes, options)
    found = permitted(translated(inputs, options), permission)
    lines += _verdict(me, found, stored)
    return lines


def unread(service: Service, options: Options, why: str) -> list[Line]:
    """Return what there is to say of a Service of which something else that decides cannot be read."""
    text = f"what else decides cannot be read: {why}"
    return [*_service(service, options), Line("Service", text, good=False)]


def _service(service: Service, options: Options) -> Iterator[Line]:
    ports = ", ".join(
        f"{port.name or 'unnamed'} {port.port}/{port.protocol}" for port in service.ports
    )
    yield Line("Service", f"type {service.type}, ports {ports or 'none'}")
    if service.deleting:
        yield Line("Service", "it is being deleted, so it is no longer published", good=False)
    elif not is_published(service):
        told = service.labels.get(PUBLISH_LABEL)
        has = f"label {PUBLISH_LABEL} is {told!r}" if told else f"it has no label {PUBLISH_LABEL}"
        yield Line("Service", f'{has}; give it {PUBLISH_LABEL}: "true"', good=False)
        if PUBLISH_LABEL in service.annotations:
            text = f"{PUBLISH_LABEL} is an annotation, which publishes nothing; write it as a label"
            yield Line("Service", text, good=False)
    else:
        yield Line("Service", f'label {PUBLISH_LABEL} is "true"')
        mode = service.annotations.get("lbsync.io/address-mode")
        text = "as its annotation says" if mode else "as the publisher's settings say"
        yield Line("Service", f"address mode {mode or options.address_mode}, {text}")


def _origins(inputs: Inputs) -> Iterator[Line]:
    try:
        values = read_annotations(inputs.service, inputs.ingresses, Report("-"))
    except Refused:
        return  # the translation says it too
    for path, origin in sorted(values.origins.items()):
        if path[0] != "@":
            yield Line("annotation", f"{'.'.join(path)} comes from {origin}")
    for ingress in inputs.ingresses:
        yield Line("annotation", f"Ingress {ingress.namespace}/{ingress.name} leads to it")


def _endpoints(inputs: Inputs, options: Options) -> Iterator[Line]:
    service = inputs.service
    own = slices_of(service, inputs.slices)
    if not own and service.type != "ExternalName":
        yield Line("endpoint", "no EndpointSlice belongs to it", good=False)
    for found in inputs.slices:
        if found not in own:
            yield Line("endpoint", f"EndpointSlice {found.name} belongs to an earlier Service of "
                       "this name, and does not count", good=False)  # fmt: skip
    told = endpoint_results(
        service,
        own,
        ingresses=inputs.ingresses,
        options=options,
        pod_labels=inputs.pods,
    )
    usable = {node.name for node in inputs.pool.nodes}
    said: list[list[tuple[str, str, bool]]] = []
    if told is None:
        every = [(found, endpoint) for found in own for endpoint in found.endpoints]
        said = [[_refused(endpoint)] for _, endpoint in every]
    else:
        every = [(j.slice, j.endpoint) for j in next(iter(told.ports.values()), [])]
        columns = [
            [
                (f"port {port.name or port.number}: ", *_fate(j, service, told.mode, usable))
                for j in js
            ]
            for port, js in told.ports.items()
        ]
        said = [list(row) for row in zip(*columns, strict=True)]
    for (found, endpoint), row in zip(every, said, strict=True):
        name = endpoint.target or endpoint.hostname or endpoint.node or "without a name"
        where = f"{endpoint.address} ({name}, EndpointSlice {found.name})"
        is_same = len({text for _, text, _ in row}) == 1
        for port, text, is_used in row[:1] if is_same else row:
            yield Line("endpoint", f"{where}: {'' if is_same else port}{text}", good=is_used)


def _fate(
    judged: Judged, service: Service, mode: AddressMode, usable: Collection[str]
) -> tuple[str, bool]:
    """Return what becomes of one endpoint, and whether requests may reach it."""
    if mode in ("lb-status", "external-name"):
        return f"left out: address mode {mode} has other servers", False
    if judged.member is None:
        return f"left out: {judged.why}", False
    is_local = mode == "nodeport" and service.external_traffic_policy == "Local"
    node = judged.member.node
    if is_local and node not in usable:
        why = f"its node {node} is no server" if node else "it names no node"
        return f"left out: {why}, and externalTrafficPolicy is Local", False
    through = {
        "nodeport": ", reached through nodes",
        "clusterip": ", reached through the cluster IP",
    }
    way = through.get(mode, "")
    if judged.endpoint.ready:
        return f"ready{way}", True
    if judged.member.state == "up":
        return f"terminating and still serving: serves, as nobody else is ready{way}", True
    return f"terminating and still serving: drains{way}", True


def _refused(endpoint: Endpoint) -> tuple[str, str, bool]:
    state = "ready" if endpoint.ready else "terminating" if endpoint.terminating else "not ready"
    return "", f"{state}; whether it serves is open, as the Service is refused as it stands", False


def _nodes(nodes: list[Node], options: Options) -> Iterator[Line]:
    used = 0
    for node in sorted(nodes, key=lambda found: found.name):
        why = ""
        if node.deleting:
            why = "it is being deleted"
        elif EXCLUDED in node.labels:
            why = f"it has label {EXCLUDED}"
        elif any(taint.key == GOING for taint in node.taints):
            why = f"it has taint {GOING}"
        elif any(node.labels.get(key) != value for key, value in options.node_selector.items()):
            why = "it lacks a label of [publisher] node_selector"
        if why:
            yield Line("node", f"{node.name} is no server: {why}", good=False)
        used += not why
    if nodes:
        yield Line("node", f"{used} of {len(nodes)} nodes may be servers")


def _verdict(me: Identity, found: Translation, stored: Keys) -> Iterator[Line]:
    for notice in found.notices:
        yield Line("warning", str(notice), good=False)
    if found.refusal is not None:
        yield Line("refused", str(found.refusal), good=False)
        return
    arranged = arrange(me, found.records, stored)
    for conflict in arranged.conflicts:
        yield Line("conflict", conflict, good=False)
    for key, record in sorted(arranged.records.items()):
        if isinstance(record, EndpointsRecord):
            servers = [
                f"{s.name} {s.address}:{s.port}" + ("" if s.state == "up" else f" {s.state}")
                for s in record.servers
            ]
            yield Line("wanted", f"{key}: {', '.join(servers) or 'no servers'}")
        else:
            yield Line("wanted", key)
    wrong = [_pending(change) for change in changes(me, arranged.records, stored, 0)]
    for text in wrong:
        yield Line("step", text, good=False)
    if not wrong:
        yield Line("step", "everything is stored as it should be")


def _pending(change: Change) -> str:
    if change.after is None:
        return f"{change.key} is stored, and is to be removed"
    verb = "differs from what it should be" if change.before else "is not stored yet"
    return f"{change.key} {verb}"
