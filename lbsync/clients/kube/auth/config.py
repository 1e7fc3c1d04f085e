"""Choosing where the API server's address and the credentials come from."""

import os
from collections.abc import Mapping
from pathlib import Path

from lbsync.clients.kube.auth import incluster, kubeconfig
from lbsync.clients.kube.auth.access import ClusterConfig


def load(
    path: str | os.PathLike[str] | None = None,
    context: str = "",
    env: Mapping[str, str] | None = None,
) -> ClusterConfig:
    """Return the cluster to speak to: the kubeconfig named, else the pod's own, else kubectl's.

    `path` and `context` as settings have them: None or empty where nothing is chosen.
    `env` defaults to this process's environment. Raises `SettingsError`.
    """
    env = os.environ if env is None else env
    if path:
        return kubeconfig.load([Path(path)], context or None)
    if not context and incluster.inside(env):
        return incluster.load(env)
    return kubeconfig.load(kubeconfig.default_paths(env), context or None)
