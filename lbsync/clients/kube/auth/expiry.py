"""When the certificates end that a kubeconfig holds, or that files hold which it names."""

from lbsync.clients import x509
from lbsync.clients.kube.auth.access import ClusterConfig
from lbsync.clients.kube.auth.renewed import Renewed


def certificate_ends(cluster: ClusterConfig) -> dict[str, float]:
    """Return when each ends, in seconds since 1970, by what it is. Raises `LbsyncError`."""
    # No program is run, and no pod's token asked for, to look at a date.
    credentials = cluster.credentials
    if not isinstance(credentials, Renewed) or not credentials.are_written:
        return {}
    access = credentials.current()
    found = {}
    if access.certificate and (said := x509.certificates(access.certificate.certificate)):
        found[f"client certificate ({cluster.source})"] = said[0].not_after
    if access.authority and (said := x509.certificates(access.authority)):
        latest = max(each.not_after for each in said)
        found[f"certificate authority ({cluster.source})"] = latest
    return found
