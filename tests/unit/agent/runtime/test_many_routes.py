"""What a legal value may cost: nothing between the store and the runtime grows with the square of it."""

import time
from collections.abc import Mapping

import pytest

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.file_names import ROUTES_MAP
from lbsync.agent.runtime.changes.maps import changed_pairs
from lbsync.agent.runtime.deltas.service_delta import diff
from lbsync.errors import BadKey
from lbsync.model.desired import Desired
from lbsync.schema.consistency import MAX_ROUTES
from lbsync.schema.decode import decode
from lbsync.schema.keys import parse_key
from tests.builders import entries_of

SERVICES = 40
LIMIT_S = 30.0
"""A step with the square of 200,000 takes an hour; all of them together take about a second."""


def store(generation: str, suffix: str = "example") -> dict[str, object]:
    """`SERVICES` services, each with as many routes as there may be."""
    paths = [f"/p{number}" for number in range(5)]
    return {
        f"services/shop/s{number}": {
            "mode": "http",
            "hosts": [f"{generation}{host}.s{number}.{suffix}" for host in range(MAX_ROUTES // 5)],
            "paths": paths,
        }
        for number in range(SERVICES)
    }


def assembled(assembler: Assembler, values: Mapping[str, object]) -> Desired:
    return assembler.assemble(entries_of(values), 1, ())


def test_200_000_routes_are_exchanged_in_time_that_grows_with_them() -> None:
    assembler = Assembler()
    old, wanted = entries_of(store("a")), entries_of(store("b"))
    began = time.monotonic()
    before = assembler.assemble(old, 1, ())
    after = assembler.assemble(wanted, 2, ())
    deltas = diff({service.id: service for service in before.services}, after.services)
    changed = [pairs for delta in deltas.at_once for pairs in delta.maps]
    assert (
        sum(len(gone) for path, gone, _ in changed if path == ROUTES_MAP) == SERVICES * MAX_ROUTES
    )
    for _, gone, come in changed:
        changed_pairs(gone, come)
    assert time.monotonic() - began < LIMIT_S


def test_a_conflict_of_one_does_not_make_all_routes_of_another_quadratic() -> None:
    values = store("a")
    squat = {"mode": "http", "hosts": [f"a{number}.s0.example" for number in range(1000)]}
    values |= {f"services/evil/x{number}": squat for number in range(20)}
    assembler = Assembler()
    entries = entries_of(values)
    began = time.monotonic()
    assert len(assembler.assemble(entries, 1, ()).services) == SERVICES + 20
    assert time.monotonic() - began < LIMIT_S


def test_thousands_of_wildcards_within_each_other_are_counted_soon() -> None:
    hosts = [f"*.{'a.' * (number % 20)}s{number}.example" for number in range(1000)]
    values = {
        f"services/shop/w{number}": {"mode": "http", "hosts": [f"{host}{number}" for host in hosts]}
        for number in range(30)
    }
    values["services/shop/top"] = {
        "mode": "http",
        "hosts": ["*.b.c.example", "*.c.example", "*.example"],
    }
    desired = assembled(Assembler(), values)
    began = time.monotonic()
    assert desired.nested_wildcards == 2
    assert time.monotonic() - began < LIMIT_S


@pytest.mark.parametrize("www", [False, True])
def test_routes_beyond_the_limit_are_refused_with_their_number(www: bool) -> None:
    hosts = ",".join(f'"h{number}.example"' for number in range(1000))
    paths = ",".join(f'"/{number}"' for number in range(3 if www else 6))
    twins = ',"redirect":{"www":"strip"}' if www else ""
    value = f'{{"mode":"http","hosts":[{hosts}],"paths":[{paths}]{twins}}}'
    key = parse_key("services/a/b")
    assert key is not None
    with pytest.raises(BadKey, match=r"paths: .* makes 6000 routes .* at most 5000"):
        decode("services/a/b", key, value.encode())
