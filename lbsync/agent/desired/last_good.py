"""Restores accepted entries of quarantined services, of those that would take their place, and routes. Pure."""

from collections.abc import Collection, Iterable

import msgspec

from lbsync.agent.desired.decode import Entries, Entry, with_accepted
from lbsync.agent.desired.quarantine import SETTINGS, Suspect
from lbsync.model.desired import Problem
from lbsync.model.records import RouteRecord
from lbsync.schema.keys import SETTINGS_GLOBAL, ServiceId, endpoints_key, service_key


def restore(
    entries: Entries, accepted: Entries, suspects: Collection[Suspect], stuck: set[str]
) -> dict[str, Entry]:
    """Return `entries` with everything of `suspects` as it was accepted, or absent.

    Adds to `stuck` the services whose hosts or port differ from what is stored for them.
    """
    services = {service for suspect in suspects if (service := suspect.service) is not None}
    mixed = with_accepted(entries, accepted, services)
    for service in services:
        key = service_key(service)
        if mixed.get(key) is not entries.get(key):
            stuck.add(str(service))
    if SETTINGS in suspects:
        mixed.pop(SETTINGS_GLOBAL, None)
        if SETTINGS_GLOBAL in accepted:
            mixed[SETTINGS_GLOBAL] = accepted[SETTINGS_GLOBAL]
    return mixed


def keep_in_place(
    conflicts: Iterable[Problem], stuck: set[str], entries: Entries, accepted: Entries
) -> tuple[dict[str, Entry], list[Problem]]:
    """Return the accepted entries that take the place of new ones, by key, and what to tell of them: a
    service that would have no host or port left, since the owner of its new ones is quarantined, keeps what
    it had.

    Otherwise two services that swap hosts in one write would both be lost if only one of them cannot
    change. Who is given something follows the store: another's fault must not hold up its change.
    `conflicts`: claims that were refused of services that were given none; `stuck`: services that claim
    something else than is stored for them.
    """
    found: dict[str, Entry] = {}
    told = []
    for problem in conflicts:
        if problem.rival not in stuck or not problem.service:
            continue
        key = service_key(ServiceId.parse(problem.service))
        before = accepted.get(key)
        if before is None or entries.get(key) is before or key in found:
            continue
        found[key] = before
        why = (
            f"; until {problem.rival}, which is quarantined, is corrected, the version before stays"
        )
        told.append(msgspec.structs.replace(problem, reason=f"{problem.reason}{why}"))
    return found, told


def restore_routes(
    entries: dict[str, Entry], accepted: Entries, routes: Collection[str]
) -> list[Problem]:
    """Put the accepted route back wherever a new one names a group that has no endpoints key.

    A misspelt group in a blue-green switch must not send traffic nowhere; the switch happens by itself
    once the endpoints are there. `routes`: the keys that hold routes. Changes `entries`; returns the problems.
    """
    problems = []
    for name in sorted(routes):
        entry = entries[name]
        service = entry.key.service
        if service is None or not isinstance(entry.record, RouteRecord):
            continue
        lost = [
            group
            for group, share in entry.record.groups.items()
            if share and endpoints_key(service, group) not in entries
        ]
        if not lost or service_key(service) not in entries:
            continue
        cure = f"write endpoints/{service}/{lost[0]} or correct the name"
        led_to = sum(share > 0 for share in entry.record.groups.values())
        if name in accepted and accepted[name] is not entry:
            entries[name] = accepted[name]
            cure += "; the route before it stays"
        elif len(lost) == led_to:
            cure += "; until then the service answers 503"
        problems.append(
            Problem(name, str(service), f"groups: {lost[0]} has no endpoints key: {cure}")
        )
    return problems
