"""The brake: a removal of many servers waits, everything else does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.model.records import ConfirmationRecord
from lbsync.publisher.removal_guard import (
    GuardContext,
    Limits,
    Loss,
    Records,
    RemovalGuard,
    count,
    kept,
)
from lbsync.schema.confirming import Confirmations
from tests.publishing import LIMITS, endpoints, service_record


def test_more_than_half_of_a_service_is_held_and_goes_when_its_time_is_up() -> None:
    brake = RemovalGuard(LIMITS)
    losses = {"shop/cart": Loss(4, 1)}
    assert "3 of 4 servers" in brake.decide(losses, 100, now=0.0)["shop/cart"]
    assert brake.due(1.0) == 29.0
    assert brake.decide(losses, 100, now=29.9)
    assert brake.decide(losses, 100, now=30.0) == {}
    assert brake.due(30.0) is None


def test_half_of_a_service_goes_at_once() -> None:
    assert RemovalGuard(LIMITS).decide({"shop/cart": Loss(4, 2)}, 100, 0.0) == {}


def test_what_went_through_is_forgotten_and_the_next_removal_held_anew() -> None:
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/cart": Loss(4, 1)}, 100, 0.0)
    brake.decide({"shop/cart": Loss(4, 1)}, 100, 31.0)
    assert brake.waiting == {"shop/cart"}, "so that the next pass sees it done"
    brake.decide({"shop/cart": Loss(1, 1)}, 100, 31.1)
    assert brake.waiting == frozenset()
    assert brake.decide({"shop/cart": Loss(1, 0)}, 100, 32.0)


def test_servers_that_come_back_end_the_hold() -> None:
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/cart": Loss(4, 0)}, 100, 0.0)
    assert brake.decide({"shop/cart": Loss(4, 4)}, 100, 5.0) == {}
    assert brake.waiting == frozenset()


def test_a_little_of_many_services_is_held_together() -> None:
    losses = {"shop/a": Loss(10, 7), "shop/b": Loss(10, 7)}
    assert set(RemovalGuard(LIMITS).decide(losses, 20, 0.0)) == {"shop/a", "shop/b"}
    assert RemovalGuard(LIMITS).decide(losses, 40, 0.0) == {}


def test_a_single_service_is_judged_by_its_own_limit_only() -> None:
    assert RemovalGuard(LIMITS).decide({"shop/only": Loss(4, 3)}, 4, 0.0) == {}


def test_a_service_that_is_gone_is_held_only_among_many() -> None:
    assert RemovalGuard(LIMITS).decide({"shop/a": Loss(5, 0, gone=True)}, 5, 0.0) == {}
    many = {"shop/a": Loss(5, 0, gone=True), "shop/b": Loss(5, 0, gone=True)}
    assert set(RemovalGuard(LIMITS).decide(many, 20, 0.0)) == {"shop/a", "shop/b"}


def test_a_service_that_was_seen_to_be_deleted_is_never_held() -> None:
    many = {f"shop/{n}": Loss(5, 0, gone=True, meant=True) for n in range(4)}
    assert RemovalGuard(LIMITS).decide(many, 20, 0.0) == {}


def test_deleting_the_service_ends_its_hold() -> None:
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/cart": Loss(4, 1)}, 100, 0.0)
    assert brake.decide({"shop/cart": Loss(4, 0, gone=True, meant=True)}, 100, 1.0) == {}


@pytest.mark.parametrize(
    "losses",
    [
        {"shop/a": Loss(5, 0)},
        {"shop/a": Loss(2, 0, gone=True), "shop/b": Loss(3, 0, gone=True)},
        {"shop/a": Loss(1, 0), "shop/b": Loss(4, 0)},
    ],
)
def test_what_would_leave_nothing_anywhere_is_held_until_it_is_confirmed(
    losses: dict[str, Loss],
) -> None:
    brake = RemovalGuard(LIMITS)
    for now in (0.0, 31.0, 10_000.0):
        held = brake.decide(losses, 5, now)
        assert set(held) == set(losses)
        assert "no server would be left anywhere" in held["shop/a"]
    assert brake.due(10_000.0) is None
    assert brake.hold is not None
    other = confirmed("0123456789ab")
    assert brake.decide(losses, 5, 10_001.0, GuardContext(confirmed=other))
    named = confirmed(brake.hold.id)
    assert brake.decide(losses, 5, 10_002.0, GuardContext(confirmed=named)) == {}
    assert set(brake.confirmed) == set(losses)


def test_a_confirmation_holds_for_what_was_held_when_it_was_given() -> None:
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/a": Loss(4, 1)}, 100, 0.0)
    assert brake.hold is not None
    given_ = GuardContext(confirmed=confirmed(brake.hold.id))
    more = {"shop/a": Loss(4, 1), "shop/b": Loss(9, 0)}
    assert set(brake.decide(more, 100, 1.0, given_)) == {"shop/a", "shop/b"}
    fewer = {"shop/a": Loss(4, 0)}
    assert set(brake.decide(fewer, 100, 2.0, given_)) == {"shop/a"}


def test_a_removal_that_was_named_beforehand_is_not_held() -> None:
    said = Confirmations({"x": (7, ConfirmationRecord(services={"shop/a": 1}))})
    around = GuardContext(confirmed=said)
    assert RemovalGuard(LIMITS).decide({"shop/a": loss_of_a(4, 1)}, 100, 0.0, around) == {}
    assert RemovalGuard(LIMITS).decide({"shop/a": loss_of_a(4, 0)}, 100, 0.0, around)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("named", [{}, {"shop/a": 1}])
def test_a_removal_that_was_confirmed_and_taken_back_is_held_the_next_time(
    named: dict[str, int], restarted: bool
) -> None:
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/a": Loss(4, 1, revision=5)}, 100, 0.0)
    assert brake.hold is not None
    hold_id = brake.hold.id
    said = GuardContext(confirmed=confirmed(hold_id, 7, named))
    assert brake.decide({"shop/a": Loss(4, 1, revision=5)}, 100, 1.0, said) == {}
    # With the removal at 8 the publisher tells the agents, under the same key.
    said = GuardContext(confirmed=confirmed(hold_id, 8, {"shop/a": 1}))
    assert brake.decide({"shop/a": Loss(1, 1, revision=8)}, 100, 2.0, said) == {}
    assert brake.decide({"shop/a": Loss(1, 4, revision=8)}, 100, 3.0, said) == {}
    if restarted:
        brake = RemovalGuard(LIMITS)
    again = {"shop/a": Loss(4, 1, revision=9)}
    assert set(brake.decide(again, 100, 4.0, said)) == {"shop/a"}
    assert brake.hold is not None
    assert brake.hold.id == hold_id
    said = GuardContext(confirmed=confirmed(hold_id, 10, {"shop/a": 1}))
    assert brake.decide(again, 100, 5.0, said) == {}


@pytest.mark.parametrize("named", [{}, {"shop/a": 1}])
def test_pods_that_roll_while_a_removal_is_held_do_not_use_up_its_confirmation(
    named: dict[str, int],
) -> None:
    """New servers come in meanwhile: their key may be written just after the confirmation was."""
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/a": Loss(4, 1, revision=5)}, 100, 0.0)
    brake.decide({"shop/a": Loss(5, 1, revision=6)}, 100, 1.0)
    assert brake.hold is not None
    said = GuardContext(confirmed=confirmed(brake.hold.id, 7, named))
    assert brake.decide({"shop/a": Loss(6, 1, revision=8)}, 100, 2.0, said) == {}


def test_a_pod_that_is_ready_for_a_moment_does_not_use_up_a_confirmation_on_its_way_down() -> None:
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/a": loss_of_a(4, 0, revision=5)}, 4, 0.0)
    assert brake.hold is not None
    said = GuardContext(confirmed=confirmed(brake.hold.id, 7, {"shop/a": 0}))
    assert brake.decide({"shop/a": loss_of_a(4, 1, revision=5)}, 4, 1.0, said) == {}
    assert brake.decide({"shop/a": loss_of_a(1, 1, revision=8)}, 1, 2.0, said) == {}
    assert brake.decide({"shop/a": loss_of_a(1, 0, revision=8)}, 1, 3.0, said) == {}
    assert brake.decide({"shop/a": loss_of_a(0, 0, revision=9)}, 0, 4.0, said) == {}
    assert brake.decide({"shop/a": loss_of_a(0, 1, revision=9)}, 0, 5.0, said) == {}
    assert brake.decide({"shop/a": loss_of_a(1, 0, revision=10)}, 1, 6.0, said), "it was back"


def test_a_server_that_comes_back_on_the_way_down_uses_a_confirmation_up() -> None:
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/a": loss_of_a(8, 0, revision=5)}, 100, 0.0)
    assert brake.hold is not None
    said = GuardContext(confirmed=confirmed(brake.hold.id, 7, {"shop/a": 0}))
    assert brake.decide({"shop/a": loss_of_a(8, 2, revision=5)}, 100, 1.0, said) == {}
    assert brake.decide({"shop/a": loss_of_a(2, 2, revision=8)}, 100, 1.5, said) == {}
    assert brake.decide({"shop/a": loss_of_a(2, 1, revision=8)}, 100, 2.0, said) == {}
    assert brake.decide({"shop/a": loss_of_a(1, 2, revision=9)}, 100, 3.0, said) == {}
    assert brake.decide({"shop/a": loss_of_a(2, 0, revision=10)}, 100, 4.0, said)


def test_a_hold_from_before_etcd_was_restored_can_be_confirmed() -> None:
    """Revisions are lower from then on."""
    brake = RemovalGuard(LIMITS)
    brake.decide({"shop/a": Loss(4, 1, revision=5000)}, 100, 0.0)
    brake.decide({"shop/a": Loss(4, 1, revision=30)}, 100, 1.0)
    assert brake.hold is not None
    said = GuardContext(confirmed=confirmed(brake.hold.id, 31))
    assert brake.decide({"shop/a": Loss(4, 1, revision=30)}, 100, 2.0, said) == {}


def test_while_no_node_is_ready_nothing_goes_however_slowly() -> None:
    brake = RemovalGuard(LIMITS)
    blind = GuardContext(nodes_lost=True)
    little = {"shop/a": Loss(10, 9)}
    assert "no node of the cluster is ready" in brake.decide(little, 100, 0.0, blind)["shop/a"]
    assert brake.decide(little, 100, 1000.0, blind)
    # A node is back: what is missing may be on its way, and has its time from here on.
    assert brake.decide(little, 100, 1001.0)
    assert brake.due(1001.0) == 30.0
    assert brake.decide(little, 100, 1031.5) == {}


def test_many_held_removals_are_one_sentence() -> None:
    brake = RemovalGuard(LIMITS)
    brake.decide({f"shop/s{n:04}": Loss(2, 0) for n in range(2000)}, 5000, 0.0)
    assert str(brake.hold).startswith(
        "4000 of 5000 servers would go at once (shop/s0000, shop/s0001, shop/s0002 and 1997 more services)"
    )


def confirmed(
    name: str, revision: int = 1, services: dict[str, int] | None = None
) -> Confirmations:
    return Confirmations({name: (revision, ConfirmationRecord(services or {}))})


def loss_of_a(before: int, after: int, revision: int = 0) -> Loss:
    """Of the Service shop/a, which is one service of the store."""
    return Loss(before, after, revision=revision, left={"shop/a": after})


def test_a_hundred_percent_switches_it_off() -> None:
    off = Limits(service_percent=100, total_percent=100, seconds=30.0)
    losses = {"shop/a": Loss(10, 0), "shop/b": Loss(10, 0)}
    assert RemovalGuard(off).decide(losses, 20, 0.0) == {}


def test_a_held_service_gets_its_new_servers_and_keeps_the_old() -> None:
    key = "endpoints/shop/cart/default"
    found = kept({key: endpoints(["10.0.0.1", "10.0.0.2"])}, {key: endpoints(["10.0.0.3"])})
    assert found == {key: endpoints(["10.0.0.1", "10.0.0.2", "10.0.0.3"])}


def test_a_held_service_keeps_groups_that_would_go() -> None:
    before: Records = {
        "endpoints/shop/cart/old": endpoints(["10.0.0.1"]),
        "services/shop/cart": service_record("a.example"),
    }
    wanted: Records = {"services/shop/cart": service_record("b.example")}
    found = kept(before, wanted)
    assert found == {**before, **wanted}


def test_servers_that_drain_had_gone_before() -> None:
    key = "endpoints/shop/cart/default"
    assert count({key: endpoints(["10.0.0.1"], state="drain")}) == 0
    assert count({key: endpoints(["10.0.0.1"], weight=0)}) == 0


def test_a_server_in_two_records_of_a_service_is_one() -> None:
    found = {f"endpoints/shop/{n}/default": endpoints(["10.0.0.1"]) for n in ("cart", "cart.2")}
    assert count(found) == 1


losses = st.dictionaries(
    st.sampled_from([f"shop/{n}" for n in "abcdef"]),
    st.builds(
        Loss, st.integers(0, 20), st.integers(0, 20), gone=st.booleans(), meant=st.booleans()
    ),
)


@given(st.lists(st.tuples(losses, st.integers(0, 40)), max_size=12))
def test_nothing_is_held_that_was_meant_or_longer_than_said(
    steps: list[tuple[dict[str, Loss], int]],
) -> None:
    brake = RemovalGuard(LIMITS)
    now = 0.0
    since: dict[str, float] = {}
    for found, passed in steps:
        now += passed
        held = brake.decide(found, 100, now)
        for name, loss in found.items():
            if not loss.lost or loss.meant:
                assert name not in held
                since.pop(name, None)
        for name in held:
            assert now < since.setdefault(name, now) + LIMITS.seconds
