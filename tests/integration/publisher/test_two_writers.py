"""Two clusters publish one service, and one writes between the other's look and its commit.

No threads: a cluster looks, the other one writes, and then the first one commits what it had decided on.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from harness.etcd import Etcd, etcd_settings, open_etcd
from harness.fake_kube import FakeKube
from harness.fake_kube import objects as kube
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.kube import SERVICES
from lbsync.clients.kube import Change as KubeChange
from lbsync.clients.source import Delete, Expect, Guard, Put, Source
from lbsync.errors import Exit
from lbsync.publisher.cluster.work_queue import WorkQueue
from lbsync.publisher.commit import RACE_S, Committer, LostLead, Written
from lbsync.publisher.service_changes import ServiceChanges
from lbsync.publisher.store.diff import Identity
from tests.driven import Driven
from tests.fakes import FakeSource
from tests.kube_objects import endpoint, service, slice_
from tests.publishing import EVERYTHING, ME, OTHER, Bench

SERVICE = "services/shop/cart"
DEFAULT = "endpoints/shop/cart/default"
SECOND = "endpoints/shop/cart/default.green"
HOSTS = {"lbsync.io/hosts": "cart.example"}
ROUTE = "routes/shop/cart"
numbers = itertools.count(1)


@pytest.fixture(params=["fake", "etcd"])
def store(request: pytest.FixtureRequest) -> Iterator[Source]:
    made: Source = FakeSource()
    if request.param == "etcd":
        etcd: Etcd = request.getfixturevalue("etcd")
        made = open_etcd(etcd.urls, f"/writers{next(numbers)}/")
    yield made
    made.close()


class Cluster:
    """A cluster whose look and commit are two steps."""

    def __init__(self, me: Identity, store: Source, address: str) -> None:
        self.bench = Bench(me=me, store=store)
        self.store = store
        self.address = address
        self.decided: list[ServiceChanges] = []
        self.leader = f"publishers/{me.cluster}/leader"
        store.commit([], [Delete(self.leader)])
        created = store.commit([], [Put(self.leader, b"{}")])
        self.fence = Expect(self.leader, create_revision=created)
        self.now = 0.0
        self.queue = WorkQueue()
        self.committer = Committer(
            store, lambda: self.fence, self._fenced, self._wrote, lambda: self.now
        )

    def create(self, host: str = "cart.example") -> None:
        """Create the Service, or give it another host."""
        made = service(annotations={"lbsync.io/hosts": host})
        self.bench.objects.put(made, slice_(endpoint(self.address, "cart-1")))

    def delete(self) -> None:
        """Delete the Service."""
        gone = self.bench.objects.get(SERVICES, "shop", "cart")
        if gone is not None:
            self.bench.objects.drop(gone)
            self.queue.note(KubeChange("Service", "shop", "cart", gone, None))

    def look(self) -> None:
        """Decide what is to be written."""
        work = self.queue.take()
        self.decided = self.bench.look(msgspec.structs.replace(EVERYTHING, deleted=work.deleted))

    def commit(self) -> Written:
        """Write what was decided on."""
        written = self.committer.write(self.decided)
        self.decided = []
        self.bench.sync.done(written.done, self.bench.stored)
        return written

    def publish(self) -> Written:
        """Look, and write at once."""
        self.look()
        return self.commit()

    def _fenced(self) -> bool:
        found = self.store.get(self.leader)
        return found is None or found.create_revision != self.fence.create_revision

    def _wrote(self, revision: int, changes: Any) -> None:
        self.bench.stored.wrote(revision, [(change.key, change.after) for change in changes])


class Pair:
    """Two clusters over one store."""

    def __init__(self, store: Source) -> None:
        self.store = store
        self.blue = Cluster(ME, store, "10.0.0.1")
        self.green = Cluster(OTHER, store, "10.9.0.1")

    def source(self) -> str | None:
        found = self.blue.bench.value(SERVICE)
        return found["source"] if found else None

    def stored(self) -> list[str]:
        return self.blue.bench.stored_keys("services", "endpoints")

    def settle(self) -> None:
        for _ in range(3):
            assert not self.blue.publish().raced
            assert not self.green.publish().raced


@pytest.fixture
def pair(store: Source) -> Pair:
    return Pair(store)


def test_a_service_that_goes_as_the_other_clusters_servers_come_passes_to_that(pair: Pair) -> None:
    """Not for a moment is there no services key: every host would answer 404."""
    pair.blue.create()
    pair.blue.publish()
    pair.blue.delete()
    pair.blue.look()
    pair.green.create()
    pair.green.publish()
    assert pair.stored() == [DEFAULT, SECOND, SERVICE]
    written = pair.blue.commit()
    assert written.raced == ["shop/cart"]
    assert written.failed == {}
    assert pair.stored() == [DEFAULT, SECOND, SERVICE], "nothing was written on an old look"
    assert pair.blue.publish().raced == []
    assert pair.stored() == [SECOND, SERVICE]
    assert pair.source() == "k8s/green"


def test_servers_that_come_as_the_service_goes_bring_it_anew(pair: Pair) -> None:
    pair.blue.create()
    pair.blue.publish()
    pair.green.create()
    pair.green.look()
    pair.blue.delete()
    assert pair.blue.publish().raced == []
    assert pair.stored() == []
    assert pair.green.commit().raced == ["shop/cart"]
    assert pair.stored() == [], "no servers without a services key that leads to them"
    pair.green.publish()
    assert pair.stored() == [DEFAULT, SERVICE]
    assert pair.source() == "k8s/green"


def test_servers_do_not_come_into_a_service_that_has_other_hosts_meanwhile(pair: Pair) -> None:
    pair.blue.create()
    pair.blue.publish()
    pair.green.create()
    pair.green.look()
    pair.blue.create("shop.example")
    pair.blue.publish()
    assert pair.green.commit().raced == ["shop/cart"]
    pair.green.publish()
    assert pair.stored() == [DEFAULT, SERVICE]
    assert "other fields" in pair.green.bench.sync.states["shop/cart"].conflicts[0]


def test_created_in_both_at_once_it_is_the_first_ones_and_has_the_servers_of_both(
    pair: Pair,
) -> None:
    for cluster in (pair.blue, pair.green):
        cluster.create()
        cluster.look()
    assert pair.blue.commit().raced == []
    assert pair.green.commit().raced == ["shop/cart"]
    pair.settle()
    assert pair.stored() == [DEFAULT, SECOND, SERVICE]
    assert pair.source() == "k8s/blue"


@pytest.mark.parametrize("first", ["blue", "green"])
def test_deleted_in_both_at_once_nothing_stays(pair: Pair, first: str) -> None:
    """Nor is it handed over to one that is about to go."""
    for cluster in (pair.blue, pair.green):
        cluster.create()
        cluster.publish()
    for cluster in (pair.blue, pair.green):
        cluster.delete()
        cluster.look()
    one, two = (pair.blue, pair.green) if first == "blue" else (pair.green, pair.blue)
    assert one.commit().raced == []
    assert two.commit().raced == ["shop/cart"]
    two.publish()
    assert pair.stored() == []


def test_it_passes_to_none_whose_servers_are_another_ones_now(pair: Pair) -> None:
    """Somebody took the group over by hand, so that nobody would look after the service."""
    for cluster in (pair.blue, pair.green):
        cluster.create()
        cluster.publish()
    pair.blue.delete()
    pair.blue.look()
    pair.store.commit([], [Put(SECOND, b'{"servers": []}')])
    assert pair.blue.commit().raced == ["shop/cart"]
    pair.blue.publish()
    assert pair.stored() == [SECOND]


def test_a_group_that_a_route_names_meanwhile_is_kept(pair: Pair) -> None:
    """Without it the route would be refused, or send its share to another group."""
    pair.blue.create()
    pair.blue.publish()
    extra = "endpoints/shop/cart/old"
    pair.store.commit([], [Put(extra, b'{"servers": [], "source": "k8s/blue"}')])
    pair.blue.look()
    pair.store.commit([], [Put(ROUTE, b'{"groups": {"default": 1, "old": 0}}')])
    assert pair.blue.commit().raced == ["shop/cart"]
    pair.blue.publish()
    assert extra in pair.stored()


def test_a_new_leader_of_one_cluster_in_between_ends_the_old_ones_write(pair: Pair) -> None:
    pair.blue.create()
    pair.blue.publish()
    pair.blue.delete()
    pair.blue.look()
    successor = Cluster(ME, pair.store, "10.0.0.1")
    pair.green.create()
    pair.green.publish()
    with pytest.raises(LostLead):
        pair.blue.commit()
    assert pair.stored() == [DEFAULT, SECOND, SERVICE]
    successor.create()
    successor.publish()
    successor.delete()
    successor.publish()
    assert pair.stored() == [SECOND, SERVICE]
    assert pair.source() == "k8s/green"


def test_what_is_not_looked_at_newly_is_told_as_a_fault_after_a_while(pair: Pair) -> None:
    """A store whose news do not come would else be hidden for ever."""
    pair.blue.create()
    pair.blue.look()
    stale = pair.blue.decided
    pair.store.commit([], [Put(SERVICE, b'{"mode": "http"}')])
    for _ in range(2):
        pair.blue.decided = stale
        assert pair.blue.commit().raced == ["shop/cart"]
    pair.blue.now += RACE_S
    pair.blue.decided = stale
    assert SERVICE in pair.blue.commit().failed["shop/cart"]
    pair.blue.commit()
    pair.blue.decided = stale
    assert pair.blue.commit().raced == ["shop/cart"], "another time it is another race"


class Interrupted(EtcdSource):
    """An etcd in which somebody else writes right before a transaction."""

    meanwhile: Callable[[Sequence[Put | Delete]], None] = staticmethod(lambda ops: None)

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        """Let the other one write, then do it."""
        self.meanwhile(ops)
        return super().commit(expect, ops)


def test_a_lost_race_is_looked_at_again_and_is_no_error(
    fake: FakeKube, etcd: Etcd, driven: Callable[..., Driven]
) -> None:
    """A whole publisher; the other cluster is played."""
    prefix = f"/writers{next(numbers)}/"
    others = open_etcd(etcd.urls, prefix)
    fake.put(kube.service("cart", "shop", labels=kube.PUBLISH, annotations=HOSTS))
    pod = kube.endpoint("10.0.0.1", pod="cart-1")
    fake.put(kube.endpoint_slice("cart-1", "cart", [pod], "shop", labels=kube.PUBLISH))
    source = Interrupted(etcd_settings(etcd.urls), prefix)
    blue = driven(cluster="blue", source=source)
    assert blue.settle().error == ""
    led: list[bool] = []

    def meanwhile(ops: Sequence[Put | Delete]) -> None:
        if any(op.key == SERVICE for op in ops):
            if not led:
                others.commit([], [Put(SECOND, b'{"servers": [], "source": "k8s/green"}')])
            led.append(others.get(SERVICE) is not None)

    source.meanwhile = meanwhile
    before = len(blue.outcomes)
    fake.delete("Service", "shop", "cart")
    blue.until("the group to go", lambda: others.get(DEFAULT) is None)
    blue.settle()
    outcomes = blue.outcomes[before:]
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    raced = [outcome for outcome in outcomes if not outcome.confirmed]
    assert "shop/cart changed by somebody else meanwhile, looked at again" in raced[0].sentence
    assert all(outcome.retry and outcome.exit_code is Exit.CONFLICT for outcome in raced)
    assert len(led) > 1
    assert all(led)
    assert others.snapshot().items.keys() >= {SECOND, SERVICE}
    assert b"k8s/green" in others.snapshot().items[SERVICE].value
    others.close()


ACTS: dict[str, Callable[[Cluster], None]] = {
    "creates": Cluster.create,
    "changes": lambda cluster: cluster.create("shop.example"),
    "deletes": Cluster.delete,
}
ORDERS = sorted(set(itertools.permutations(("blue", "blue", "green", "green"))))


@pytest.mark.parametrize("before", [(), ("blue",), ("green",), ("blue", "green")])
def test_in_whatever_order_two_look_and_write_no_servers_are_left_without_a_service(
    before: tuple[str, ...],
) -> None:
    """Each of the two does one thing; first it looks, the next time it commits."""
    for blue, green, order in itertools.product(ACTS, ACTS, ORDERS):
        case = (blue, green, order)
        pair = Pair(FakeSource())
        clusters = {"blue": pair.blue, "green": pair.green}
        for name in before:
            clusters[name].create()
            clusters[name].publish()
        ACTS[blue](pair.blue)
        ACTS[green](pair.green)
        steps = {name: iter((cluster.look, cluster.commit)) for name, cluster in clusters.items()}
        for name in order:
            next(steps[name])()
            assert SERVICE in pair.stored() or pair.stored() == [], case
        pair.settle()
        there = [
            me.source
            for me, one in ((ME, pair.blue), (OTHER, pair.green))
            if one.bench.objects.get(SERVICES, "shop", "cart")
        ]
        assert (pair.source() in there) == bool(there), case
        assert (pair.stored() == []) == (there == []), case
