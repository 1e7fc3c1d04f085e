"""The culprit is found, and nobody innocent is held for long."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent import blame
from lbsync.schema.keys import ServiceId
from tests.builders import a_shop, entries_of, servers

SERVICES = [ServiceId("a", f"s{number:03}") for number in range(100)]


@given(st.sets(st.sampled_from(SERVICES), max_size=5))
def test_bisecting_holds_exactly_the_culprits(culprits: set[ServiceId]) -> None:
    checks = 0

    def accepts(held: set[ServiceId]) -> bool:
        nonlocal checks
        checks += 1
        return culprits <= held

    assert blame.bisect(SERVICES, accepts) == culprits
    assert checks <= 2 + 2 * 7 * max(1, len(culprits))


def test_when_nobody_is_at_fault_nobody_is_held() -> None:
    assert blame.bisect(SERVICES, lambda held: False) == set()


def test_of_two_that_only_clash_together_one_is_held() -> None:
    def accepts(held: set[ServiceId]) -> bool:
        return SERVICES[3] in held or SERVICES[70] in held

    held = blame.bisect(SERVICES, accepts)
    assert len(held) == 1
    assert accepts(held)


def test_only_services_that_changed_are_suspects() -> None:
    accepted = dict(entries_of(a_shop()))
    changed = entries_of({"endpoints/shop/web/default": servers(9)})
    assert blame.changed_services({**accepted, **changed}, accepted) == [ServiceId("shop", "web")]
    assert blame.changed_services(accepted, accepted) == []
