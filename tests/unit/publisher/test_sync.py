"""From objects in a cluster to keys in the store, one look after the other."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lbsync.clients.kube import SERVICES, Change
from lbsync.kube_objects import Ingress, Pod, Service, ServicePort, SlicePort
from lbsync.model.records import HoldRecord
from lbsync.publisher import followed
from lbsync.publisher import sync as module
from lbsync.publisher.cluster.work_queue import Work, WorkQueue
from lbsync.publisher.report.alarm import held_record
from lbsync.publisher.translate import translation
from lbsync.values.claims import Claims, HostClaim
from tests.fakes import FakeSource
from tests.kube_objects import HTTP, endpoint, ingress, node, rule, service, slice_
from tests.publishing import OTHER, Bench

SERVICE = "services/shop/cart"
DEFAULT = "endpoints/shop/cart/default"
REPORT = "publishers/blue/reports/service/shop/cart"
CART = Work(services=frozenset({"shop/cart"}))
HOST = {"lbsync.io/hosts": "cart.example"}
PODS = [endpoint(f"10.0.0.{n}", f"cart-{n}") for n in range(1, 5)]


def cart(**annotations: str) -> Service:
    names = {f"lbsync.io/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return service(annotations={**HOST, **names})


def bench(**options: Any) -> Bench:
    return Bench(cart(), slice_(*PODS), **options)


def addresses(found: Bench, key: str = DEFAULT) -> list[str]:
    return [server["address"] for server in found.value(key)["servers"]]


def deleted(found: Bench) -> Work:
    """What is noted when the watch tells that the Service is gone."""
    gone = found.objects.get(SERVICES, "shop", "cart")
    assert gone is not None
    found.objects.drop(gone)
    queue = WorkQueue()
    queue.take()
    queue.note(Change("Service", "shop", "cart", gone, None))
    return queue.take()


def test_a_service_becomes_its_keys_and_a_second_look_writes_nothing() -> None:
    found = bench()
    assert found.write() == [DEFAULT, SERVICE]
    assert found.value(SERVICE)["source"] == "k8s/blue"
    assert addresses(found) == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert found.write() == []


def test_a_pod_that_changes_touches_one_key() -> None:
    found = bench()
    found.write()
    found.objects.put(slice_(*PODS[:3], endpoint("10.0.0.9", "cart-9")))
    assert found.write(CART) == [DEFAULT]
    assert "10.0.0.9" in addresses(found)


def test_an_edit_by_hand_is_mended() -> None:
    found = bench()
    found.write()
    found.store.put(DEFAULT, b'{"servers": [], "source": "k8s/blue"}')
    found.store.delete(SERVICE)
    touched = found.stored.update(found.store.snapshot())
    assert touched == {"shop/cart"}
    assert found.write(Work(services=frozenset(touched))) == [DEFAULT, SERVICE]


def test_what_is_in_step_is_not_translated_again(monkeypatch: Any) -> None:
    found = bench()
    found.write()
    calls: list[Any] = []

    def translate(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return translation.translate(*args, **kwargs)

    monkeypatch.setattr(followed, "translate", translate)
    assert found.write() == []
    assert calls == []
    found.objects.put(cart(balance="leastconn"))
    assert found.write() == [SERVICE]
    assert len(calls) == 1


def test_a_policy_that_is_refused_stays_as_it_was_and_its_servers_are_followed() -> None:
    found = bench()
    found.write()
    before = found.value(SERVICE)
    found.objects.put(cart(maxconn="many"), slice_(*PODS[:3], endpoint("10.0.0.9", "cart-9")))
    assert found.write(CART) == [DEFAULT, REPORT]
    assert found.value(SERVICE) == before
    assert addresses(found) == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9"]
    report = found.value(REPORT)
    assert "maxconn" in report["refused"]
    assert report["since"] == "2026-01-01T00:00:00Z"
    found.objects.put(cart(), slice_(*PODS))
    assert found.write(CART) == [DEFAULT, REPORT]
    assert found.value(REPORT) is None


def test_a_service_that_was_never_published_gets_no_servers_while_it_is_refused() -> None:
    found = Bench(cart(maxconn="many"), slice_(*PODS))
    assert found.write() == [REPORT]


@pytest.mark.parametrize(
    "wrong",
    [
        {"address_mode": "nowhere"},
        {"address_mode": "nodeport"},
        {"address_mode": "clusterip", "group_label": "color"},
        {"port": "nosuch"},
        {"ip_family": "v6"},
        {"group": "No Name"},
    ],
)
def test_a_wrong_word_about_its_servers_does_not_stop_them_from_being_followed(
    wrong: dict[str, str],
) -> None:
    """The addresses of pods that are gone are soon those of other pods."""
    found = Bench(service(annotations=HOST, type="ClusterIP"), slice_(*PODS))
    found.write()
    policy = found.value(SERVICE)
    bad = msgspec.structs.replace(cart(**wrong), type="ClusterIP")
    found.objects.put(bad)
    assert found.write(CART) == [REPORT]
    for fresh in (endpoint("10.0.0.9", "cart-9"), endpoint("10.0.0.8", "cart-8")):
        found.objects.put(slice_(*PODS[:3], fresh))
        found.write(CART)
        assert addresses(found)[-1] == fresh.address
    later = Bench(bad, slice_(*PODS[:3]), store=found.store)
    later.write()
    assert len(addresses(later)) == 3, "by whoever leads next, too"
    assert later.value(SERVICE) == policy
    later.objects.put(cart())
    later.write(CART)
    assert later.value(REPORT) is None


def test_a_right_that_is_missing_does_not_stop_servers_from_being_followed() -> None:
    found = bench()
    found.write()
    found.unread["pods"] = "list pods: forbidden"
    found.objects.put(cart(group_label="color"), slice_(*PODS[:3]))
    found.write(CART)
    assert len(addresses(found)) == 3
    found.now += module.PATIENCE_S
    found.write(CART)
    assert "list pods: forbidden" in found.value(REPORT)["refused"]


def test_what_says_where_servers_are_is_kept_without_secrets() -> None:
    hash_ = "$6$saltsalt$" + "a" * 86
    found = Bench(cart(auth_users=f"admin: {hash_}"), slice_(*PODS))
    found.write()
    found.objects.put(cart(maxconn="many"))
    found.write(CART)
    assert "accepted" in found.value(REPORT)
    assert hash_ not in str(found.value(REPORT))


def test_a_service_whose_servers_were_never_known_stays_as_it_was() -> None:
    found = bench()
    found.write()
    later = Bench(cart(address_mode="nowhere"), slice_(*PODS[:3]), store=found.store)
    later.write()
    assert len(addresses(later)) == 4


def test_a_warning_is_reported_beside_what_is_published() -> None:
    found = Bench(cart(balanse="leastconn"), slice_(*PODS))
    found.write()
    assert "lbsync.io/balance" in found.value(REPORT)["warnings"][0]
    assert found.value(SERVICE) is not None
    assert found.write() == []


def test_a_deleted_service_goes_at_once_with_its_report() -> None:
    found = Bench(cart(balanse="x"), slice_(*PODS))
    found.write()
    assert found.write(deleted(found)) == [SERVICE, DEFAULT, REPORT]
    assert found.stored_keys() == []
    assert found.sync.states == {}


def test_a_service_that_lost_its_label_goes() -> None:
    found = bench()
    found.write()
    labelled, bare = found.objects.get(SERVICES, "shop", "cart"), service(labels={})
    found.objects.put(bare)
    queue = WorkQueue()
    queue.take()
    queue.note(Change("Service", "shop", "cart", labelled, bare))
    found.write(queue.take())
    assert found.stored_keys() == []


def test_what_is_left_of_services_deleted_meanwhile_goes_with_the_full_comparison() -> None:
    other = service("other", annotations=HOST)
    found = bench()
    found.objects.put(other, _slice_of("other"))
    found.write()
    later = Bench(other, _slice_of("other"), store=found.store)
    assert later.write() == [SERVICE, DEFAULT]


def test_many_services_found_missing_are_held() -> None:
    """A kubeconfig that leads to another, empty cluster must not empty the balancers."""
    found = Bench(
        *[service(name, annotations=HOST) for name in "abc"], *[_slice_of(name) for name in "abc"]
    )
    found.write()
    later = Bench(store=found.store)
    later.write()
    assert len(later.stored_keys("services", "endpoints")) == 6
    assert "held" in later.value("publishers/blue/reports/service/shop/a")
    later.now += 3600
    later.write(Work())
    assert len(later.stored_keys("services", "endpoints")) == 6, "nothing would be left anywhere"
    assert later.sync.guard.hold is not None
    later.confirm(later.sync.guard.hold.id)
    later.write(Work())
    assert later.stored_keys("services", "endpoints", "publishers") == []
    assert later.sync.let_go == {"shop/a": 0, "shop/b": 0, "shop/c": 0}


def test_a_confirmation_of_one_record_of_a_service_says_nothing_of_its_others() -> None:
    """Hosts with different paths make `shop/cart` and `shop/cart.2` of one Service."""
    hosts = ingress(rule("a.example", "/x"), rule("b.example", "/y"))
    found = Bench(service(), slice_(*PODS), hosts, ingress=True)
    found.write()
    assert addresses(found, "endpoints/shop/cart.2/default") == addresses(found)
    found.confirm("of-somebody", cart=0)
    found.objects.put(slice_())
    found.write(CART)
    assert len(addresses(found)) == 4
    assert found.sync.guard.hold is not None
    assert held_record(found.sync.guard.hold) == HoldRecord(
        found.sync.guard.hold.id, {"shop/cart": 0, "shop/cart.2": 0}
    )
    found.confirm("of-another", **{"cart.2": 0})
    found.write(CART)
    assert addresses(found) == addresses(found, "endpoints/shop/cart.2/default") == []
    assert found.sync.let_go == {"shop/cart": 0, "shop/cart.2": 0}


def test_what_was_announced_is_passed_on_to_the_agents_also_where_nothing_is_held() -> None:
    """A deployer says what it is about to take away. That may be little to the publisher, and too much to the
    agents' guard; what was said before the removal is used up there by the time it comes."""
    found = bench()
    found.write()
    found.objects.put(slice_(*PODS[:3]))
    found.confirm("announced", cart=3)
    found.write(CART)
    assert len(addresses(found)) == 3
    assert found.sync.let_go == {"shop/cart": 3}
    found.objects.put(slice_(*PODS[:2]))
    found.write(CART)
    assert len(addresses(found)) == 2
    assert found.sync.let_go == {}, "nobody announced that"
    found.confirm("gone", cart=0)
    found.write(deleted(found))
    assert found.stored_keys("services", "endpoints") == []
    assert found.sync.let_go == {"shop/cart": 0}


