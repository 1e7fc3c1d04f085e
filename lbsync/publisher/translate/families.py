"""Which IP families of a Service are published."""

from typing import Literal

from lbsync.kube_objects import Service
from lbsync.publisher.translate.report import Refused
from lbsync.settings.publisher import IpFamily
from lbsync.values.names import Address

Family = Literal["v4", "v6"]
_FAMILIES: dict[str, Family] = {"IPv4": "v4", "IPv6": "v6"}


def family_of(address_type: str) -> Family | None:
    """Return the family of a slice's `addressType` or of one of `spec.ipFamilies`."""
    return _FAMILIES.get(address_type)


def family_of_address(address: str) -> Family:
    """Return the family of an IP address."""
    return "v6" if ":" in address else "v4"


def ip_address(text: str) -> Address:
    """Return an IP address. Raises ValueError, for DNS names too."""
    address = Address.parse(text)
    if address.is_name:
        raise ValueError(f"{text[:80]!r} is a name, and an IP address is wanted here")
    return address


def choose_families(service: Service, wanted: IpFamily) -> tuple[Family, ...]:
    """Return the families to publish, the Service's first one first. Raises `Refused`.

    A server before 1.20 (or without dual stack) gives no `ipFamilies`; then the cluster IP shows
    the one there is, and a headless Service is taken for IPv4 unless it says more.
    """
    known = tuple(found for name in service.ip_families if (found := family_of(name)))
    if not known:
        known = tuple(family_of_address(ip) for ip in service.cluster_ips[:1] if ip != "None")
    if wanted == "auto":
        return known[:1] or ("v4",)
    if wanted == "both":
        return known or ("v4", "v6")
    if known and wanted not in known:
        raise Refused(
            f"ip-family {wanted} is asked for, and the Service has {' and '.join(known)} only",
            "take the annotation out, or make the Service dual stack",
        )
    return (wanted,)
