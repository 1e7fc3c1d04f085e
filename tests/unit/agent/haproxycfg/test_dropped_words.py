"""Words that a newer release of HAProxy refuses are told before the upgrade."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.haproxycfg.dropped_words import sentences

TEXT = r"""global
    master-worker
defaults
    option accept-invalid-http-request
frontend web
    bind :80
backend web
    option httpchk GET / HTTP/1.1\r\nHost:\ x
    # dispatch 10.0.0.2:80
    dispatch 10.0.0.1:80
listen all
    bind :81
    option   transparent
    option httpchk GET /x
    server dispatch 10.0.0.1:80
"""
TOLD = [
    "haproxy.cfg:2 (global): 'master-worker' is refused by HAProxy 3.5: start HAProxy with -W or -Ws",
    "haproxy.cfg:4 (defaults): 'option accept-invalid-http-request' is deprecated in HAProxy 3.2: "
    "from 3.1 on write 'option accept-unsafe-violations-in-http-request'",
    "haproxy.cfg:8 (web): headers in 'option httpchk' are refused by HAProxy 2.8: write 'http-check send hdr …'",
    "haproxy.cfg:10 (web): 'dispatch' is refused by HAProxy 3.5: write a 'server' line",
    "haproxy.cfg:13 (all): 'option transparent' is refused by HAProxy 3.5: write a server at 0.0.0.0",
    "haproxy.cfg:5 (web): a backend has the name of this frontend, too, which HAProxy 3.3 refuses: "
    "rename one of them",
]


@pytest.mark.parametrize(
    ("version", "left"),
    [((2, 6), [0, 1, 2, 3, 4, 5]), ((3, 0), [0, 1, 3, 4, 5]), ((3, 2), [0, 3, 4]), ((3, 4), [])],
)
def test_each_is_told_until_haproxy_tells_it_itself(
    version: tuple[int, int], left: list[int]
) -> None:
    assert list(sentences(Parser().parse(TEXT), version)) == [TOLD[number] for number in left]


@given(st.text())
def test_no_text_is_a_fault(text: str) -> None:
    assert all(sentences(Parser().parse(text), (2, 6)))
