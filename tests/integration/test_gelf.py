"""The log on its way to Graylog: whole, in order, and in nobody's way when Graylog is not there."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from harness.certificates import Authority
from harness.ports import free_port
from harness.wait import wait_until
from lbsync import gelf, log
from lbsync.settings import GelfTarget, Log


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    yield
    gelf.end()
    structlog.reset_defaults()


def follow(target: str, ca: str | None = None) -> None:
    gelf.follow(Log(format="gelf", gelf_target=GelfTarget.parse(target), gelf_ca=ca), "lb-1")  # type: ignore[arg-type]


def whole(datagrams: Callable[[], bytes]) -> dict[str, object]:
    """Put one message together, as Graylog does."""
    first = datagrams()
    if not first.startswith(b"\x1e\x0f"):
        return dict(json.loads(first))
    parts = {first[10]: first[12:]}
    while len(parts) < first[11]:
        part = datagrams()
        assert part[2:10] == first[2:10]
        parts[part[10]] = part[12:]
    return dict(json.loads(b"".join(parts[number] for number in sorted(parts))))


def test_lines_come_by_udp_with_their_fields_also_long_ones() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as graylog:
        graylog.bind(("127.0.0.1", 0))
        graylog.settimeout(30)
        follow(f"udp://127.0.0.1:{graylog.getsockname()[1]}")
        with log.bound(pass_id="1f-7"):
            log.get().info("revision 7 is served", revision=7, id="x", held=True)
        log.get().warning("x" * 5000)
        first, second = (whole(lambda: graylog.recv(65_536)) for _ in range(2))
    assert {k: first[k] for k in ("version", "host", "short_message", "level")} == {
        "version": "1.1", "host": "lb-1", "short_message": "revision 7 is served", "level": 6,
    }  # fmt: skip
    assert (first["_revision"], first["_pass_id"], first["_id_"]) == (7, "1f-7", "x")
    assert first["_held"] == "true", "GELF has texts and numbers alone"
    assert abs(float(str(first["timestamp"])) - time.time()) < 60
    assert (second["short_message"], second["level"]) == ("x" * 5000, 4)


class Graylog:
    """Takes lines over TCP, until it is closed."""

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.port = port or free_port()
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._context = context
        self._open: list[socket.socket] = []
        self.lines: list[dict[str, object]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._server.accept()
                with contextlib.suppress(OSError):
                    peer = (
                        self._context.wrap_socket(peer, server_side=True) if self._context else peer
                    )
                    self._open.append(peer)
                    self._read(peer)

    def _read(self, peer: socket.socket) -> None:
        with peer:
            left = b""
            while data := peer.recv(65_536):
                *done, left = (left + data).split(b"\0")
                self.lines += [json.loads(line) for line in done]

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for peer in self._open:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)

    def said(self) -> list[object]:
        return [line["short_message"] for line in self.lines]


def test_lines_wait_for_a_target_that_is_away_and_come_in_order() -> None:
    port = free_port()
    follow(f"tcp://127.0.0.1:{port}")
    for number in range(3):
        log.get().info(f"early {number}")
    with contextlib.closing(Graylog(port)) as graylog:
        wait_until("the early ones", lambda: "early 2" in graylog.said(), timeout=60)
        assert [said for said in graylog.said() if "early" in str(said)] == [
            "early 0", "early 1", "early 2",
        ]  # fmt: skip
    log.get().info("while it was away")
    with contextlib.closing(Graylog(port)) as again:
        wait_until("the others", lambda: "while it was away" in again.said(), timeout=60)


def test_lines_come_by_tls_and_to_nobody_else(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    certificate, key = ours.sign("graylog")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with contextlib.closing(Graylog(context=context)) as graylog:
        follow(f"tls://127.0.0.1:{graylog.port}", str(other.ca))
        log.get().info("secret")
        follow(f"tls://127.0.0.1:{graylog.port}", str(ours.ca))
        log.get().info("for you")
        wait_until("the line", lambda: "for you" in graylog.said(), timeout=60)
        assert "secret" not in graylog.said()


def test_a_dead_target_holds_up_nobody_and_what_is_lost_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gelf, "_MOST_WAITING", 50)
    # It takes connections and reads nothing.
    port = free_port()
    with socket.create_server(("127.0.0.1", port), backlog=1):
        follow(f"tcp://127.0.0.1:{port}")
        began = time.monotonic()
        for number in range(5000):
            log.get().info(f"line {number}", filler="x" * 4000)
        log.get().warning("odd")
        assert time.monotonic() - began < 25
        assert "odd" in capsys.readouterr().err, "the target may be what is wrong"
    with contextlib.closing(Graylog(port)) as graylog:
        wait_until(
            "what was lost to be told",
            lambda: any("could not be sent" in str(s) for s in graylog.said()),
            timeout=60,
        )
    began = time.monotonic()
    gelf.end()
    assert time.monotonic() - began < 25


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=120),
        st.text(max_size=50)
        | st.integers()
        | st.none()
        | st.lists(st.text(max_size=3), max_size=3),
        max_size=80,
    ),
    st.text(max_size=50),
)
def test_whatever_is_logged_is_gelf(fields: dict[str, object], sentence: str) -> None:
    data = gelf.message({**fields, "event": sentence}, 6, "lb-1", 1.5)
    assert b"\0" not in data
    found = json.loads(data)
    assert found["short_message"]
    own = {"version", "host", "short_message", "full_message", "timestamp", "level"}
    for name, value in found.items():
        assert name in own or name.startswith("_")
        assert name != "_id"
        assert isinstance(value, str | int | float)


def test_the_longest_line_fits_into_the_chunks_that_there_may_be() -> None:
    odd = {f"f{number}": "\x01" * 10_000 for number in range(70)}
    event = {"event": "\x01" * 10_000, "exception": "\x02" * 10_000, **odd}
    parts = gelf.datagrams(gelf.message(event, 6, "lb-1", 1.5))
    assert len(parts) <= 128
    assert max(map(len, parts)) <= 1432
