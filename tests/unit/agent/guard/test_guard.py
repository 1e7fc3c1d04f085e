"""An emptied store does not empty the balancers."""

import pytest

from lbsync.agent.desired.assemble import Assembler, settings_of
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.keeping import EntryMerger
from lbsync.agent.guard.guard import Baseline, Guard, Hold
from lbsync.schema.keys import ServiceId
from tests.builders import a_shop, entries_of, servers


def check(
    accepted: Entries, wanted: Entries, percent: int, baseline: Baseline | None = None
) -> Hold | None:
    """What the guard says where `accepted` runs and `wanted` comes."""
    guard, assembler = Guard(percent, 600.0), Assembler()
    guard.window.runs(assembler.assemble(accepted, 0, ()).services, 0.0)
    wants = assembler.assemble(wanted, 0, ()).services
    guard.baseline = baseline
    return guard.check(wants, 1.0, lambda _service, _left: False)


def kept(wanted: Entries, accepted: Entries, hold: Hold) -> Entries:
    """What goes on while the removal is held."""
    return EntryMerger().merge(wanted, accepted, {ServiceId.parse(name) for name in hold.losses})


def test_an_emptied_prefix_is_held() -> None:
    accepted = entries_of(a_shop())
    hold = check(accepted, {}, 50)
    assert hold is not None
    assert (hold.lost, hold.total) == (5, 5)
    assert kept({}, accepted, hold) == dict(accepted)


def test_half_of_the_servers_may_go_but_not_more() -> None:
    values = {"services/a/b": {"mode": "http"}, "endpoints/a/b/default": servers(1, 2, 3, 4)}
    accepted = entries_of(values)
    half = entries_of({**values, "endpoints/a/b/default": servers(1, 2)})
    more = entries_of({**values, "endpoints/a/b/default": servers(1)})
    assert check(accepted, half, 50) is None
    assert check(accepted, more, 50) is not None


def test_new_addresses_for_as_many_servers_are_no_removal() -> None:
    values = {"services/a/b": {"mode": "http"}, "endpoints/a/b/default": servers(1, 2)}
    moved = {**values, "endpoints/a/b/default": servers(3, 4, address="10.9.9.9")}
    assert check(entries_of(values), entries_of(moved), 50) is None


def test_losing_the_services_keys_alone_is_losing_their_servers() -> None:
    accepted = entries_of(a_shop())
    orphans = {k: v for k, v in a_shop().items() if not k.startswith("services/")}
    hold = check(accepted, entries_of(orphans), 50)
    assert hold is not None
    assert hold.lost == 5


def test_a_first_start_has_nothing_to_hold() -> None:
    assert check({}, entries_of(a_shop()), 50) is None


def test_another_removal_has_another_id() -> None:
    accepted = entries_of(a_shop())
    cart_stays = {k: v for k, v in a_shop().items() if "cart" in k}
    first, second = check(accepted, {}, 50), check(accepted, entries_of(cart_stays), 50)
    assert first is not None
    assert second is not None
    assert first.id != second.id


def test_a_hundred_percent_switches_the_guard_off() -> None:
    assert check(entries_of(a_shop()), {}, 100) is None


def test_what_is_held_stays_held_however_many_servers_others_gain() -> None:
    accepted = entries_of(
        {
            "services/a/gone": {"mode": "http", "hosts": ["a"]},
            "endpoints/a/gone/default": servers(1, 2, 3),
            "services/b/stays": {"mode": "http", "hosts": ["b"]},
            "endpoints/b/stays/default": servers(*range(10, 20)),
        }
    )
    wanted = {name: entry for name, entry in accepted.items() if "gone" not in name}
    assert check(accepted, wanted, 50) is None
    hold = check(accepted, wanted, 50, Baseline(5))
    assert hold is not None
    assert set(hold.losses) == {"a/gone"}
    assert hold.total == 5
    assert check(accepted, accepted, 50, Baseline(5)) is None


def test_what_little_is_left_of_a_removal_that_was_taken_back_may_go() -> None:
    accepted = entries_of(a_shop())
    hold = check(accepted, {}, 50)
    assert hold is not None
    rest = {name: entry for name, entry in accepted.items() if "/db" not in name}
    assert check(accepted, rest, 50, Baseline(hold.total)) is None


def test_an_emptied_prefix_is_held_also_where_no_service_has_servers() -> None:
    accepted = entries_of({"services/a/red": {"mode": "http", "hosts": ["a"]}})
    hold = check(accepted, {}, 50)
    assert hold is not None
    assert "every service would go" in str(hold)
    assert kept({}, accepted, hold) == dict(accepted)


def test_a_mass_removal_keeps_services_without_servers_too() -> None:
    values = {**a_shop(), "services/shop/red": {"mode": "http", "hosts": ["red.example"]}}
    accepted = entries_of(values)
    hold = check(accepted, entries_of({"services/shop/web": values["services/shop/web"]}), 50)
    assert hold is not None
    assert "shop/red" in hold.losses


def test_servers_that_no_service_leads_to_are_no_part_of_the_measure() -> None:
    orphan = {"endpoints/old/left/main": servers(*range(1, 12))}
    before = {"services/a/b": {"mode": "http"}, "endpoints/a/b/main": servers(1, 2), **orphan}
    after = {**before, "endpoints/a/b/main": servers()}
    hold = check(entries_of(before), entries_of(after), 50)
    assert hold is not None
    assert (hold.lost, hold.total) == (2, 2)


@pytest.mark.parametrize(
    ("https", "ends_tls", "in_front", "is_held"),
    [
        ("disabled", True, False, True),
        ("disabled", True, True, True),
        ("disabled", False, False, False),  # there is no TLS to lose
        ("only", False, False, True),  # plain requests would be led to where nobody listens
        ("only", False, True, False),  # a balancer in front ends TLS
        ("only", True, False, False),  # what it is for
        ("mixed", True, False, False),
    ],
)
def test_settings_for_all_that_cut_most_services_off_are_held(
    https: str, ends_tls: bool, in_front: bool, is_held: bool
) -> None:
    accepted = entries_of(a_shop())
    wanted = entries_of({**a_shop(), "settings/global": {"https": https}})
    guard, assembler = Guard(50, 600.0), Assembler()
    guard.tls_in_front = in_front
    guard.window.runs(assembler.assemble(accepted, 0, ()).services, 0.0)
    desired = assembler.assemble(wanted, 0, ())
    assert guard.check(desired.services, 1.0, lambda _service, _left: False) is None
    hold = guard.cut_off(None, desired, settings_of(accepted), ends_tls=ends_tls)
    assert (hold is not None) == is_held
    if hold is not None:
        assert str(hold).startswith("by settings/global 4 of 5 servers would go at once")
        stays = EntryMerger().merge(wanted, accepted, set(), settings=True)
        assert stays.keys() == accepted.keys()
        assert guard.cut_off(None, desired, settings_of(wanted), ends_tls=ends_tls) is None
        removal = check(accepted, {}, 50)
        both = guard.cut_off(removal, desired, settings_of(accepted), ends_tls=ends_tls)
        assert both is not None
        assert removal is not None
        assert both.losses.keys() >= removal.losses.keys()
        assert both.removed == removal.removed
