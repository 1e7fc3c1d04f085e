"""What changes at once while something else waits for a reload."""

from collections.abc import Mapping

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.file_names import BACKENDS_MAP, ROUTES_MAP
from lbsync.agent.runtime.deltas.service_delta import diff, independent
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
    before: Mapping[str, list[str]], after: Mapping[str, list[str]], waiting: str = ""
) -> set[str]:
    """Who changes its lines at once, where the service `waiting` cannot."""
    found = diff(services(before), list(services(after).values()))
    assert not found.rest
    waits = [delta for delta in found.at_once if waiting in [side.id for side in delta.sides]]
    others = [delta for delta in found.at_once if delta not in waits]
    done = independent(others, waits)
    return {delta.sides[0].id for delta in done if any(True for _ in delta.maps)}


def test_a_new_service_and_one_that_is_gone_bring_and_take_their_lines_and_backends() -> None:
    before = services({"x": ["x.example"], "old": ["old.example"]})
    after = services({"x": ["x.example"], "new": ["new.example"]})
    deltas = {d.sides[0].id: d for d in diff(before, list(after.values())).at_once}
    new, old = deltas["a/new"], deltas["a/old"]
    assert [backend.name for backend in new.backends] == ["be_a_new_main"] and not new.gone
    assert old.gone == ["be_a_old_main"] and not list(old.backends)
    lines = {path: (gone, come) for path, gone, come in new.maps}
    assert lines[ROUTES_MAP] == ((), (("new.example/", "a/new"),))
    assert {path: gone for path, gone, _ in old.maps}[BACKENDS_MAP] == (("a/old", "be_a_old_main"),)


def test_a_new_service_that_waits_holds_up_nobody_elses_hosts() -> None:
    before = {"x": ["x.example"], "y": ["y.example"]}
    after = {"x": ["x.example", "z.example"], "y": ["y.example"], "new": ["new.example"]}
    assert "a/x" in at_once(before, after, "a/new")


def test_a_host_that_goes_to_a_service_that_waits_goes_with_it() -> None:
    before = {"x": ["x.example", "z.example"]}
    after = {"x": ["x.example"], "new": ["z.example"]}
    assert at_once(before, after, "a/new") == set()
    assert at_once(before, after) == {"a/x", "a/new"}


def test_a_host_of_a_service_that_is_deleted_is_not_there_twice() -> None:
    before = {"x": ["x.example"], "y": ["y.example"], "old": ["old.example"]}
    after = {"x": ["x.example", "old.example"], "y": ["y.example", "more.example"]}
    moved = at_once(before, after, "a/old")
    assert "a/x" not in moved and "a/y" in moved


def test_who_waits_keeps_waiting_whoever_takes_something_from_it() -> None:
    before = {"x": ["x.example", "z.example"], "y": ["y.example"], "w": ["w.example"]}
    after = {
        "x": ["x.example"],
        "y": ["y.example", "v.example"],
        "w": ["w.example", "x2.example"],
        "new": ["z.example"],
    }
    assert at_once(before, after, "a/new") == {"a/y", "a/w"}


def test_what_takes_more_than_backends_and_lines_of_maps_waits() -> None:
    known = services({"x": ["x.example"]})
    for record in (
        {"mode": "http", "hosts": ["*.new.example"]},
        {"mode": "tcp", "listen": 9000},
    ):
        values = {"services/a/new": record, "endpoints/a/new/main": servers(1)}
        (new,) = Assembler(frozenset()).assemble(entries_of(values), 1, ()).services
        for found in (
            diff(known, [*known.values(), new]),
            diff({**known, new.id: new}, list(known.values())),
        ):
            assert found.rest and not found.at_once
