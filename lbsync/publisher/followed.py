"""How a Service that is refused is followed all the same: by what it was last accepted with.

A wrong policy, a wrong address mode, an Ingress that went: none of these must leave requests with pods that
are gone, whose addresses other pods get. So what decides where the servers are is remembered from the time
when all was well, and kept in the report for the next leader.
"""

from collections.abc import Callable, Mapping

import msgspec

from lbsync.kube_objects import Service
from lbsync.model.permission import Permission
from lbsync.model.publishing import Accepted
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.publisher.cluster.informers import Extra
from lbsync.publisher.cluster.lister import Inputs, Lister
from lbsync.publisher.store.diff import Identity, own_records
from lbsync.publisher.store.index import Keys
from lbsync.publisher.translate import (
    Options,
    Refusal,
    Translation,
    decides_servers,
    translate,
)
from lbsync.publisher.translate.options import PUBLISH_LABEL
from lbsync.publisher.translate.report import shown
from lbsync.schema.keys import parse_key, service_key

Records = Mapping[str, ServiceRecord | EndpointsRecord]


def odd_label(service: Service | None) -> tuple[str, ...]:
    """Return what is wrong with the label of a Service that is not published; false is nothing wrong."""
    if service is None or service.deleting:
        return ()
    value, noted = service.labels.get(PUBLISH_LABEL), service.annotations.get(PUBLISH_LABEL)
    if noted is not None and (value is None or (value == "false" and noted != "false")):
        return (
            f"Service {service.namespace}/{service.name}: {PUBLISH_LABEL} is an annotation, which publishes "
            f'nothing; write {PUBLISH_LABEL}: "true" as a label',
        )
    if value is None or value == "false":
        return ()
    return (
        f"Service {service.namespace}/{service.name}: label {PUBLISH_LABEL} is {shown(value)}, so it is not "
        f'published; write {PUBLISH_LABEL}: "true"',
    )


def accepted(inputs: Inputs) -> Accepted:
    """Return what of a Service and its Ingresses says where its servers are."""
    return Accepted(
        _kept(inputs.service.annotations),
        tuple(
            msgspec.structs.replace(found, annotations=_kept(found.annotations), labels={})
            for found in inputs.ingresses
        ),
    )


def translated(inputs: Inputs, options: Options) -> Translation:
    """Return what a Service becomes by what was read of it."""
    return translate(
        inputs.service,
        inputs.slices,
        inputs.pool,
        ingresses=inputs.ingresses,
        options=options,
        pod_labels=inputs.pods,
    )


def permitted(found: Translation, permission: Permission) -> Translation:
    """Return a translation, refused where its namespace claims what it may not have.

    Agents would refuse the same; here its owner is told in time, and in the words of Kubernetes.
    """
    namespace = found.service.partition("/")[0]
    for key, record in found.records.items():
        if reason := permission.refusal(namespace, record):
            what, _, cure = reason.partition("; ")
            kept: dict[str, ServiceRecord | EndpointsRecord] = {}
            if isinstance(record, ServiceRecord):
                kept = {
                    k: r
                    for k, r in found.records.items()
                    if isinstance(r, EndpointsRecord) and not permission.refusal(namespace, r)
                }
            refusal = Refusal(f"Service {found.service}", f"{key}: {what}", cure)
            return Translation(found.service, kept, found.refusal or refusal, found.notices)
    return found


class Following:
    """Finds the servers of Services by what these were last accepted with."""

    def __init__(
        self,
        lister: Lister,
        options: Options,
        demand: Callable[[Extra, str], str],
        permission: Permission,
    ) -> None:
        """`demand` has something more watched for a namespace, and tells why it cannot be read yet."""
        self._lister = lister
        self._options = options
        self._demand = demand
        self._permission = permission

    def translated(self, inputs: Inputs) -> Translation:
        """Return what a Service becomes, as far as its namespace may."""
        return permitted(translated(inputs, self._options), self._permission)

    def servers(self, service: Service, last: Accepted | None) -> Records:
        """Return the servers of a Service as it is now except for what it and its Ingresses say, which is
        what they said; nothing where that cannot be told any more."""
        if last is None:
            return {}
        past = msgspec.structs.replace(service, annotations=last.annotations)
        needs = self._lister.needs(past, last.ingresses)
        if any(self._demand(extra, service.namespace) for extra in needs):
            return {}
        found = self.translated(self._lister.inputs(past, last.ingresses, needs))
        return {k: r for k, r in found.records.items() if isinstance(r, EndpointsRecord)}


def followed(me: Identity, servers: Records, stored: Keys) -> Records:
    """Return what a refused Service wants: its services keys as they are stored, the servers that
    belong to them, and, where these cannot be told, those that are stored. Nothing where no servers
    can be told at all."""
    there = own_records(me, stored)
    led = {
        key: record
        for key, record in servers.items()
        if isinstance(record, EndpointsRecord) and _service_key(key) in stored
    }
    if not led:
        return {}
    told = {_service_key(key) for key in led}
    rest = {
        key: record
        for key, record in there.items()
        if isinstance(record, ServiceRecord) or _service_key(key) not in told
    }
    return {**rest, **led}


def _service_key(key: str) -> str:
    """Return the services key that a key of endpoints belongs to; another key as it is."""
    parsed = parse_key(key)
    return service_key(parsed.service) if parsed and parsed.service else key


def _kept(annotations: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in annotations.items() if decides_servers(name)}
