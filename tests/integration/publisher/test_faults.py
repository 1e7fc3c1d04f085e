"""Whatever the API server does: what is published stays meanwhile, and follows in the end."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.fake_kube import ADMIN, FakeKube
from harness.fake_kube.objects import PUBLISH, endpoint, endpoint_slice, node, service
from harness.fake_kube.place import User
from harness.publisher import Store
from harness.wait import wait_until
from lbsync.clients.source import Delete, Put
from lbsync.errors import Unavailable
from lbsync.values.basic import Duration
from tests.driven import Driven
from tests.fakes import FakeSource

Drive = Callable[..., Driven]
SLICES = "endpointslices with lbsync.io/publish=true"
HOST = {"lbsync.io/hosts": "cart.example"}


def cart(fake: FakeKube, *addresses: str, name: str = "cart", **spec: Any) -> None:
    """Put the Service shop/`name` with ready pods at these addresses."""
    if fake.get("Service", "shop", name) is None:
        fake.put(service(name, "shop", labels=PUBLISH, annotations=HOST, **spec))
    pods = [endpoint(address, pod=f"{name}-{address[-1]}") for address in addresses]
    fake.put(endpoint_slice(f"{name}-1", name, pods, "shop", labels=PUBLISH))


def follow(driven: Driven, store: Store, *addresses: str, name: str = "cart") -> None:
    driven.until(
        f"{addresses} to be published",
        lambda: store.addresses(f"shop/{name}") == list(addresses),
    )


@pytest.fixture
def running(fake: FakeKube, store: Store, driven: Drive) -> Driven:
    """A leader that has published shop/cart with one pod."""
    cart(fake, "10.0.0.1")
    made = driven()
    follow(made, store, "10.0.0.1")
    return made


def compacted(fake: FakeKube) -> None:
    """The watch comes back too late for where it was: 410, as an event of the stream."""
    fake.stop()
    cart(fake, "10.0.0.1", "10.0.0.2")
    fake.storage.compact()
    fake.start()


def gone_in_mid_list(fake: FakeKube) -> None:
    """The list has pages, and the second comes too late: 410 as the answer to a request."""
    for number in range(510):
        fake.put(service(f"s{number}", "many", labels=PUBLISH, annotations=HOST))
    fake.stop()
    cart(fake, "10.0.0.1", "10.0.0.2")
    fake.storage.compact()

    def compact() -> None:
        fake.put(service("late", "many"))
        fake.storage.compact()

    fake.faults.after_list(compact)
    fake.start()


def bookmarked(fake: FakeKube) -> None:
    """Only bookmarks come for a long time, then the history before them is forgotten."""
    for version in (1000, 2000, 3000):
        fake.storage.skip_to(version)
        fake.storage.bookmark()
    fake.storage.compact()
    fake.drop()
    cart(fake, "10.0.0.1", "10.0.0.2")


def refusing(fake: FakeKube) -> None:
    """Every request fails for as long as some dozens take."""
    fake.faults.refuse(60)
    fake.drop()
    cart(fake, "10.0.0.1", "10.0.0.2")


def stalled(fake: FakeKube) -> None:
    """Connections stay open and silent, as behind a router that has lost its memory."""
    fake.faults.stall()
    cart(fake, "10.0.0.1", "10.0.0.2")
    fake.drop()
    fake.faults.resume()


def cut(fake: FakeKube) -> None:
    """The connection ends in the middle of the very event that matters."""
    fake.faults.cut_in_mid_line()
    cart(fake, "10.0.0.1", "10.0.0.2")


def garbled(fake: FakeKube) -> None:
    """In place of an event comes something that is no JSON."""
    fake.faults.send_instead(b"<html>502</html>\n")
    cart(fake, "10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    "happening", [compacted, gone_in_mid_list, bookmarked, refusing, stalled, cut, garbled]
)
def test_what_happens_to_the_api_server_costs_no_server_and_no_change(
    happening: Callable[[FakeKube], None], fake: FakeKube, store: Store, running: Driven
) -> None:
    seen: list[list[str]] = []

    def followed() -> bool:
        seen.append(store.addresses("shop/cart"))
        return seen[-1] == ["10.0.0.1", "10.0.0.2"]

    happening(fake)
    running.until("the change to be published", followed, timeout=60)
    assert [found for found in seen if "10.0.0.1" not in found] == []


def test_while_the_api_server_is_away_everything_stays(
    fake: FakeKube, store: Store, running: Driven
) -> None:
    before = store.revisions("services", "endpoints")
    fake.stop()
    running.until("the loss to be noticed", lambda: running.publisher.healthy)
    running.now += 3600  # full comparisons included
    assert running.run_pass().confirmed
    running.now += 3600
    running.run_pass()
    assert store.revisions("services", "endpoints") == before
    assert store.value("publishers/default/heartbeat")["kubernetes"]
    fake.delete("Service", "shop", "cart")
    fake.start()
    running.until("the Service to go", lambda: not store.present("services", "endpoints"))
    running.until("health", lambda: not running.publisher.healthy)
    running.now += 60  # the next heartbeat is due
    running.run_pass()
    assert "kubernetes" not in store.value("publishers/default/heartbeat")


def test_while_the_api_server_hangs_nobody_says_that_all_is_in_step(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    cart(fake, "10.0.0.1")
    made = driven(quiet=0.3, probe=0.3, silent=0.8, read=0.5)
    follow(made, store, "10.0.0.1")
    fake.faults.stall()
    made.until("the silence to be noticed", lambda: made.publisher.healthy)
    beat = "publishers/default/heartbeat"
    made.now += 60
    made.until("the word", lambda: "no answer in time" in str(store.value(beat)))
    synced = store.value(beat)["synced_at"]
    made.now += 3600
    made.run_pass()
    assert store.value(beat)["synced_at"] == synced
    fake.faults.resume()
    cart(fake, "10.0.0.1", "10.0.0.2")
    follow(made, store, "10.0.0.1", "10.0.0.2")
    made.now += 60
    made.until("the word", lambda: "kubernetes" not in store.value(beat))


def test_nothing_is_published_or_removed_before_everything_was_listed(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    cart(fake, "10.0.0.1")
    first = driven()
    follow(first, store, "10.0.0.1")
    before = store.revisions("services", "endpoints")
    first.close()
    fake.faults.refuse(10_000, part="/endpointslices")
    second = driven(name="second")
    wait_until(
        "Services to be listed",
        lambda: (
            "endpointslices" in str(second.publisher.missing) and len(second.publisher.missing) == 1
        ),
    )
    assert not second.run_pass().confirmed
    assert store.revisions("services", "endpoints") == before
    fake.faults.heal()
    cart(fake, "10.0.0.1", "10.0.0.2")
    follow(second, store, "10.0.0.1", "10.0.0.2")


def test_an_expired_token_is_renewed(fake: FakeKube, store: Store, running: Driven) -> None:
    fake.users.clear()
    fake.drop()
    running.until("the refusal", lambda: running.publisher.healthy)
    cart(fake, "10.0.0.1", "10.0.0.2")
    running.run_pass()
    assert store.addresses("shop/cart") == ["10.0.0.1"]
    fake.users[ADMIN] = User("admin")
    follow(running, store, "10.0.0.1", "10.0.0.2")


def test_a_cluster_restored_to_an_older_state_is_followed(
    fake: FakeKube, store: Store, running: Driven
) -> None:
    backup = fake.storage.backup()
    cart(fake, "10.0.0.1", "10.0.0.2")
    cart(fake, "10.0.0.7", name="young")
    follow(running, store, "10.0.0.1", "10.0.0.2")
    follow(running, store, "10.0.0.7", name="young")
    fake.restore(backup)
    follow(running, store, "10.0.0.1")
    running.until("what was never there to go", lambda: not store.value("services/shop/young"))


def test_a_hundred_changes_in_a_row_become_few_writes_and_the_last_one_counts(
    fake: FakeKube, store: Store, running: Driven
) -> None:
    before = store.client.snapshot().revision
    for number in range(100):
        cart(fake, "10.0.0.1", f"10.1.0.{number}")
    follow(running, store, "10.0.0.1", "10.1.0.99")
    running.settle()
    assert store.client.snapshot().revision - before <= 100
    assert store.value("endpoints/shop/cart/default")["source"] == "k8s/default"


def test_a_service_deleted_while_nobody_watched_goes_with_the_first_comparison(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    cart(fake, "10.0.0.1")
    cart(fake, "10.0.0.9", name="other")
    first = driven()
    follow(first, store, "10.0.0.9", name="other")
    first.close()
    fake.delete("Service", "shop", "cart")
    second = driven(name="second")
    second.until("the Service to go", lambda: not store.value("services/shop/cart"))
    assert store.addresses("shop/other") == ["10.0.0.9"]


def test_a_service_deleted_and_made_anew_does_not_inherit_servers(
    fake: FakeKube, store: Store, running: Driven
) -> None:
    cart(fake, "10.0.0.8", name="other")
    follow(running, store, "10.0.0.8", name="other")
    old = fake.get("Service", "shop", "cart")
    assert old is not None
    owner = [{"apiVersion": "v1", "kind": "Service", "name": "cart", "uid": old["metadata"]["uid"]}]
    stale = endpoint_slice(
        "cart-1", "cart", [endpoint("10.0.0.1", pod="a")], "shop", labels=PUBLISH
    )
    stale["metadata"]["ownerReferences"] = owner
    fake.put(stale)
    fake.delete("Service", "shop", "cart")
    fake.put(service("cart", "shop", labels=PUBLISH, annotations=HOST))
    running.until(
        "the old servers to go",
        lambda: store.value("endpoints/shop/cart/default") in ({"servers": [], "source": "k8s/default"}, None)
        and store.value("services/shop/cart"),
    )  # fmt: skip


def test_slices_that_a_person_made_count_without_the_label(
    fake: FakeKube, store: Store, running: Driven
) -> None:
    fake.put(service("db", "shop", labels=PUBLISH, annotations=HOST, selector={}))
    fake.put(endpoint_slice("db-1", "db", [endpoint("192.0.2.1")], "shop"))
    follow(running, store, "192.0.2.1", name="db")


def test_nodes_are_servers_from_the_first_service_that_needs_them(
    fake: FakeKube, store: Store, running: Driven
) -> None:
    fake.put(node("n1", "10.5.0.1"))
    fake.put(
        service(
            "np", "shop", labels=PUBLISH, type="NodePort",
            annotations={**HOST, "lbsync.io/address-mode": "nodeport"},
        )
    )  # fmt: skip
    fake.put(
        endpoint_slice("np-1", "np", [endpoint("10.0.0.7", nodeName="n1")], "shop", labels=PUBLISH)
    )
    follow(running, store, "10.5.0.1", name="np")
    fake.put(node("n2", "10.5.0.2"))
    follow(running, store, "10.5.0.1", "10.5.0.2", name="np")


def test_groups_follow_the_labels_of_pods(fake: FakeKube, store: Store, running: Driven) -> None:
    grouped = {**HOST, "lbsync.io/group-label": "color"}
    for name, color in (("p-1", "blue"), ("p-2", "green")):
        meta = {"name": name, "namespace": "shop", "labels": {"color": color}}
        fake.put({"kind": "Pod", "metadata": meta, "spec": {}})
    fake.put(service("colored", "shop", labels=PUBLISH, annotations=grouped))
    pods = [endpoint("10.0.3.1", pod="p-1"), endpoint("10.0.3.2", pod="p-2")]
    fake.put(endpoint_slice("colored-1", "colored", pods, "shop", labels=PUBLISH))
    running.until(
        "both groups",
        lambda: (
            (
                store.addresses("shop/colored", "blue"),
                store.addresses("shop/colored", "green"),
            )
            == (["10.0.3.1"], ["10.0.3.2"])
        ),
    )
    fake.patch("Pod", "shop", "p-2", {"metadata": {"labels": {"color": "blue"}}})
    running.until(
        "the pod to change sides",
        lambda: store.addresses("shop/colored", "blue") == ["10.0.3.1", "10.0.3.2"],
    )


def test_only_the_namespaces_that_are_named_are_read(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    cart(fake, "10.0.0.1")
    fake.put(service("cart", "other", labels=PUBLISH, annotations=HOST))
    made = driven(namespaces=("shop",))
    follow(made, store, "10.0.0.1")
    made.settle()
    assert store.present("services") == ["services/shop/cart"]
    assert not [seen for seen in fake.requests if seen.target.startswith("/api/v1/services")]


def test_a_mass_removal_is_held_reported_and_goes_through_in_the_end(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    cart(fake, "10.0.0.1", "10.0.0.2", "10.0.0.3")
    made = driven(brake_hold=Duration(30_000))
    follow(made, store, "10.0.0.1", "10.0.0.2", "10.0.0.3")
    cart(fake, "10.0.0.3")
    report = "publishers/default/reports/service/shop/cart"
    made.until("the hold", lambda: store.value(report))
    assert "2 of 3 servers" in store.value(report)["held"]
    assert len(store.addresses("shop/cart")) == 3
    made.now += 31
    follow(made, store, "10.0.0.3")
    assert store.value(report) is None


def test_a_leader_whose_key_was_taken_cannot_write(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    """The lease still stands, the key has another owner: only the fence can tell."""
    cart(fake, "10.0.0.1")
    one, two = driven(name="one"), driven(name="two")
    follow(one, store, "10.0.0.1")
    two.until("the second one to stand by", lambda: two.outcomes)
    store.client.commit([], [Delete("publishers/default/leader")])
    two.until("the second one to lead", lambda: store.leader() == "two")
    cart(fake, "10.0.0.1", "10.0.0.2")
    follow(two, store, "10.0.0.1", "10.0.0.2")
    before = store.revisions("services", "endpoints")
    cart(fake, "10.0.0.3")
    one.until("the first one to know", lambda: "two leads" in one.outcomes[-1].sentence)
    assert store.revisions("services", "endpoints") == before
    assert "nothing more is written" in str([outcome.sentence for outcome in one.outcomes])


def test_an_etcd_that_was_wiped_is_filled_again(
    fake: FakeKube, store: Store, running: Driven
) -> None:
    store.client.commit([], [Delete(key) for key in store.present()])
    follow(running, store, "10.0.0.1")
    assert store.leader() == "driven"


def test_no_change_is_lost_while_the_store_is_away(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    memory = FakeSource()
    cart(fake, "10.0.0.1")
    made = driven(source=memory)
    key = "endpoints/shop/cart/default"
    made.until("the first pod", lambda: memory.get(key))
    commit = memory.commit

    def refuse(*_: object) -> int:
        raise Unavailable("etcd does not answer")

    memory.commit = refuse  # type: ignore[method-assign, assignment]
    cart(fake, "10.0.0.1", "10.0.0.2")
    refused: list[bool] = []

    def is_refused() -> bool:
        try:
            made.run_pass()
        except Unavailable:
            refused.append(True)
        return bool(refused)

    made.until("a write to be refused", is_refused)
    memory.commit = commit  # type: ignore[method-assign]
    made.until("the change", lambda: b"10.0.0.2" in (memory.snapshot().items[key].value))


def test_kubernetes_events_tell_owners_where_that_is_wanted(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    cart(fake, "10.0.0.1")
    fake.patch("Service", "shop", "cart", {"metadata": {"annotations": {"lbsync.io/maxconn": "x"}}})
    made = driven(events=True)
    events = made.until("an event", lambda: fake.objects("Event"))
    assert events[0]["reason"] == "NotPublished"
    assert "lbsync.io/maxconn" in events[0]["message"]
    assert events[0]["involvedObject"]["name"] == "cart"
    made.now += 3600
    made.run_pass()
    assert len(fake.objects("Event")) == 1, "the same is not told twice"


def kubernetes(fake: FakeKube) -> None:
    """Put the Service that every cluster makes for itself."""
    fake.put(service("kubernetes", "default", selector={}))


def test_a_second_cluster_of_the_same_name_stays_out(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    """Each would take the other's Services for deleted."""
    kubernetes(fake)
    cart(fake, "10.0.0.1")
    first = driven()
    follow(first, store, "10.0.0.1")
    first.close()
    other = FakeKube().start()
    try:
        kubernetes(other)
        second = driven(other, name="second")
        second.until("it to be refused", lambda: second.outcomes)
        assert "default is the name of another Kubernetes cluster" in second.run_pass().error
        assert store.addresses("shop/cart") == ["10.0.0.1"]
        assert store.leader() == ""
        second.close()
        third = driven(other, name="third", adopt=True)
        third.until("the old Services to go", lambda: not store.present("services"))
    finally:
        other.stop()
    again = driven(name="again")
    again.until("the first one to be refused", lambda: again.outcomes)
    assert not again.run_pass().confirmed


