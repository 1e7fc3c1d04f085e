"""The routes that a deployment writes. Pure."""

import msgspec

from lbsync.model.records import RouteRecord

_WHOLE = 10_000
"""The largest share of the contract, so that a small group's part of what is left is exact enough."""
NOWHERE = "none"
"""A group that nobody has: of a route that names it alone, requests get 503."""


def takes_traffic(route: RouteRecord | None, group: str) -> bool:
    """Tell whether a route gives a group any share. Without a route, every group with servers has one."""
    return route is None or route.groups.get(group, 0) > 0


def groups_with_traffic(route: RouteRecord | None) -> tuple[str, ...]:
    """Return the groups to which a route gives a share; none without a route."""
    return tuple(sorted(group for group, share in route.groups.items() if share)) if route else ()


def step_route(before: RouteRecord | None, group: str, percent: int) -> RouteRecord:
    """Return the route that gives `percent` of the traffic to `group`, and the rest to those that had it before,
    as they had it."""
    others = {
        name: share
        for name, share in (before.groups if before else {}).items()
        if share and name not in (group, NOWHERE)
    }
    if percent >= 100 or not others:
        return _with(before, {group: 100})
    total = sum(others.values())
    rest = (100 - percent) * _WHOLE // 100
    shares = {name: max(1, rest * share // total) for name, share in others.items()}
    return _with(before, {**shares, group: percent * _WHOLE // 100})


def closed_route(group: str) -> RouteRecord:
    """Return the route of a service that is not to be reached yet: without one, its first group would get
    requests as soon as it is there."""
    return RouteRecord({group: 0, NOWHERE: 1})


def _with(before: RouteRecord | None, groups: dict[str, int]) -> RouteRecord:
    return msgspec.structs.replace(before, groups=groups) if before else RouteRecord(groups)
