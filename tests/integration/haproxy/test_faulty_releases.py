"""A release that fails in what lbsync does is named wherever an operator looks."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.haproxy import binaries
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.runtime import HaproxyRuntime
from lbsync.cli.main import main
from lbsync.clients.haproxy.options import from_settings
from lbsync.model.rendered import Rendered, RenderedFile
from lbsync.settings import load
from lbsync.status import Status, Writer

INFO = "Name: HAProxy\nVersion: 3.2.9-1\nPid: 4711\nUptime: 0d\ndescription: d1g3st\n"
CONFIG = "backend be\n    server s 127.0.0.1:80 check init-state down\n"
NAMED = (
    "adding and removing servers",
    "it takes no signal",
    "'init-state' has no effect",
)


@pytest.fixture
def stats(tmp_path: Path) -> Iterator[Path]:
    """The stats socket of a HAProxy that says it is an early 3.2."""
    path = tmp_path / "stats.sock"
    listening = socket.create_server(str(path), family=socket.AF_UNIX)
    ended = threading.Event()

    def answer() -> None:
        while not ended.is_set():
            with listening.accept()[0] as client:
                asked = client.makefile().read()
                client.sendall(INFO.encode() if "show info" in asked else b"\n")

    thread = threading.Thread(target=answer)
    thread.start()
    yield path
    ended.set()
    with socket.socket(socket.AF_UNIX) as last:
        last.connect(
            str(path)
        )  # nobody may take it: the thread has ended by itself when it saw the end
        last.shutdown(socket.SHUT_WR)
        thread.join()
    listening.close()


@pytest.fixture
def settings(tmp_path: Path, stats: Path) -> Path:
    live = tmp_path / "state" / "live"
    live.mkdir(parents=True)
    (live / "haproxy.cfg").write_text(CONFIG)
    (tmp_path / "store").mkdir()
    file = tmp_path / "lbsync.toml"
    file.write_text(
        f'state_dir = "{tmp_path}/state"\nsource = "file:{tmp_path}/store"\n'
        f'[haproxy]\nbinary = "{binaries()["2.6"]}"\nmaster_socket = ""\nstats_socket = "{stats}"\n'
        f'reload = "signal"\npid_file = "{tmp_path}/pid"\n'
    )
    return file


def test_status_names_it(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = settings.parent / "state"
    Writer(state).write(
        Status(
            state="confirmed",
            host="lb",
            pid=1,
            pid_namespace="",
            written_at=1.0,
            every=30.0,
            lbsync="0",
            haproxy="2.6.12",
        ),
    )
    main(["--config", str(settings), "status"])
    told = " ".join(capsys.readouterr().out.split())
    assert all(words in told for words in NAMED), told


def test_check_names_it(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--config", str(settings), "check"])
    told = " ".join(capsys.readouterr().out.split())
    assert all(words in told for words in NAMED[:2]), told


def test_the_log_names_it_once_it_is_known_to_run(
    stats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {
        "haproxy.stats_socket": str(stats),
        "state_dir": str(tmp_path),
        "haproxy.reload": "signal",
    }
    options = from_settings(load(flags=flags, environ={}))
    live = HaproxyRuntime(options, 1.0)
    rendered = Rendered("d1g3st", (RenderedFile("haproxy.cfg", CONFIG.encode(), 0o644),))
    for _ in range(2):
        live.load(rendered, Parser().parse(CONFIG), "d1g3st")
    told = capsys.readouterr()
    text = told.out + told.err
    assert all(text.count(words) == 1 for words in NAMED), text