def test_a_removal_of_everything_goes_when_it_is_confirmed_and_agents_are_told(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    cart(fake, "10.0.0.1")
    made = driven()
    follow(made, store, "10.0.0.1")
    fake.put(endpoint_slice("cart-1", "cart", [], "shop", labels=PUBLISH))
    beat = "publishers/default/heartbeat"
    made.now += 60
    hold: Any = made.until("the removal to be held", lambda: (store.value(beat) or {}).get("hold"))
    assert "no server would be left anywhere" in store.value(beat)["hold_sentence"]
    made.now += 3600
    made.run_pass()
    assert store.addresses("shop/cart") == ["10.0.0.1"]
    store.client.commit([], [Put(f"confirmations/{hold['id']}", b"{}")])
    made.until("the server to go", lambda: not store.addresses("shop/cart"))
    told = store.value(f"confirmations/{hold['id']}")
    assert told["services"] == {"shop/cart": 0}, (
        "so that no agent asks for a confirmation of its own"
    )
    made.now += 60
    made.until("the word", lambda: "hold" not in store.value(beat))
    # The confirmation stands for an hour; it was not for what comes after the server is back.
    cart(fake, "10.0.0.1")
    follow(made, store, "10.0.0.1")
    fake.put(endpoint_slice("cart-1", "cart", [], "shop", labels=PUBLISH))
    made.now += 60
    again: Any = made.until("a second hold", lambda: (store.value(beat) or {}).get("hold"))
    assert again["id"] == hold["id"]
    assert store.addresses("shop/cart") == ["10.0.0.1"]


def test_a_right_that_is_missing_concerns_only_who_needs_it(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    fake.users[ADMIN] = User(
        "weak", {(v, r) for v in ("list", "watch") for r in ("services", "endpointslices")}
    )
    cart(fake, "10.0.0.1")
    annotations = {**HOST, "lbsync.io/address-mode": "nodeport"}
    fake.put(service("np", "shop", labels=PUBLISH, annotations=annotations, type="NodePort"))
    made = driven()
    follow(made, store, "10.0.0.1")
    made.now += 16
    report = "publishers/default/reports/service/shop/np"
    made.until("the report", lambda: store.value(report))
    assert "nodes" in store.value(report)["refused"]
    assert made.publisher.healthy == ""
    fake.users[ADMIN] = User("admin")
    made.until("the Service", lambda: store.value("services/shop/np"))
    assert store.value(report) is None


def test_an_annotation_in_place_of_the_label_is_told_to_its_owner(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    noted = {"lbsync.io/publish": "true"}
    fake.put(service("noted", "shop", annotations=noted))
    fake.put(service("silent", "shop"))
    made = driven(events=True)
    report = "publishers/default/reports/service/shop/noted"

    def later() -> Any:
        made.now += 301  # looked for anew: one look may fail where the machine is busy
        return store.value(report)

    made.until("the report", later)
    assert 'write lbsync.io/publish: "true" as a label' in store.value(report)["warnings"][0]
    made.until("an event", lambda: fake.objects("Event"))
    (event,) = fake.objects("Event")
    assert event["involvedObject"]["name"] == "noted"
    assert store.present("services") == []
    watched = [seen for seen in fake.requests if "watch=true" in seen.target]
    assert all("labelSelector=" in seen.target for seen in watched if "/services" in seen.target)
    fake.put(service("noted", "shop"))
    made.until("the report to go", lambda: later() is None)