@pytest.mark.parametrize("again", ["seen", "by a new leader", "by the next leader"])
def test_services_that_came_back_after_a_confirmed_removal_are_held_the_next_time(
    again: str,
) -> None:
    names = "abc"
    made = [*[service(name, annotations=HOST) for name in names], *map(_slice_of, names)]
    found = Bench(*made)
    found.write()
    later = Bench(store=found.store)
    later.write()
    assert later.sync.guard.hold is not None
    later.confirm(later.sync.guard.hold.id)
    later.write(Work())
    assert later.stored_keys("services", "endpoints") == []
    later.objects.put(*made)
    later.write()
    assert len(later.stored_keys("services", "endpoints")) == 6
    if again == "by a new leader":  # which sees the servers first
        later = Bench(*made, store=found.store)
        later.write()
    if again == "by the next leader":
        later = Bench(store=found.store)
    else:
        later.objects.drop(*made)
    later.write()
    assert len(later.stored_keys("services", "endpoints")) == 6
    assert later.sync.guard.hold is not None
    later.confirm(later.sync.guard.hold.id)
    later.write(Work())
    assert later.stored_keys("services", "endpoints") == []


def test_each_owner_is_told_of_few_removals_and_one_sentence_tells_of_many() -> None:
    names = [f"s{number}" for number in range(30)]
    found = Bench(*[service(name, annotations=HOST) for name in names], *map(_slice_of, names))
    found.write()
    later = Bench(store=found.store)
    later.write()
    assert later.stored_keys("publishers") == []
    assert "and 27 more services" in str(later.sync.guard.hold)


