"""What holds for all Services of one cluster unless a Service says otherwise, and the names that
Services say it with."""

from collections.abc import Mapping

import msgspec

from lbsync.settings.publisher import AddressMode, ExternalNames, IpFamily, NodeAddressKind
from lbsync.values.names import Text, is_name

PREFIX = "lbsync.io/"
PUBLISH_LABEL = PREFIX + "publish"
CONTROLLER = PREFIX + "publisher"
"""`spec.controller` of the IngressClasses that this publisher serves."""
HOSTS = PREFIX + "hosts"
EVERY_HOST = "*"
"""What `HOSTS` must say for a Service, or on an Ingress for its rules without host, to take every host:
that is never concluded from nobody naming one."""
OLD_CLASS = "kubernetes.io/ingress.class"
"""The annotation that named an Ingress' class before `spec.ingressClassName` did."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The publisher's own settings, as far as they decide about values.

    Raises ValueError for a source or group that no record could hold.
    """

    source: str
    """Written into every record: who wrote it; the mirror changes no key of another source."""
    address_mode: AddressMode
    ip_family: IpFamily
    node_address: NodeAddressKind
    node_selector: Mapping[str, str]
    """Labels a node must have to be a server; empty: every node may be."""
    default_group: str
    """Give each cluster its own, and one service can have servers from several clusters."""
    external_names: ExternalNames
    """Who may send traffic to a DNS name: nobody, who is given it, who says so, or all."""
    given_names: tuple[tuple[str, str], ...]
    """Namespace (`*`: every one) and the DNS name, `*.suffix`, `*` or network that it is given."""
    ingress_class: str
    """Ingresses of this class are read, beside those whose IngressClass names `CONTROLLER`."""

    def __post_init__(self) -> None:
        """Check what every record will hold, once."""
        Text.parse(self.source)
        if not is_name(self.default_group):
            raise ValueError(
                f"{self.default_group[:80]!r} is no name of a group: lower-case letters, digits, - "
                "and ., at most 63, beginning and ending with a letter or digit"
            )
