"""What the publisher will do with an app's Service, determined before the Service is created. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lbsync.clients.kube import project, wire
from lbsync.decoders import convert
from lbsync.deployer.kubernetes import document, manifests
from lbsync.deployer.kubernetes.document import App
from lbsync.errors import Rejected
from lbsync.model.records import ServiceRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.publisher.config import options_of
from lbsync.publisher.translate import NodePool, translate
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId, service_key
from lbsync.settings import Publisher
from lbsync.values.claims import Claims

_UID = "00000000-0000-0000-0000-000000000000"


def published(app: App) -> ServiceRecord:
    """Return the record that the publisher will write for the app, except for its source.

    Raises `Rejected` if the publisher would refuse the Service.
    """
    made = manifests.service(app)
    made["metadata"] |= {"uid": _UID, "creationTimestamp": "1970-01-01T00:00:00Z"}
    seen = project.service(convert(made, wire.Service))
    # Nothing of what a record says but its source depends on the publisher's own settings.
    options = options_of(Publisher(), Claims())
    found = translate(seen, (), NodePool(), options=options)
    if found.refusal is not None:
        raise Rejected(f"the publisher would refuse the Service: {found.refusal}")
    record = found.records.get(service_key(app.id))
    if not isinstance(record, ServiceRecord):
        raise Rejected(f"the publisher would not publish Service {app.id}")
    return msgspec.structs.replace(record, source=msgspec.UNSET)


def with_coming(snapshot: Snapshot, coming: Mapping[ServiceId, Mapping[str, Any]]) -> Snapshot:
    """Return what is stored, with the services of these documents as the publisher is going to write them: until
    their versions are healthy nobody else could see what they claim."""
    items = dict(snapshot.items)
    for app, plain in coming.items():
        try:
            value = encode(published(document.from_plain(dict(plain))))
        except Rejected:
            continue  # nobody is going to publish it
        key = service_key(app)
        there = items.get(key)
        created = there.create_revision if there else snapshot.revision
        items[key] = Item(key, value, created, snapshot.revision)
    return Snapshot(snapshot.revision, snapshot.cluster_id, items)
