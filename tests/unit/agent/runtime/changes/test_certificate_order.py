"""Which of several certificates answers, against a model of HAProxy's table of names."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.runtime.changes.certificate_order import misplaced, names, shared

PATHS = [f"{letter}.pem" for letter in "abcdef"]
NAMES = st.frozensets(st.sampled_from(["x", "y", "z", "*.x"]), max_size=3)


@given(
    st.permutations(PATHS),
    st.permutations(PATHS),
    st.lists(NAMES, min_size=len(PATHS), max_size=len(PATHS)),
    st.lists(st.sampled_from(PATHS), max_size=3),
)
def test_after_what_is_loaded_again_the_first_in_the_list_answers_for_each_name(
    wanted: list[str], loaded: list[str], of_each: list[frozenset[str]], renewed: list[str]
) -> None:
    having = dict(zip(wanted, of_each, strict=True))
    table = [*loaded, *renewed]
    table += misplaced(having, table)
    for name, paths in shared(having).items():
        places = [len(table) - table[::-1].index(path) for path in paths]
        assert places == sorted(places), name


def test_what_is_in_its_place_stays_and_what_is_known_to_be_wrong_goes() -> None:
    having = {"a": {"x"}, "b": {"x", "y"}, "c": {"y"}, "d": {"z"}}
    assert misplaced(having, ["d", "a", "b", "c"]) == []
    assert misplaced(having, ["a", "b", "c", "d"], {"b"}) == ["b", "c"]


def test_the_names_of_a_line_go_before_those_of_its_certificate() -> None:
    assert names("a.pem [alpn h2] B.test !c.b.test", b"") == {"b.test", "!c.b.test"}
    assert names("a.pem [alpn h2 ocsp-update on]", b"no certificate") == frozenset()
