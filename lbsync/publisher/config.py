"""The settings of `[publisher]`, as the stages take them. Pure."""

from lbsync.publisher.removal_guard import Limits
from lbsync.publisher.store.diff import Identity
from lbsync.publisher.translate import Options
from lbsync.schema.publishing import source_of
from lbsync.settings import Publisher as Settings
from lbsync.values.claims import Claims


def options_of(settings: Settings, claims: Claims) -> Options:
    """Return what the settings say of translation."""
    return Options(
        source=source_of(settings.cluster),
        address_mode=settings.address_mode,
        ip_family=settings.ip_family,
        node_address=settings.node_address,
        node_selector=dict(label.pair for label in settings.node_selector),
        default_group=settings.group,
        external_names=settings.external_names,
        given_names=tuple((claim.namespace, claim.what) for claim in claims.servers),
        ingress_class=settings.ingress_class,
    )


def limits_of(settings: Settings) -> Limits:
    """Return what the settings say of the brake."""
    return Limits(
        settings.brake_service_percent,
        settings.brake_total_percent,
        settings.brake_hold.seconds,
    )


def identity_of(settings: Settings) -> Identity:
    """Return which publisher this is."""
    return Identity(settings.cluster, source_of(settings.cluster))