def test_while_no_node_is_ready_servers_stay() -> None:
    nodes = [node(f"n{i}", ("InternalIP", f"192.0.2.{i}")) for i in (1, 2)]
    blind = [msgspec.structs.replace(found, ready=False) for found in nodes]
    found = bench()
    found.objects.put(*nodes)
    found.write()
    found.objects.put(*blind, slice_(*PODS[:3]))
    found.write(Work(services=CART.services, nodes=True))
    found.now += 3600
    found.write(CART)
    assert len(addresses(found)) == 4
    found.objects.put(nodes[0])
    found.write(Work(services=CART.services, nodes=True))
    found.now += 31
    found.write(Work())
    assert len(addresses(found)) == 3


def _slice_of(name: str) -> Any:
    return slice_(*PODS, name=f"{name}-1", service=name)


def test_a_mass_removal_waits_while_new_servers_come_in() -> None:
    found = bench()
    found.write()
    found.objects.put(slice_(endpoint("10.0.0.9", "cart-9")))
    found.write(CART)
    assert addresses(found) == [*(f"10.0.0.{n}" for n in (1, 2, 3, 4)), "10.0.0.9"]
    assert "3 of 4 servers" in found.value(REPORT)["held"]
    assert found.write(CART) == []
    found.now += 31
    assert found.write(Work()) == [DEFAULT, REPORT], "looked at again by itself"
    assert addresses(found) == ["10.0.0.9"]
    assert found.write() == []


