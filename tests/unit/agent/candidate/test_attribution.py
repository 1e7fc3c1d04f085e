"""The culprit is found, and nobody innocent is held for long."""

from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from lbsync.agent.candidate import attribution
from lbsync.agent.candidate.line_tracing import traced
from lbsync.agent.desired.quarantine import Suspect
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.model.rendered import Rendered, RenderedFile
from lbsync.schema.keys import ServiceId
from tests.builders import a_shop, entries_of, servers

KEYS = [f"k{number}" for number in range(7)]
SERVICES = [ServiceId("a", f"s{number:03}") for number in range(100)]


def search(
    accepts: Callable[[set[ServiceId]], bool], most: int = 1000
) -> attribution.Bisection[ServiceId]:
    found = attribution.Bisection([SERVICES[:30], SERVICES[30:]], accepts)
    found.run(most)
    return found


@given(st.sets(st.sampled_from(SERVICES), min_size=1, max_size=5))
def test_exactly_the_culprits_are_held(culprits: set[ServiceId]) -> None:
    found = search(lambda quarantined: culprits <= quarantined)

    assert found.quarantined == found.proved == culprits
    assert found.trials <= 2 + 2 * 7 * len(culprits)


@given(st.sets(st.sampled_from(SERVICES), min_size=1, max_size=50), st.integers(0, 40))
def test_with_few_trials_no_culprit_goes_free(culprits: set[ServiceId], most: int) -> None:
    found = search(lambda quarantined: culprits <= quarantined, most)

    assert culprits <= found.quarantined
    assert found.proved <= culprits
    assert found.trials <= max(1, most)


def test_when_nobody_is_at_fault_nobody_is_held() -> None:
    assert search(lambda quarantined: False).quarantined == set()


def test_of_two_that_only_clash_together_the_later_one_is_held() -> None:
    def accepts(quarantined: set[ServiceId]) -> bool:
        return SERVICES[3] in quarantined or SERVICES[70] in quarantined

    assert search(accepts).quarantined == {SERVICES[70]}


@given(st.integers(0, 199), st.integers(1, 60))
def test_a_family_with_very_many_culprits_leaves_trials_for_the_others(at: int, good: int) -> None:
    bad = [f"evil/{number}" for number in range(200)]
    others = [f"n{number}/x" for number in range(good)]
    found = attribution.Bisection(
        [[*bad[:at], *others, *bad[at:]]],
        lambda quarantined: quarantined >= set(bad),
        lambda name: name.partition("/")[0],
    )
    found.run(40)

    assert found.quarantined == set(bad)


@example({0, 2, 7, 37, 77})
@given(st.sets(st.integers(0, 100), max_size=5))
def test_whoever_is_innocent_among_many_culprits_is_found_within_a_few_passes(
    innocent: set[int],
) -> None:
    suspects = [f"flat/{number}" for number in range(101)]
    bad = {name for at, name in enumerate(suspects) if at not in innocent}
    proved: set[str] = set()

    def accepts(quarantined: set[str]) -> bool:
        return quarantined | proved >= bad

    for _ in range(6):
        if accepts(set()):
            break
        found = attribution.Bisection(
            [[s for s in suspects if s not in proved]], accepts, lambda _: "flat"
        )
        found.run(40)
        proved |= found.proved
    assert proved == bad


LINES = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=30)


@given(st.dictionaries(st.sampled_from(KEYS), LINES, min_size=1), st.data())
def test_a_line_is_led_to_the_key_that_it_depends_on_and_to_no_other(
    texts: dict[str, list[str]], data: st.DataObject
) -> None:
    """Keys print lines; what several of them print tells nothing."""
    suspects = [Suspect("key", key) for key in KEYS]

    def render(quarantined: frozenset[Suspect]) -> Rendered:
        free = [key for key in sorted(texts) if Suspect("key", key) not in quarantined]
        lines = [line for key in free for line in texts[key]]
        return Rendered("", (RenderedFile("haproxy.cfg", "\n".join(lines).encode()),))

    whole = render(frozenset())
    lines = whole.files[0].data.decode().split("\n")
    number = data.draw(st.integers(1, len(lines)))
    makers = [key for key, mine in texts.items() if lines[number - 1] in mine]
    found = traced(whole, [Finding("haproxy.cfg", number, "", "no")], suspects, render)
    if len(makers) == 1 and lines.count(lines[number - 1]) == 1:
        assert list(found) == [Suspect("key", makers[0])]
    else:
        assert not found


def test_only_services_that_changed_are_suspects() -> None:
    accepted = dict(entries_of(a_shop()))
    changed = entries_of({"endpoints/shop/web/default": servers(9)})
    assert list(attribution.newest_changes({**accepted, **changed}, accepted)) == [
        ServiceId("shop", "web")
    ]
    assert attribution.newest_changes(accepted, accepted) == {}
    without = {name: entry for name, entry in accepted.items() if "shop/web" not in name}
    assert list(attribution.newest_changes(without, accepted)) == [ServiceId("shop", "web")]
