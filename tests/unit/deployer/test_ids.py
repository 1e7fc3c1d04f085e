"""Ids of deployments: they sort as deployments were begun."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.deployer.ledger import new_id
from lbsync.schema.deploying import is_id

MOMENTS = st.floats(0, 4e9, allow_nan=False)


@given(MOMENTS, st.floats(0.001, 10))
def test_what_began_a_millisecond_later_sorts_later(at: float, later: float) -> None:
    assert is_id(new_id(at))
    assert new_id(at) < new_id(at + later)