def test_a_held_removal_is_dropped_when_the_pods_come_back() -> None:
    found = bench()
    found.write()
    found.objects.put(slice_())
    found.write(CART)
    found.objects.put(slice_(*PODS))
    assert found.write(CART) == [REPORT]
    assert found.value(REPORT) is None


def test_servers_that_drained_may_go_all_at_once() -> None:
    found = bench()
    found.write()
    gone = {"ready": False, "serving": True, "terminating": True}
    fresh = endpoint("10.0.0.9", "cart-9")
    draining = [endpoint(f"10.0.0.{n}", f"cart-{n}", **gone) for n in range(1, 5)]
    replaced = [endpoint(f"10.0.1.{n}", f"new-{n}") for n in range(1, 4)]
    found.objects.put(slice_(*draining, fresh, *replaced))
    found.write(CART)
    found.objects.put(slice_(fresh, *replaced))
    found.write(CART)
    assert len(addresses(found)) == 4


def test_who_leads_again_holds_anew() -> None:
    """Nobody knows what happened while another one led."""
    found = bench()
    found.write()
    found.objects.put(slice_())
    found.write(CART)
    found.sync.reset()
    found.now += 31
    found.write()
    assert found.value(DEFAULT)["servers"], "not taken for held long enough"


def test_deleting_a_held_service_removes_it_at_once() -> None:
    found = bench()
    found.write()
    found.objects.put(slice_())
    found.write(CART)
    assert found.value(DEFAULT)["servers"]
    found.write(deleted(found))
    assert found.stored_keys() == []


def test_a_service_made_anew_keeps_its_servers_until_it_has_its_own() -> None:
    found = bench()
    found.write()
    found.objects.put(service(uid="new", annotations=HOST))
    found.write(CART)
    assert len(addresses(found)) == 4
    found.objects.put(slice_(endpoint("10.0.7.1", "other-1"), owner_uid="new"))
    found.write(CART)
    assert addresses(found) == ["10.0.7.1"], "which may be other pods altogether"
    found.objects.put(slice_(owner_uid="new"))
    found.write(CART)
    assert addresses(found) == ["10.0.7.1"], "from then on it is a Service like any other"


def test_a_service_waits_for_nodes_and_the_others_do_not() -> None:
    other = service("other", annotations=HOST)
    node_port = cart(address_mode="nodeport")
    found = Bench(
        node_port, other, slice_(*PODS), _slice_of("other"), unread={"nodes": "nodes: forbidden"}
    )
    assert found.write() == ["endpoints/shop/other/default", "services/shop/other"]
    found.now += module.PATIENCE_S
    assert found.write(Work()) == [REPORT]
    assert "nodes: forbidden" in found.value(REPORT)["refused"]
    found.unread.clear()
    assert found.write(Work()) == [DEFAULT, SERVICE, REPORT]
    assert found.value(REPORT) is None


def test_ingresses_say_hosts_and_are_reported_about() -> None:
    web = ingress(rule("shop.example", "/cart"), tls_hosts=("shop.example",))
    found = Bench(service(annotations={}), slice_(*PODS), web, ingress=True)
    found.write()
    assert found.value(SERVICE)["hosts"] == ["shop.example"]
    said = "publishers/blue/reports/ingress/shop/web"
    assert "spec.tls" in found.value(said)["warnings"][0]
    found.objects.drop(web)
    found.objects.put(cart())
    found.write(Work(services=frozenset({"shop/cart"}), ingresses=True))
    assert found.value(said) is None
    assert found.value(SERVICE)["hosts"] == ["cart.example"]


def _without_ingress(found: Bench, web: Ingress) -> None:
    found.objects.drop(web)


