"""The doors to a real HAProxy: the program, the sockets, the processes."""

import json
import os
from pathlib import Path

import pytest

from harness.certificates import Authority
from harness.haproxy import binaries
from harness.ports import free_port
from lbsync.cli.main import main
from lbsync.clients.haproxy import binary as haproxy_binary
from lbsync.clients.haproxy import capabilities, processes, sockets
from lbsync.errors import Unavailable
from tests.conftest import demand
from tests.haproxy_bench import Bench


def test_the_version_is_three_numbers(binary: str) -> None:
    major, minor, _ = haproxy_binary.version(binary)
    assert binaries()[f"{major}.{minor}"] == binary


def test_a_haproxy_that_was_replaced_is_known_by_its_new_version(tmp_path: Path) -> None:
    demand(len(binaries()) > 1, "a second HAProxy")
    link, script, target = (tmp_path / name for name in ("haproxy", "wrapper", "target"))
    script.write_text(f'#!/bin/sh\nexec {target} "$@"\n')
    script.chmod(0o755)
    for branch, program in binaries().items():
        for path in (link, target):
            path.unlink(missing_ok=True)
            path.symlink_to(program)
        for path in (link, script):
            assert ".".join(map(str, haproxy_binary.version(str(path))[:2])) == branch


def test_another_program_is_not_taken_for_haproxy() -> None:
    with pytest.raises(Unavailable, match="not HAProxy"):
        haproxy_binary.version("true")


def test_a_file_without_a_listener_is_refused_though_haproxy_raises_no_alert(
    binary: str, tmp_path: Path
) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text("global\n")
    verdict = haproxy_binary.begin_check(binary, config).verdict(10)
    assert "no listener" in verdict.alerts[0].text


def test_runtime_commands_are_answered_one_by_one(served: Bench) -> None:
    worker = sockets.worker(served.options)
    commands = [f"set server be_shop/web weight {number % 100}" for number in range(1000)]
    commands[500] = "set server be_shop/nobody weight 1"
    replies = worker.runtime(commands)
    assert replies[500] == "No such server."
    assert set(replies[:500] + replies[501:]) == {""}
    (state,) = worker.show_servers()
    assert (state.backend, state.name, state.weight) == ("be_shop", "web", 99)


def test_what_it_can_do_is_what_it_answers(served: Bench) -> None:
    version = haproxy_binary.version(served.options.binary)
    worker = sockets.worker(served.options)
    before = worker.servers_state()
    can = capabilities.ask(worker, version)
    by_release = capabilities.of_release(version)
    assert can.admin
    assert can.backends is by_release.backends
    for command in ("dump stats-file", "show ssl sni", "wait"):
        assert can.has(command) is by_release.has(command), command
    assert can.server_cookies is by_release.server_cookies
    assert ("check" in can.server_words) is can.at_least(3, 2)
    assert worker.servers_state() == before, "asking changes nothing"


def test_version_tells_what_the_haproxy_of_this_host_can_do(
    served: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    where = {
        "haproxy.binary": served.options.binary,
        "haproxy.master_socket": served.options.master_socket,
        "haproxy.stats_socket": "",
    }
    command = [word for name, value in where.items() for word in ("--set", f"{name}={value}")]
    release = ".".join(map(str, haproxy_binary.version(served.options.binary)))
    assert main([*command, "version", "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["haproxy"]
    assert (told["runs"], told["version"].startswith(release)) == (True, True)
    assert told["abilities"][0]["has"]
    served.haproxy.stop()
    assert main([*command, "version"]) == 0
    said = capsys.readouterr().out
    assert f"HAProxy {release}, by {served.options.binary}" in said
    assert "can     changes of servers and maps: while it runs" in said


def test_a_socket_that_may_change_nothing_says_so(bench: Bench) -> None:
    bench.start_with(bench.rendered("one", level="operator"))
    bench.with_options(stats_socket=str(bench.stats))
    worker = sockets.worker(bench.options)
    can = capabilities.ask(worker, haproxy_binary.version(bench.options.binary))
    assert not can.admin
    assert not can.backends


def test_both_sockets_tell_the_same(served: Bench) -> None:
    through_master = sockets.worker(served.options)
    served.with_options(stats_socket=str(served.stats))
    direct = sockets.worker(served.options)
    assert direct.show_info()["Pid"] == through_master.show_info()["Pid"]
    assert direct.show_servers() == through_master.show_servers()
    (state,) = direct.show_maps()
    assert (state.file, state.entries) == ("maps/backends.map", 1)
    assert direct.show_maps() == through_master.show_maps()


def test_a_stats_socket_that_was_removed_is_done_without(served: Bench) -> None:
    served.with_options(stats_socket=str(served.stats))
    served.stats.unlink()
    worker = sockets.worker(served.options)
    assert worker.runtime(["set server be_shop/web weight 7"] * 300) == [""] * 300
    (state,) = worker.show_servers()
    assert state.weight == 7
    with pytest.raises(Unavailable, match=f"{served.stats}: No such file"):
        sockets.stats(served.options).show_info(retry_s=0)
    served.haproxy.stop()
    with pytest.raises(Unavailable, match=f"{served.stats}: No such file"):
        worker.show_info(retry_s=0)


def test_the_master_and_its_workers_are_found(served: Bench) -> None:
    assert processes.master_pid(served.options.pid_file) == served.haproxy.pid
    master = sockets.MasterSocket(served.options.master_socket, 1.0).show_proc()
    assert master.pid == served.haproxy.pid
    assert master.current is not None
    assert served.port in processes.ports([master.current.pid])[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (str(os.getpid()), "not HAProxy; the file is stale"),
        ("4194303", "is not running"),
        ("x", "no process id in it"),
    ],
    ids=["another program", "nobody", "no number"],
)
def test_a_pid_file_is_believed_only_when_the_process_is_haproxy(
    tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "pid").write_text(content)
    with pytest.raises(Unavailable, match=words):
        processes.master_pid(str(tmp_path / "pid"))


def test_relative_files_hold_in_the_staged_and_in_the_live_place(bench: Bench) -> None:
    """All kinds of files at once, checked from a working directory that has none of them."""
    certificate, key = Authority(bench.directory / "ca").sign("shop.test")
    pem = certificate.read_bytes() + key.read_bytes()
    binds = f"    bind 127.0.0.1:{free_port()} ssl crt-list certs.list"
    extra = {"certs/a.pem": pem, "certs.list": b"certs/a.pem shop.test\n"}
    bench.start_with(bench.rendered("one", binds=binds, extra=extra))
    assert bench.get() == "web"
    assert bench.apply(bench.rendered("two", binds=binds, extra=extra)).outcome == "confirmed"
    assert bench.get("unknown.test") == "web", "the map's default"
    bench.haproxy.ask("@1 set server be_shop/web state maint")
    assert bench.get() == "503 none", "the error file"


def test_what_haproxy_was_started_with_is_seen_also_after_a_reload(served: Bench) -> None:
    served.apply(served.rendered("two"))
    words = processes.command_line(served.haproxy.pid)
    assert words[words.index("-f") + 1] == str(served.haproxy.config)
    assert processes.command_line(os.getpid()) == []
