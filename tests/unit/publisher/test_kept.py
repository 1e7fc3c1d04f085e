"""A Service that is deleted and made anew has its host back, whoever asked for it meanwhile."""

from typing import Any

import msgspec
import pytest

from lbsync.kube_objects import EndpointSlice, Service
from lbsync.publisher.cluster.work_queue import Work
from tests.fakes import FakeSource
from tests.kube_objects import endpoint, service, slice_
from tests.publishing import EVERYTHING, Bench

KEPT = "publishers/blue/claims/bank/web"
BANK, SQUAT = "services/bank/web", "services/evil/squat"
SQUAT_REPORT = "publishers/blue/reports/service/evil/squat"
HOST = "bank.example.com"
NO_NEWS = Work()


def made(name: str, namespace: str, hosts: str, **more: str) -> tuple[Service, EndpointSlice]:
    notes = {"lbsync.io/hosts": hosts, **{f"lbsync.io/{k}": v for k, v in more.items()}}
    own = msgspec.structs.replace(service(name, annotations=notes), namespace=namespace)
    servers = slice_(endpoint("10.0.0.1", f"{name}-1"))
    return own, msgspec.structs.replace(servers, namespace=namespace, service=name)


def bank() -> tuple[Service, EndpointSlice]:
    return made("web", "bank", HOST)


def bench(*found: Any, **more: Any) -> Bench:
    return Bench(*found, keep_s=600.0, **more)


def later(found: Bench, minutes: int) -> None:
    found.stamp = f"2026-01-01T00:{minutes:02}:00Z"


def squatted(hosts: str = HOST) -> Bench:
    """The bank, and a younger Service of another namespace that asks for the same host."""
    found = bench(*bank())
    found.write()
    found.objects.put(*made("squat", "evil", hosts))
    found.write()
    return found


def test_who_waited_for_a_host_does_not_get_it_when_its_service_is_made_anew() -> None:
    found = squatted()
    assert HOST in found.value(SQUAT)["hosts"]  # it waits: agents give the host to the older one
    found.objects.drop(*bank())
    touched = found.write(Work(services=frozenset({"bank/web"}), deleted=frozenset({"bank/web"})))
    assert touched.index(SQUAT) < touched.index(BANK)
    assert found.value(SQUAT) is None
    assert found.value(KEPT) == {"routes": [f"{HOST}/"], "until": "2026-01-01T00:10:00Z"}
    (told,) = found.value(SQUAT_REPORT)["conflicts"]
    assert "kept for Service bank/web" in told
    assert "until 2026-01-01T00:10:00Z" in told
    later(found, 5)
    found.objects.put(*bank())
    found.write(Work(services=frozenset({"bank/web"})))
    assert found.value(BANK)["hosts"] == [HOST]
    later(found, 30)
    found.write(EVERYTHING)
    assert found.value(SQUAT) is None
    assert "which had it before" in found.value(SQUAT_REPORT)["conflicts"][0]
    assert found.write(EVERYTHING) == []


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("keep_s", [0.0, 600.0])
@pytest.mark.parametrize(
    ("fields", "more"),
    [({}, {"hosts": f"evil.example, {HOST}"}), ({"paths": "/x"}, {"hosts": f"evil.example, *.{HOST}, {HOST}"}),
     ({}, {"hosts": "evil.example", "preview": f'{{"networks": ["10.0.0.0/8"], "hosts": {{"g": "{HOST}"}}}}'})],
)  # fmt: skip
def test_an_older_service_takes_no_host_from_a_younger_one_of_another_namespace(
    restarted: bool, keep_s: float, fields: dict[str, str], more: dict[str, str]
) -> None:
    """Agents give a host to the service whose key is older; whoever has an old one could take any."""
    found = Bench(*made("squat", "evil", "evil.example"), keep_s=keep_s)
    found.write()
    theirs = made("web", "bank", HOST, **fields)
    found.objects.put(*theirs)
    found.write()
    if restarted:
        found = Bench(*theirs, store=found.store, keep_s=keep_s)
    found.objects.put(*made("squat", "evil", **{**more, **fields}))
    found.write()
    for _ in range(2):
        stored = found.value(SQUAT)
        assert HOST not in [*stored["hosts"], *stored.get("preview", {}).get("hosts", {}).values()]
        assert "evil.example" in stored["hosts"]
        (told,) = found.value(SQUAT_REPORT)["conflicts"]
        assert "is Service bank/web's, which had it before; choose another one" in told
        assert found.write(EVERYTHING) == []
    found.objects.put(*made("web", "bank", "other.bank.example"))
    found.write()
    found.write()
    assert HOST in str(found.value(SQUAT)), "what nobody has any more is free"


