"""A rendered set becomes what a real HAProxy serves, or everything stays as it was."""

import pytest

from lbsync.errors import ApplyFailed
from tests.haproxy_bench import Bench, main_text

pytestmark = pytest.mark.filterwarnings("error")


def test_a_good_generation_is_live_reloaded_proved_and_recorded(served: Bench) -> None:
    two = served.rendered("two", servers="    server spare 127.0.0.1:9 weight 3 disabled")
    applied = served.apply(two)
    assert applied.outcome == "confirmed"
    assert applied.mismatches == ()
    assert two.digest in served.description()
    assert served.get() == "web"
    live, confirmed = served.store.live(), served.store.confirmed()
    assert live is not None and confirmed is not None
    assert live.digest == confirmed.digest == two.digest
    assert confirmed.meta.confirmed_at is not None
    assert served.live_text() == main_text(two)
