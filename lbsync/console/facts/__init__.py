"""From a snapshot of etcd to what is shown. Pure; no socket, no template."""
