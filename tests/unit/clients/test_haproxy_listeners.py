"""The kernel's tables of sockets, word for word."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.haproxy import listeners

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:02BC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 0100007F:A1B2 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


def test_who_listens_is_read_with_address_and_port() -> None:
    assert list(listeners.parse(TCP.splitlines())) == [("127.0.0.1", 8080), ("*", 700)]
    assert list(listeners.parse(TCP6.splitlines())) == [("::", 22), ("::1", 631)]


@given(st.text())
def test_a_table_that_reads_otherwise_tells_nothing(text: str) -> None:
    assert list(listeners.parse(f"sl\n{text}".splitlines())) is not None
