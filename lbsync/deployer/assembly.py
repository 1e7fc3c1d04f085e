"""What carries out deployments, made of the settings."""

from collections.abc import Callable, Mapping
from functools import cache

from lbsync.deployer.groups import Groups
from lbsync.deployer.provider import Provider
from lbsync.model.deploying import ProviderKind


def providers() -> Mapping[ProviderKind, Callable[[], Provider]]:
    """Return who makes versions of each kind; each is made when first needed."""
    return {"groups": cache(Groups)}
