"""When the certificates end that this host shows to others: to clients, to etcd, to Kubernetes."""

from pathlib import Path

from lbsync.agent.desired.certificates import Certificates
from lbsync.agent.desired.quarantine import Quarantine
from lbsync.clients import kube, x509
from lbsync.clients.certificates import CertificateDirectory
from lbsync.clients.kube.auth.access import ClusterConfig
from lbsync.clients.kube.auth.renewed import Renewed
from lbsync.settings import Settings


def ends(settings: Settings) -> dict[str, float]:
    """Return when each ends, in seconds since 1970, by file. Raises `LbsyncError`."""
    etcd, folder = settings.etcd, settings.proxy.certificates
    found = x509.ends([etcd.cert], [etcd.ca])
    if folder:
        certificates = Certificates(CertificateDirectory(Path(folder)))
        certificates.read(Quarantine(), frozenset())
        found |= certificates.ends
    chosen = settings.publisher
    if chosen.kubeconfig:
        found |= of_cluster(kube.load(Path(chosen.kubeconfig), chosen.context or None))
    return found


def of_cluster(cluster: ClusterConfig) -> dict[str, float]:
    """Return the same for what stands in a kubeconfig, or in files that it names."""
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
