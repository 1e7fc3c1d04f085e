"""What the publisher will make of an app's Service, found out before the Service is made. Pure."""

import msgspec

from lbsync.clients.kube import project, wire
from lbsync.decoders import convert
from lbsync.deployer.kubernetes import manifests
from lbsync.deployer.kubernetes.document import App
from lbsync.errors import Rejected
from lbsync.model.records import ServiceRecord
from lbsync.publisher.config import options_of
from lbsync.publisher.translate import NodePool, translate
from lbsync.schema.keys import service_key
from lbsync.settings import Publisher
from lbsync.values.claims import Claims

_UID = "00000000-0000-0000-0000-000000000000"


def published(app: App) -> ServiceRecord:
    """Return the record that the publisher will write for the app, but for its source.

    Raises `Rejected` where the publisher would refuse the Service.
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
