"""Ids that come from names."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.desired.service_parts import server_ids

NAMES = st.sets(st.text(min_size=1), max_size=20)


@given(NAMES, NAMES)
def test_an_id_is_positive_and_its_own_and_no_other_server_changes_it(
    some: set[str], more: set[str]
) -> None:
    found = server_ids(some)
    assert len(set(found.values())) == len(some)
    assert all(0 < number < 1 << 31 for number in found.values())
    together = server_ids(some | more)
    assert {name: together[name] for name in some} == found
