"""A Service and what belongs to it, into the keys of the contract. Pure."""

from collections.abc import Iterable

import msgspec

from lbsync.kube_objects import EndpointSlice, Ingress, Service
from lbsync.model.records import EndpointsRecord, ServerRecord, ServiceRecord
from lbsync.publisher.translate.annotations import read_annotations
from lbsync.publisher.translate.families import Family, choose_families
from lbsync.publisher.translate.ingress import leading_to
from lbsync.publisher.translate.modes import MODES, ServerContext
from lbsync.publisher.translate.names import name_servers
from lbsync.publisher.translate.nodes import NodePool
from lbsync.publisher.translate.options import PUBLISH_LABEL, Options
from lbsync.publisher.translate.placement import Placement
from lbsync.publisher.translate.ports import PortChoice
from lbsync.publisher.translate.reader import AnnotationValues
from lbsync.publisher.translate.record import complete, service_record, warn_of_protocol
from lbsync.publisher.translate.report import Notice, Refusal, Refused, Report, one_line, shown
from lbsync.publisher.translate.shapes import Shape, shapes
from lbsync.publisher.translate.slices import (
    Judged,
    PodLabels,
    gather,
    grouping,
    judge,
    settled,
    slices_of,
)
from lbsync.schema.keys import ServiceId, endpoints_key, service_key
from lbsync.settings.publisher import AddressMode
from lbsync.values.names import Text, is_name

MAX_SERVERS = 5000
Published = ServiceRecord | EndpointsRecord


class Translation(msgspec.Struct, frozen=True):
    """What one Service becomes."""

    service: str
    """`<ns>/<name>` of the Service."""
    records: dict[str, Published] = {}
    """By key, sorted; where the Service is refused, only those that are not in doubt: servers."""
    refusal: Refusal | None = None
    """Why it is not published as it stands. Where it was published before, that is to be left as it is,
    except for `records`."""
    notices: tuple[Notice, ...] = ()

    def owns(self, key: str) -> bool:
        """Tell whether a stored key of this publisher stems from this Service.

        `<name>.…` are the further records of one Service; no Service's own name holds a dot.
        """
        kind, _, rest = key.partition("/")
        ns, _, tail = rest.partition("/")
        name = tail.partition("/")[0].partition(".")[0]
        return kind in ("services", "endpoints") and f"{ns}/{name}" == self.service


def is_published(service: Service) -> bool:
    """Tell whether the Service asks to be published; one that is being deleted no longer does."""
    return service.labels.get(PUBLISH_LABEL) == "true" and not service.deleting


class TranslationInput(msgspec.Struct, frozen=True):
    """Everything that one translation reads."""

    service: Service
    slices: list[EndpointSlice]
    pool: NodePool
    ingresses: list[Ingress]
    options: Options
    pod_labels: PodLabels
    report: Report


def translate(
    service: Service,
    slices: Iterable[EndpointSlice],
    pool: NodePool,
    *,
    options: Options,
    ingresses: Iterable[Ingress] = (),
    pod_labels: PodLabels = {},  # noqa: B006 - only read
) -> Translation:
    """Return the records of one Service, or why there are none. Never raises.

    `slices` and `ingresses` may hold those of others; of Ingresses only ours (`is_ours`).
    `pool` is read in nodeport mode only, `pod_labels` where a Service names a group label.
    """
    name = f"{service.namespace}/{service.name}"
    if not is_published(service):
        return Translation(name)
    report = Report(one_line(f"Service {name}"))
    own = slices_of(service, slices)
    mine = leading_to(service, ingresses)
    try:
        records, error = _records(
            TranslationInput(service, own, pool, mine, options, pod_labels, report)
        )
    except Refused as refused:
        records, error = {}, refused
    refusal = Refusal(report.subject, error.reason, error.cure) if error else None
    return Translation(name, dict(sorted(records.items())), refusal, report.notices())