def test_within_a_namespace_a_host_may_go_to_an_older_service() -> None:
    found = bench(*made("old", "bank", "old.example"))
    found.write()
    found.objects.put(*bank())
    found.write()
    found.objects.put(*made("old", "bank", f"old.example, {HOST}"))
    found.write()
    assert HOST in found.value("services/bank/old")["hosts"]


@pytest.mark.parametrize("restarted", [True, False])
def test_who_comes_while_it_is_away_waits_until_the_time_that_was_named(restarted: bool) -> None:
    found = bench(*bank())
    found.write()
    found.objects.drop(*bank())
    found.write()
    if restarted:
        found = bench(store=found.store)
    found.objects.put(*made("squat", "evil", HOST))
    found.write()
    assert found.stored_keys("services", "endpoints") == []
    later(found, 9)
    assert found.sync.keeping.due(found.stamp) == 61.0
    assert found.write(NO_NEWS) == []
    later(found, 10)
    found.write(NO_NEWS)
    assert found.value(SQUAT)["hosts"] == [HOST]
    assert found.value(KEPT) is None
    assert found.value(SQUAT_REPORT) is None
    found.objects.put(*bank())
    found.write()
    assert found.value(SQUAT)["hosts"] == [HOST]


def test_its_other_hosts_and_servers_stay() -> None:
    found = squatted(f"squat.example.com,{HOST}")
    found.objects.drop(*bank())
    found.write()
    assert found.value(SQUAT)["hosts"] == ["squat.example.com"]
    assert len(found.value("endpoints/evil/squat/default")["servers"]) == 1
    found.objects.put(*bank())
    found.write()
    assert found.value(SQUAT)["hosts"] == ["squat.example.com"]


def test_a_preview_claims_what_is_kept_for_another_as_little() -> None:
    found = bench(*bank())
    found.write()
    preview = {"preview-networks": "10.0.0.0/8", "preview-hosts": f"a: {HOST}\nb: b.example.com"}
    found.objects.put(*made("squat", "evil", "squat.example.com", **preview))
    found.write()
    found.objects.drop(*bank())
    found.write()
    assert found.value(SQUAT)["preview"]["hosts"] == {"b": "b.example.com"}


def test_who_gives_a_host_up_itself_leaves_it_to_the_next() -> None:
    found = squatted()
    found.objects.drop(*bank())
    found.write()
    found.objects.put(*made("web", "bank", "new.example.com"))
    found.write()
    found.write(NO_NEWS)
    assert found.value(SQUAT)["hosts"] == [HOST]
    assert found.value(KEPT) is None


def test_what_a_service_only_waited_for_is_not_kept_for_it() -> None:
    found = squatted()
    found.objects.drop(*made("squat", "evil", HOST))
    found.write()
    assert found.value("publishers/blue/claims/evil/squat") is None
    assert found.value(BANK)["hosts"] == [HOST]


def test_the_own_namespace_and_other_paths_are_free() -> None:
    found = bench(*bank())
    found.write()
    found.objects.drop(*bank())
    found.objects.put(*made("web2", "bank", HOST), *made("docs", "team", HOST, paths="/docs"))
    found.write()
    assert found.stored_keys("services") == ["services/bank/web2", "services/team/docs"]


def test_a_port_is_kept_too() -> None:
    def tcp(name: str, ns: str) -> tuple[Service, EndpointSlice]:
        own, servers = made(name, ns, "", mode="tcp", listen="5432")
        notes = {k: text for k, text in own.annotations.items() if k != "lbsync.io/hosts"}
        return msgspec.structs.replace(own, annotations=notes), servers

    found = bench(*tcp("db", "bank"))
    found.write()
    found.objects.drop(*tcp("db", "bank"))
    found.objects.put(*tcp("db", "evil"))
    found.write()
    assert found.stored_keys("services") == []
    assert (
        "port 5432 is kept"
        in found.value("publishers/blue/reports/service/evil/db")["conflicts"][0]
    )


def test_a_service_that_is_refused_for_another_reason_lets_go_too() -> None:
    found = squatted()
    found.objects.put(*made("squat", "evil", HOST, maxconn="many"))
    found.write()
    found.objects.drop(*bank())
    found.write()
    assert found.value(SQUAT) is None


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b'{"routes": 1}',
        b'{"routes": ["x/"], "until": "soon"}',
        b'{"routes": ["x/"], "until": "9999-19-39T29:00:00Z"}',
    ],
)
def test_what_cannot_be_read_is_removed_and_holds_nobody(value: bytes) -> None:
    store = FakeSource()
    store.put(KEPT, value)
    found = bench(*made("squat", "evil", "x"), store=store)
    found.write()
    assert found.value(SQUAT)["hosts"] == ["x"]
    assert store.get(KEPT) is None


def test_nothing_is_kept_where_it_is_switched_off() -> None:
    found = Bench(*bank(), keep_s=0.0)
    found.write()
    found.objects.drop(*bank())
    assert KEPT not in found.write()
