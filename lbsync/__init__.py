"""lbsync keeps HAProxy right: etcd to a validated, applied and verified configuration."""

__version__ = "0.1.0"
