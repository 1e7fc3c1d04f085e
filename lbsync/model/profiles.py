"""Which settings services have in common, so that one section of HAProxy's holds them for all.

Pure apart from a cache.
"""

import hashlib
from collections.abc import Iterable
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET

from lbsync.errors import ItemsRefused
from lbsync.model.desired import Profile, Service
from lbsync.model.policies import Redirect
from lbsync.model.records import Check, ServiceRecord

_NAME_CHARACTERS = 12
_ENCODER = msgspec.json.Encoder(enc_hook=str, order="deterministic")


class Profiles:
    """Gives equal settings the same object, as long as any service has them."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, Profile] = WeakValueDictionary()

    def of(self, record: ServiceRecord, service: str, *, https: bool) -> Profile:
        """Return the profile of a service; `https`: its plain requests are redirected to https."""
        shared = in_common(record, https=https)
        # Requests of two services are never counted together.
        owner = service if shared.rate_limit is not UNSET else ""
        told = _ENCODER.encode((shared, https, owner))
        name = f"p_{hashlib.sha256(told).hexdigest()[:_NAME_CHARACTERS]}"
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = Profile(name, shared, https, owner)
        return known


def in_common(record: ServiceRecord, *, https: bool) -> ServiceRecord:
    """Return a record without all that is printed elsewhere: in maps, frontends and `server` lines.

    A field that is new stays, which makes more profiles than needed, but never a wrong one.
    """
    check = record.check
    asks = check.kind == "http"
    is_http = record.mode == "http"
    return msgspec.structs.replace(
        record,
        hosts=(),
        paths=(),
        listen=UNSET,
        owner=UNSET,
        source=UNSET,
        preview=UNSET,
        maxconn=UNSET,
        backend_tls=UNSET,
        backend_protocol="http/1.1",
        allow=record.allow if is_http else (),
        deny=record.deny if is_http else (),
        redirect=(
            Redirect(www=record.redirect.www, code=record.redirect.code)
            if https or record.redirect.www
            else Redirect()
        ),
        check=(
            Check(type="http", path=check.path, method=check.method, status=check.status)
            if asks
            else Check(type="tcp")
        ),
    )


def by_service(refused: ItemsRefused, services: Iterable[Service]) -> ItemsRefused:
    """Return the same refusal with the services that stand on a profile in its place."""
    reasons: dict[str, str] = {}
    for service in services:
        for name in (service.id, *(backend.profile.name for backend in service.backends)):
            if (why := refused.reasons.get(name)) is not None:
                reasons.setdefault(service.id, why)
    return ItemsRefused(reasons, costly=refused.costly)
