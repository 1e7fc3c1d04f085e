"""How full etcd is, from its metrics."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.etcd import etcd_settings
from harness.ports import free_port
from lbsync.clients.etcd.usage import Usage, parse, usage, warnings

METRICS = """\
# TYPE etcd_server_quota_backend_bytes gauge
etcd_server_quota_backend_bytes 2.147483648e+09
etcd_mvcc_db_total_size_in_bytes 20480
etcd_debugging_mvcc_current_revision 71000
etcd_debugging_mvcc_compact_revision -1
"""


def test_the_figures_are_read() -> None:
    assert parse(METRICS) == Usage(20480, 2147483648, 71000, -1)


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        (Usage(20480, 2e9, 71000, 60000), ()),
        (Usage(20480, 2e9, 71000, -1), ("71000 revisions of history, which was never compacted",)),
        (Usage(1.3e9, 2e9, 71000, 70000), ("65% of its quota (1300 of 2000 MB)",)),
        (Usage(1.3e9, 0, 0, 0), ()),
        (Usage(2e9, 2e9, 9e9, 1), ("100% of its quota", "8999999999")),
    ],
)  # fmt: skip
def test_what_ends_in_a_full_etcd_is_told_before(found: Usage, parts: tuple[str, ...]) -> None:
    said = warnings("http://e:2379", found)
    assert len(said) == len(parts)
    assert all(part in sentence for part, sentence in zip(parts, said, strict=False))


@given(st.text(max_size=80) | st.from_regex(
    r"etcd_(mvcc_db_total_size_in_bytes|server_quota_backend_bytes) [-+.0-9e]{1,12}\n", fullmatch=True
))  # fmt: skip
def test_whatever_the_metrics_are_nothing_is_raised(text: str) -> None:
    warnings("http://e:2379", parse(text))


@pytest.mark.parametrize(
    "said",
    [
        b"\0\0\6\4\0\0\0\0\0\0\5\0\0\x40\0",  # HTTP/2, where nothing but gRPC is spoken
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"",
    ],
)
def test_a_member_that_shows_no_metrics_there_is_passed_over(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        assert usage(etcd_settings([f"http://127.0.0.1:{listening.getsockname()[1]}"])) == {}
        thread.join()
