"""Several publishers, one leader: what happens when it is killed, frozen, or told to go."""

import signal
from collections.abc import Callable

from harness.fake_kube import FakeKube
from harness.fake_kube.objects import PUBLISH, endpoint, endpoint_slice, service
from harness.publisher import PublisherProcess, Store
from harness.wait import wait_until

Make = Callable[..., PublisherProcess]
QUICK = {"lease_ttl": "2s", "batch": "10ms"}


def cart(fake: FakeKube, *addresses: str) -> None:
    """Put the Service shop/cart with ready pods at these addresses."""
    if fake.get("Service", "shop", "cart") is None:
        host = {"lbsync.io/hosts": "cart.example"}
        fake.put(service("cart", "shop", labels=PUBLISH, annotations=host))
    pods = [endpoint(address, pod=f"cart-{address[-1]}") for address in addresses]
    fake.put(endpoint_slice("cart-1", "cart", pods, "shop", labels=PUBLISH))


def wait_for(store: Store, *addresses: str) -> None:
    wait_until(
        f"{addresses} to be published",
        lambda: store.addresses("shop/cart") == list(addresses),
        timeout=60,
    )


def led_by(store: Store, process: PublisherProcess) -> None:
    wait_until(
        f"{process.identity} to lead", lambda: store.leader() == process.identity, timeout=20
    )


def test_a_leader_that_ends_hands_over_at_once_and_nothing_is_lost(
    fake: FakeKube, store: Store, publishers: Make
) -> None:
    cart(fake, "10.0.0.1")
    # So long a lease shows that nobody waited for it to run out.
    one, two = publishers(lease_ttl="60s"), publishers(lease_ttl="60s")
    one.start().wait_until_said("leads:")
    two.start().wait_until_said("stands by:")
    wait_for(store, "10.0.0.1")
    before = store.revisions("services", "endpoints")
    assert one.stop() == 0
    led_by(store, two)
    wait_until(
        "the successor to have compared everything",
        lambda: (store.value("publishers/default/heartbeat") or {}).get("identity") == two.identity,
    )
    assert store.revisions("services", "endpoints") == before, "the successor wrote nothing anew"
    cart(fake, "10.0.0.1", "10.0.0.2")
    wait_for(store, "10.0.0.1", "10.0.0.2")
    two.stop()
    assert store.present("services", "endpoints") == list(before), "what is published outlives all"
    assert store.present("publishers") == ["publishers/default/origin"]


def test_a_leader_that_was_killed_is_replaced(
    fake: FakeKube, store: Store, publishers: Make
) -> None:
    cart(fake, "10.0.0.1")
    one, two = publishers(**QUICK), publishers(**QUICK)
    one.start().wait_until_said("leads:")
    two.start().wait_until_said("stands by:")
    wait_for(store, "10.0.0.1")
    one.kill()
    cart(fake, "10.0.0.1", "10.0.0.2")
    wait_for(store, "10.0.0.1", "10.0.0.2")
    assert store.leader() == two.identity


def test_a_leader_that_was_frozen_writes_nothing_when_it_thaws(
    fake: FakeKube, store: Store, publishers: Make
) -> None:
    cart(fake, "10.0.0.1")
    one, two = publishers(**QUICK), publishers(**QUICK)
    one.start().wait_until_said("leads:")
    two.start().wait_until_said("stands by:")
    wait_for(store, "10.0.0.1")
    one.send(signal.SIGSTOP)
    cart(fake, "10.0.0.2")
    led_by(store, two)
    wait_for(store, "10.0.0.2")
    before = store.revisions("services", "endpoints")
    lines = len(one.log())
    one.send(signal.SIGCONT)
    wait_until(
        "the thawed one to see that it leads no more",
        lambda: any("lost the lead" in line["event"] for line in one.log()[lines:]),
        timeout=60,
    )
    wait_until(
        "it to wait its turn",
        lambda: any("waits: another" in x["event"] for x in one.log()[lines:]),
    )
    assert store.revisions("services", "endpoints") == before, "not one write after the thaw"
    two.kill()
    led_by(store, one)
    cart(fake, "10.0.0.2", "10.0.0.3")
    wait_for(store, "10.0.0.2", "10.0.0.3")


def test_two_clusters_publish_into_one_prefix(
    fake: FakeKube, store: Store, publishers: Make
) -> None:
    green = FakeKube().start()
    try:
        cart(fake, "10.0.0.1")
        cart(green, "10.9.0.1")
        for cluster in (fake, green):
            name = "blue" if cluster is fake else "green"
            cluster.put(
                service(
                    f"only-{name}",
                    "shop",
                    labels=PUBLISH,
                    annotations={"lbsync.io/hosts": f"{name}.example"},
                )
            )
        one = publishers(cluster="blue", **QUICK)
        two = publishers(of=green, cluster="green", **QUICK)
        one.start()
        wait_for(store, "10.0.0.1")
        two.start()
        wait_until(
            "the second cluster's servers",
            lambda: store.addresses("shop/cart", "default.green") == ["10.9.0.1"],
            timeout=60,
        )
        assert store.value("services/shop/cart")["source"] == "k8s/blue"
        assert (store.leader("blue"), store.leader("green")) == (one.identity, two.identity)
        fake.delete("Service", "shop", "cart")
        wait_until("the first one's servers to go", lambda: not store.addresses("shop/cart"))
        assert store.value("services/shop/cart")["source"] == "k8s/green"
        assert store.addresses("shop/cart", "default.green") == ["10.9.0.1"]
        assert "services/shop/only-blue" in store.present("services")
    finally:
        green.stop()