class EndpointResults(msgspec.Struct, frozen=True):
    """What becomes of the endpoints of one Service."""

    mode: AddressMode
    ports: dict[PortChoice, list[Judged]]


def endpoint_results(
    service: Service,
    slices: Iterable[EndpointSlice],
    *,
    options: Options,
    ingresses: Iterable[Ingress] = (),
    pod_labels: PodLabels = {},  # noqa: B006 - only read
) -> EndpointResults | None:
    """Return what `translate` makes of each endpoint, for people; None if the Service is refused
    before that."""
    report = Report("-")
    own, mine = slices_of(service, slices), leading_to(service, ingresses)
    case = TranslationInput(service, own, NodePool(), mine, options, pod_labels, report)
    try:
        values, mode, families, found = _meant(case)
    except Refused:
        return None
    group_of = grouping(values.placement, options.default_group, pod_labels, report)
    return EndpointResults(
        mode,
        {
            port: settled(j for one in own for j in judge(one, port, families, group_of, report))
            for port in dict.fromkeys(shape.port for shape in found)
        },
    )


def _meant(
    case: TranslationInput,
) -> tuple[AnnotationValues, AddressMode, tuple[Family, ...], list[Shape]]:
    """Return what a Service and its Ingresses ask for. Raises `Refused`."""
    service, options, report = case.service, case.options, case.report
    values = read_annotations(service, case.ingresses, report)
    mode = values.placement.address_mode or options.address_mode
    complete(service, values, mode, options.source, report)
    families = choose_families(service, values.placement.ip_family or options.ip_family)
    return values, mode, families, shapes(service, case.ingresses, values, report)


def _records(case: TranslationInput) -> tuple[dict[str, Published], Refused | None]:
    """Return the records, and why a services key cannot be written; the servers go on being followed
    then: a wrong policy must not send requests to pods that are gone. Raises `Refused` if nothing can
    be told."""
    service, options, report = case.service, case.options, case.report
    if not is_name(service.namespace) or not is_name(service.name) or "." in service.name:
        raise Refused(
            f"{shown(service.namespace)}, {shown(service.name)} cannot stand in a key",
            "use names of lower-case letters, digits and -, at most 63 characters",
        )
    values, _, families, found = _meant(case)
    source = Text.parse(options.source)
    records: dict[str, Published] = {}
    refused = values.refused
    servers: dict[PortChoice, dict[str, tuple[ServerRecord, ...]]] = {}
    for shape in found:
        id_ = ServiceId(service.namespace, shape.name)
        warn_of_protocol(shape, values.draft, report)
        try:
            records[service_key(id_)] = service_record(id_, shape, values)
        except Refused as error:
            refused = refused or error
        if shape.port not in servers:
            servers[shape.port] = _servers(case, shape.port, families, values.placement)
        for group, members in servers[shape.port].items():
            records[endpoints_key(id_, group)] = EndpointsRecord(members, source)
    if refused is not None:
        records = {key: r for key, r in records.items() if isinstance(r, EndpointsRecord)}
    return records, refused


def _servers(
    case: TranslationInput, port: PortChoice, families: tuple[Family, ...], placement: Placement
) -> dict[str, tuple[ServerRecord, ...]]:
    """Return the servers of every group for one port. Raises `Refused`."""
    options, report = case.options, case.report
    group_of = grouping(placement, options.default_group, case.pod_labels, report)
    members = gather(case.slices, port, families, group_of, report)
    context = ServerContext(
        case.service, port, families, members, case.pool, placement, options, report
    )
    drafts = MODES[placement.address_mode or options.address_mode](context)
    if placement.group_label and any(drafts.values()):
        # What bears no label has its place only as long as it has servers.
        drafts = {group: found for group, found in drafts.items() if found}
    for group, found in drafts.items():
        if len(found) > MAX_SERVERS:
            raise Refused(
                f"group {group} has {len(found)} servers, and one key holds {MAX_SERVERS}",
                "divide it into several Services",
            )
    return {group: name_servers(found) for group, found in drafts.items()}