def _of_another_class(found: Bench, web: Ingress) -> None:
    found.objects.put(msgspec.structs.replace(web, class_name="nginx"))


def _without_hosts(found: Bench, web: Ingress) -> None:
    lost = [msgspec.structs.replace(rule, host="") for rule in web.rules]
    found.objects.put(msgspec.structs.replace(web, rules=tuple(lost)))


def _led_elsewhere(found: Bench, web: Ingress) -> None:
    found.objects.put(ingress(rule("a.example", "/", to="other"), name=web.name))


def _on_its_way_out(found: Bench, web: Ingress) -> None:
    found.objects.put(msgspec.structs.replace(web, deleting=True))


def _not_read_any_more(found: Bench, web: Ingress) -> None:
    found.reads_ingresses(False)


@pytest.mark.parametrize(
    "happens",
    [
        _without_ingress,
        _of_another_class,
        _without_hosts,
        _led_elsewhere,
        _on_its_way_out,
        _not_read_any_more,
    ],
)
def test_what_an_ingress_published_never_becomes_open_to_all_when_the_ingress_is_lost(
    happens: Callable[[Bench, Ingress], None],
) -> None:
    """Its hosts, paths and allow list stay, its owner is told, and its servers are followed."""
    two_ports = (HTTP, ServicePort("admin", 8081, 30081, "TCP", ""))
    ports = tuple(
        SlicePort(port, number, "TCP", "") for port, number in (("http", 8080), ("admin", 9090))
    )
    web = ingress(
        rule("a.example", "/admin", port="admin"),
        rule("b.example", "/b", port="admin"),
        annotations={"haproxy-ingress.github.io/allowlist-source-range": "10.0.0.0/8"},
    )
    found = Bench(
        service(annotations={}, ports=two_ports), slice_(*PODS, ports=ports), web, ingress=True
    )
    found.write()
    before = [found.value(key) for key in (SERVICE, f"{SERVICE}.2")]
    assert before[0]["allow"] == before[1]["allow"] == ["10.0.0.0/8"]
    happens(found, web)
    moved = slice_(*PODS[:3], endpoint("10.0.0.9", "cart-9"), ports=ports)
    found.objects.put(moved)
    found.write(Work(services=frozenset({"shop/cart"}), ingresses=True))
    assert [found.value(key) for key in (SERVICE, f"{SERVICE}.2")] == before
    for key in (DEFAULT, "endpoints/shop/cart.2/default"):
        assert addresses(found, key)[-1] == "10.0.0.9"
        assert {server["port"] for server in found.value(key)["servers"]} == {9090}
    assert "hosts" in found.value(REPORT)["refused"]
    # Who leads next knows it too, whatever it did not see.
    later = Bench(
        service(annotations={}, ports=two_ports), slice_(*PODS[:3], ports=ports), store=found.store
    )
    later.write()
    assert [later.value(key) for key in (SERVICE, f"{SERVICE}.2")] == before
    assert len(addresses(later)) == len(addresses(later, "endpoints/shop/cart.2/default")) == 3


def test_two_clusters_publish_one_service_side_by_side() -> None:
    store = FakeSource()
    blue = bench(store=store)
    green = Bench(cart(), slice_(endpoint("10.9.0.1", "cart-x")), me=OTHER, store=store)
    blue.write()
    green.write()
    assert green.stored_keys("services", "endpoints") == [DEFAULT, f"{DEFAULT}.green", SERVICE]
    assert blue.write() == green.write() == []
    blue.write(deleted(blue))
    assert green.stored_keys("services", "endpoints") == [f"{DEFAULT}.green", SERVICE]
    assert green.value(SERVICE)["source"] == "k8s/green"
    assert green.write() == []


def test_a_conflict_is_reported_until_it_is_gone() -> None:
    found = bench(store=FakeSource({SERVICE: b'{"mode": "http", "hosts": ["by-hand.example"]}'}))
    assert found.write() == [REPORT]
    assert "written by a person" in found.value(REPORT)["conflicts"][0]
    found.store.delete(SERVICE)
    assert found.write(CART) == [DEFAULT, SERVICE, REPORT]


def test_the_records_of_a_look_are_the_same_every_time() -> None:
    one, two = bench(), bench()
    one.write()
    two.write()
    for key in one.stored_keys():
        item, other = one.store.get(key), two.store.get(key)
        assert item is not None
        assert other is not None
        assert item.value == other.value


