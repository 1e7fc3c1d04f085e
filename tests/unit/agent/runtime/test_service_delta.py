"""What changes at once while something else waits for a reload."""

from collections.abc import Mapping

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.runtime.service_delta import diff
from lbsync.model.desired import Service
from tests.builders import entries_of, servers


def services(hosts: Mapping[str, list[str]]) -> dict[str, Service]:
    values: dict[str, object] = {}
    for name, names in hosts.items():
        values[f"services/a/{name}"] = {"mode": "http", "hosts": names}
        values[f"endpoints/a/{name}/main"] = servers(1)
    made = Assembler(frozenset()).assemble(entries_of(values), 1, ())
    return {service.id: service for service in made.services}


def at_once(
    before: Mapping[str, list[str]], after: Mapping[str, list[str]]
) -> tuple[set[str], bool]:
    found = diff(services(before), list(services(after).values()))
    return {delta.new.id for delta in found.at_once if any(True for _ in delta.maps)}, found.rest


def test_a_new_service_that_waits_holds_up_nobody_elses_hosts() -> None:
    before = {"x": ["x.example"], "y": ["y.example"]}
    after = {"x": ["x.example", "z.example"], "y": ["y.example"], "new": ["new.example"]}
    moved, rest = at_once(before, after)
    assert rest and "a/x" in moved


def test_a_host_that_goes_to_a_service_that_waits_goes_with_it() -> None:
    moved, rest = at_once(
        {"x": ["x.example", "z.example"]}, {"x": ["x.example"], "new": ["z.example"]}
    )
    assert (moved, rest) == (set(), True)


def test_a_host_of_a_service_that_is_deleted_is_not_there_twice() -> None:
    before = {"x": ["x.example"], "y": ["y.example"], "old": ["old.example"]}
    after = {"x": ["x.example", "old.example"], "y": ["y.example", "more.example"]}
    moved, rest = at_once(before, after)
    assert rest and "a/x" not in moved and "a/y" in moved


def test_who_waits_keeps_waiting_whoever_takes_something_from_it() -> None:
    before = {"x": ["x.example", "z.example"], "y": ["y.example"], "w": ["w.example"]}
    after = {
        "x": ["x.example"],
        "y": ["y.example", "v.example"],
        "w": ["w.example", "x2.example"],
        "new": ["z.example"],
    }
    moved, _ = at_once(before, after)
    assert moved == {"a/y", "a/w"}
