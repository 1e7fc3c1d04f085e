"""Builds everything that carries out deployments from the settings."""

from collections.abc import Callable, Mapping
from functools import cache

from lbsync.deployer.groups import Groups
from lbsync.deployer.provider import Provider
from lbsync.model.deploying import ProviderKind
from lbsync.settings import Settings


def providers(settings: Settings) -> Mapping[ProviderKind, Callable[[], Provider]]:
    """Return who makes versions of each kind; each is made when first needed, and raises `Rejected` then where the
    settings do not lead to it."""

    @cache
    def kubernetes() -> Provider:
        from lbsync.clients import kube  # noqa: PLC0415 - not needed for plain servers
        from lbsync.deployer.kubernetes.provider import Kubernetes  # noqa: PLC0415 - costs 0.3 s

        chosen = settings.deployer
        return Kubernetes(kube.Client(kube.load(chosen.kubeconfig, chosen.context)), settings)

    return {"groups": cache(Groups), "kubernetes": kubernetes}
