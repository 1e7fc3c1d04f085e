"""Who needs which rights in etcd, where its authentication is on: the least that each of us can work with."""

from collections.abc import Iterator, Mapping

import msgspec

from lbsync.schema.deploying import deploy_prefix
from lbsync.schema.health import health_prefix


class Grant(msgspec.Struct, frozen=True):
    """One permission of a role."""

    permission: str
    """`read` or `readwrite`, as etcdctl calls them."""
    key: str
    """The whole key, with the prefix."""
    is_prefix: bool = True
    """It holds for all keys that begin with `key`."""


#: What each writes below the prefix, which all of them read. `{name}`: of the host, or of the cluster.
_WRITES: Mapping[str, tuple[str, ...]] = {
    "agent": ("agents/", "quarantine/", "history/"),
    "host": ("agents/{name}=", "agents/{name}/", "quarantine/"),
    "publisher": ("services/", "endpoints/", "publishers/{name}/", "confirmations/"),
    "deploy": ("services/", "endpoints/", "routes/", "confirmations/", "watchers/", "history/"),
    "operator": (
        "services/", "endpoints/", "routes/", "settings/", "confirmations/", "watchers/",
        "orders/", "agents/", "history/",
    ),
    "console": ("services/", "endpoints/", "routes/", "confirmations/", "orders/", "watchers/", "history/"),
    "reader": (),
}  # fmt: skip
#: Who answers how services do, and who may see it.
_HEALTH = {
    "agent": "readwrite", "deploy": "read", "operator": "read", "console": "read", "reader": "read",
}  # fmt: skip
#: Who carries out deployments, and who may see them.
_DEPLOYMENTS = {
    "deploy": "readwrite", "operator": "readwrite", "console": "readwrite", "reader": "read",
}  # fmt: skip
DESCRIPTIONS: Mapping[str, str] = {
    "agent": "all agents; each may report for any host",
    "host": "a single agent (--name HOST), which may report only for itself",
    "publisher": "the publisher of one cluster (--name CLUSTER)",
    "deploy": "pipelines and people that write services and switch traffic",
    "operator": "people who run the fleet: like deploy, and orders to hosts and global settings",
    "console": "`lbsync console` with its actions, and the deployments that it carries out",
    "reader": "read-only access",
}
NAMED = frozenset({"host", "publisher"})
"""Roles of one host or cluster, which need its name."""


def grants(role: str, prefix: str, name: str = "") -> Iterator[Grant]:
    """Yield what a role may do below `prefix`, which ends with "/"."""
    yield Grant("read", prefix)
    for path in _WRITES[role]:
        key = prefix + path.format(name=name)
        yield Grant("readwrite", key.removesuffix("="), not key.endswith("="))
    if role == "host":
        yield Grant("readwrite", health_prefix(prefix) + name, is_prefix=False)
        yield Grant("readwrite", f"{health_prefix(prefix)}{name}/")
    elif role in _HEALTH:
        yield Grant(_HEALTH[role], health_prefix(prefix))
    if role in _DEPLOYMENTS:
        yield Grant(_DEPLOYMENTS[role], deploy_prefix(prefix))


def commands(role: str, prefix: str, name: str = "") -> list[str]:
    """Return the command lines of etcdctl that make a role; it is called `lbsync-<role>`."""
    own = "-".join(filter(None, ("lbsync", role, name)))
    return [
        f"etcdctl role add {own}",
        *(
            f"etcdctl role grant-permission {own} {grant.permission} "
            f"{'--prefix ' if grant.is_prefix else ''}{grant.key}"
            for grant in grants(role, prefix, name)
        ),
    ]