def test_a_service_gets_only_what_its_namespace_may_have() -> None:
    """The operator's settings say who may have which hosts and servers; the owner is told who decides."""
    claims = Claims(hosts=(HostClaim.parse("bank=*.bank.example"),))
    found = Bench(cart(hosts="login.bank.example"), slice_(*PODS), claims=claims)
    assert found.write() == [REPORT]
    assert "for namespace bank alone" in found.value(REPORT)["refused"]
    found.objects.put(cart())
    found.write(CART)
    policy = found.value(SERVICE)
    found.objects.put(cart(hosts="cart.example, login.bank.example"), slice_(*PODS[:3]))
    found.write(CART)
    assert found.value(SERVICE) == policy
    assert len(addresses(found)) == 3


def test_servers_on_the_hosts_themselves_or_their_cloud_are_not_published() -> None:
    found = bench()
    found.write()
    before = addresses(found)
    for address in ("127.0.0.1", "169.254.169.254"):
        found.objects.put(slice_(*PODS[:3], endpoint(address, "cart-9")))
        found.write(CART)
        assert addresses(found) == before
        assert address in found.value(REPORT)["refused"]


@pytest.mark.parametrize("value", ["True", "yes", "1", ""])
def test_a_label_that_nearly_says_it_is_reported(value: str) -> None:
    found = Bench(service(labels={"lbsync.io/publish": value}, annotations=HOST), slice_(*PODS))
    assert found.write() == [REPORT]
    assert 'write lbsync.io/publish: "true"' in found.value(REPORT)["warnings"][0]
    assert found.write() == []
    found.objects.put(service(labels={"lbsync.io/publish": "false"}, annotations=HOST))
    assert found.write(CART) == [REPORT]
    assert found.stored_keys() == []


def test_the_older_owner_is_told_who_takes_a_path_below_its_host_until_that_is_gone() -> None:
    found = bench()
    found.write()
    phish = msgspec.structs.replace(
        service(annotations={**HOST, "lbsync.io/paths": "/login"}), name="phish", namespace="evil"
    )
    found.objects.put(phish)
    found.write(Work(services=frozenset({"evil/phish"})))
    assert found.write(CART) == [REPORT]
    (told,) = found.value(REPORT)["warnings"]
    assert "evil/phish took cart.example with path /login" in told
    assert '"shop=cart.example" to [claims] hosts' in told
    assert found.write() == []
    found.objects.drop(phish)
    found.write(Work(services=frozenset({"evil/phish"})))
    found.write(CART)
    assert found.value(REPORT) is None


def test_a_group_that_its_route_names_stays_when_its_last_pod_goes() -> None:
    pods = [endpoint("10.0.0.1", "blue-1"), endpoint("10.0.0.2", "green-1")]
    labels = [
        Pod(namespace="shop", name=f"{color}-1", uid=color, labels={"color": color})
        for color in ("blue", "green")
    ]
    found = Bench(cart(group_label="color"), slice_(*pods), *labels)
    found.write()
    blue, green = "endpoints/shop/cart/blue", "endpoints/shop/cart/green"
    assert found.stored_keys("endpoints") == [blue, green]
    found.store.put("routes/shop/cart", b'{"groups": {"blue": 0, "green": 1}}')
    found.objects.put(slice_(pods[1]))
    found.now += 60
    found.write()
    found.now += 60
    found.write()
    assert found.value(blue)["servers"] == []
    assert found.write() == []
    found.store.delete("routes/shop/cart")
    found.write()
    assert found.stored_keys("endpoints") == [green]


def test_the_word_as_an_annotation_is_reported_where_the_service_is_seen() -> None:
    off = service(labels={"lbsync.io/publish": "false"}, annotations={"lbsync.io/publish": "true"})
    found = Bench(off, slice_(*PODS))
    assert found.write() == [REPORT]
    assert "as a label" in found.value(REPORT)["warnings"][0]


def test_a_service_with_the_annotation_alone_is_told_as_long_as_it_has_it() -> None:
    found = Bench()
    noted = service(labels={}, annotations={"lbsync.io/publish": "true"})
    found.lister.unlabelled = {"shop/cart": noted}
    assert found.write() == [REPORT]
    assert "is an annotation, which publishes nothing" in found.value(REPORT)["warnings"][0]
    assert found.write() == []
    found.lister.unlabelled = {}
    assert found.write(CART) == [REPORT]
    assert found.value(REPORT) is None
