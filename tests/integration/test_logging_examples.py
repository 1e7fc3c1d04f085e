"""The examples for the request log, with Debian's rsyslog."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.wait import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples" / "logging"
CONFIG = EXAMPLES / "50-lbsync-haproxy.conf"
RSYSLOGD = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/usr/local/sbin") or ""
KAFKA = [*Path("/usr/lib").glob("*/rsyslog/omkafka.so")]
LINE = '{"time":"2026-01-01T00:00:00.000Z","path":"/a\\"b","status":200}'
needs_rsyslog = pytest.mark.skipif(not RSYSLOGD, reason="no rsyslogd here (package rsyslog)")


def switched_on(text: str, kind: str) -> str:
    """Take the comment signs away before one of the actions."""
    found = re.search(rf'(?ms)^    #action\(type="{kind}".*?"\)$', text)
    assert found, kind
    return text.replace(found[0], re.sub(r"(?m)^    #", "    ", found[0]))


def check(tmp_path: Path, text: str) -> list[str]:
    """Have rsyslog read a configuration; return the words that run it."""
    file = tmp_path / "rsyslog.conf"
    file.write_text(f'global(workDirectory="{tmp_path}" maxMessageSize="64k")\n{text}')
    words = [RSYSLOGD, "-n", "-i", str(tmp_path / "pid"), "-f", str(file)]
    checked = subprocess.run([*words, "-N1"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warning" not in checked.stderr.lower(), checked.stderr
    assert "error" not in checked.stderr.lower(), checked.stderr
    return words


@contextlib.contextmanager
def running(tmp_path: Path, text: str) -> Iterator[None]:
    process = subprocess.Popen(check(tmp_path, text), stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def send(port: int, line: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as haproxy:
        haproxy.sendto(line.encode(), ("127.0.0.1", port))


@needs_rsyslog
def test_rsyslog_writes_the_lines_as_they_are_and_sends_them_to_graylog(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "haproxy.log"
    text = CONFIG.read_text().replace('port="514"', f'port="{port}"')
    text = switched_on(text.replace("/var/log/haproxy.log", str(log)), "omfwd")
    with socket.create_server(("127.0.0.1", free_port())) as graylog:
        graylog.settimeout(20)
        text = text.replace("graylog.example.com", "127.0.0.1")
        text = text.replace('port="12201"', f'port="{graylog.getsockname()[1]}"')
        with running(tmp_path, text):

            def is_there() -> bool:
                send(port, LINE)
                return log.exists() and LINE in log.read_text().splitlines()

            wait_until("a line in the file", is_there, timeout=60, every=0.1)
            long = '{"path":"' + "x" * 7000 + '"}'
            send(port, long)
            wait_until("a long line", lambda: long in log.read_text().splitlines(), timeout=60)
            peer, _ = graylog.accept()
            with peer:
                peer.settimeout(20)
                data = b""
                while b"\0" not in data:
                    data += peer.recv(65_536)
    found = json.loads(data.partition(b"\0")[0])
    assert found["version"] == "1.1"
    assert found["host"]
    assert abs(found["timestamp"]) > 1e9
    assert json.loads(found["short_message"]) == json.loads(LINE)


@needs_rsyslog
@pytest.mark.skipif(not KAFKA, reason="no module for Kafka here (package rsyslog-kafka)")
def test_what_is_switched_off_for_kafka_is_in_order_too(tmp_path: Path) -> None:
    text = switched_on(CONFIG.read_text(), "omkafka")
    check(tmp_path, f'module(load="omkafka")\n{text}')


def test_vectors_example_is_toml_and_listens_on_loopback() -> None:
    found = tomllib.loads((EXAMPLES / "vector.toml").read_text())
    assert found["sources"]["haproxy"]["address"].startswith("127.0.0.1:")
    assert found["sinks"]["graylog"]["inputs"] == ["fields"]
