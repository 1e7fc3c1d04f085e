"""Choosing where the API server's address and the credentials come from."""

import os
from collections.abc import Mapping
from pathlib import Path

from lbsync.clients.kube.auth import incluster, kubeconfig
from lbsync.clients.kube.auth.access import ClusterConfig


def load(
    path: Path | None = None,
    context: str | None = None,
    env: Mapping[str, str] | None = None,
) -> ClusterConfig:
    """Return the cluster to speak to: the kubeconfig named, else the pod's own, else kubectl's.

    `env` defaults to this process's environment. Raises `SettingsError`.
    """
    env = os.environ if env is None else env
    if path is not None:
        return kubeconfig.load([path], context)
    if context is None and incluster.inside(env):
        return incluster.load(env)
    return kubeconfig.load(kubeconfig.default_paths(env), context)
