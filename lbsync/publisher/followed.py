"""How a Service that is refused is followed all the same: by what it was last accepted with. Pure.

A wrong policy, a wrong address mode, an Ingress that went: none of these must leave requests with pods that
are gone, whose addresses other pods get. So what decides where the servers are is remembered from the time
when all was well, and kept in the report for the next leader.
"""

from collections.abc import Mapping

import msgspec

from lbsync.model.kube import Ingress, Service
from lbsync.model.publishing import Accepted
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.publisher.mirror import Identity, mine
from lbsync.publisher.stored import Keys
from lbsync.publisher.translate import decides_servers
from lbsync.publisher.view import Inputs
from lbsync.schema.keys import parse_key, service_key

Records = Mapping[str, ServiceRecord | EndpointsRecord]


def accepted(inputs: Inputs) -> Accepted:
    """Return what of a Service and its Ingresses says where its servers are."""
    return Accepted(
        _kept(inputs.service.annotations),
        tuple(
            msgspec.structs.replace(found, annotations=_kept(found.annotations), labels={})
            for found in inputs.ingresses
        ),
    )


def before(service: Service, last: Accepted) -> tuple[Service, tuple[Ingress, ...]]:
    """Return a Service as it is now but for what it says, and its Ingresses as they were."""
    return msgspec.structs.replace(service, annotations=last.annotations), last.ingresses


def followed(me: Identity, servers: Records, stored: Keys) -> Records:
    """Return what a refused Service wants: its services keys as they are stored, the servers that
    belong to them, and, where these cannot be told, those that are stored. Nothing where no servers
    can be told at all."""
    there = mine(me, stored)
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
