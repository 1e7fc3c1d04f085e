"""A rendered set becomes what a real HAProxy serves, or everything stays as it was."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.haproxy import Haproxy
from harness.ports import free_port
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.agent.apply.reload import Reloader
from lbsync.agent.apply.switch import locked
from lbsync.agent.candidate.validate import Refused
from lbsync.clients.haproxy import answers, processes, sockets
from lbsync.clients.haproxy import binary as haproxy_binary
from lbsync.clients.haproxy.answers import ServerState
from lbsync.errors import ApplyFailed, Conflict, Unavailable
from tests.haproxy_bench import Bench, main_text


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        # Worse than a plain one: HAProxy would get the port, too, and half of the connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        yield int(listener.getsockname()[1])


def still_serves(bench: Bench, rendered_main: str) -> bool:
    """The state after any failure: the file before, the worker before, traffic as before."""
    confirmed, live = bench.store.confirmed(), bench.store.live()
    assert confirmed is not None and live is not None
    assert live.name == confirmed.name
    assert bench.live_text() == rendered_main
    root = bench.state / "generations"
    stood_in = [entry for entry in root.glob(".left-*") if not list(entry.iterdir())]
    entries = [entry.name for entry in root.iterdir() if entry not in stood_in]
    assert entries == [live.name], "nothing piles up"
    assert len(stood_in) <= 1, "but the empty directory that 2.8's master stands in"
    assert confirmed.digest in bench.description()
    return wait_until("an answer", lambda: bench.get() == "web")


def is_26(bench: Bench) -> bool:
    return haproxy_binary.version(bench.options.binary)[:2] == (2, 6)


def test_a_good_generation_is_live_reloaded_proved_and_recorded(served: Bench) -> None:
    two = served.rendered("two", servers="    server spare 127.0.0.1:9 weight 3 disabled")
    applied = served.apply(two)
    assert applied.outcome == "confirmed"
    assert applied.mismatches == ()
    assert applied.reload is not None
    assert two.digest in served.description()
    assert served.get() == "web"
    live, confirmed = served.store.live(), served.store.confirmed()
    assert live is not None and confirmed is not None
    assert live.digest == confirmed.digest == two.digest
    assert confirmed.meta.confirmed_at is not None
    assert served.live_text() == main_text(two)


@pytest.mark.parametrize("way", ["signal", "signal without a master socket", "command"])
def test_other_ways_to_reload_are_proved_just_the_same(served: Bench, way: str) -> None:
    if way == "command":
        pid = str(served.haproxy.pid)
        served.with_options(reload="command", reload_command=("sh", "-c", f"kill -USR2 {pid}"))
    else:
        served.with_options(reload="signal", stats_socket=str(served.stats))
    if "without" in way:
        served.with_options(master_socket="")
    two = served.rendered("two")
    applied = served.apply(two)
    assert applied.outcome == "confirmed"
    assert two.digest in served.description()


def test_a_syntax_error_is_refused_with_its_section_and_nothing_changes(served: Bench) -> None:
    one = served.live_text()
    bad = served.rendered("bad", servers="    server other 127.0.0.1:9 chekc")
    with pytest.raises(Refused) as refused:
        served.apply(bad)
    (finding,) = refused.value.findings
    assert (finding.file, finding.section) == ("haproxy.cfg", "be_shop")
    assert "chekc" in main_text(bad).splitlines()[finding.line - 1]
    assert "unknown keyword 'chekc'" in finding.text
    assert still_serves(served, one)


def test_a_port_taken_by_another_program_is_found_before_the_reload(served: Bench) -> None:
    one = served.live_text()
    with taken_port() as port, pytest.raises(Refused, match=f"{port} is taken") as refused:
        served.apply(served.rendered("two", binds=f"    bind 127.0.0.1:{port}"))
    assert refused.value.findings[0].section == "fe_http"
    assert still_serves(served, one)


def test_an_address_of_another_host_is_found_before_the_reload(served: Bench) -> None:
    with pytest.raises(Refused, match=r"192\.0\.2\.1:\d+ is no address of this host"):
        served.apply(served.rendered("two", binds=f"    bind 192.0.2.1:{free_port()}"))


def test_a_port_taken_after_the_check_brings_the_generation_before_back(served: Bench) -> None:
    one = served.live_text()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        port = listener.getsockname()[1]
        two = served.rendered("two", binds=f"    bind 127.0.0.1:{port}")
        with pytest.raises(ApplyFailed, match="cannot bind") as failed:
            served.apply(two, checked=False)
        assert f"127.0.0.1:{port}" in str(failed.value)
        assert still_serves(served, one)
    assert served.apply(two).outcome == "confirmed", "the same generation, the port being free"


def test_a_missing_certificate_is_refused(served: Bench) -> None:
    one = served.live_text()
    bind = f"    bind 127.0.0.1:{free_port()} ssl crt certs/gone.pem"
    with pytest.raises(Refused, match=r"certs/gone\.pem"):
        served.apply(served.rendered("two", binds=bind))
    with pytest.raises(ApplyFailed, match=r"certs/gone\.pem"):
        served.apply(served.rendered("three", binds=bind), checked=False)
    assert still_serves(served, one)


def test_too_few_file_descriptors_bring_the_generation_before_back(bench: Bench) -> None:
    run = bench.haproxy.directory
    bench.haproxy = Haproxy(
        run, bench.haproxy.config, bench.options.binary, under=("prlimit", "--nofile=600")
    )
    bench.start_with(bench.rendered("one"))
    one = bench.live_text()
    with pytest.raises(ApplyFailed, match=r"(?i)fd limit|open files|maxconn|maxsock"):
        bench.apply(bench.rendered("two", maxconn=50_000))
    assert still_serves(bench, one)


def test_a_reload_that_was_lost_is_asked_for_again(served: Bench) -> None:
    heard = served.directory / "heard"
    # Says yes the first time, and does nothing: as SIGUSR2 does in the middle of another reload.
    script = f"test -e {heard} && kill -USR2 {served.haproxy.pid}; touch {heard}"
    served.with_options(reload="command", reload_command=("sh", "-c", script))
    applied = served.apply(served.rendered("two"))
    assert applied.reload is not None and applied.reload.requests >= 2
    assert applied.generation.digest in served.description()


def test_a_reload_in_the_middle_of_another_one_is_proved_as_well(served: Bench) -> None:
    for number in range(4):
        # Somebody else's reload begins a moment before ours: ours is lost in it.
        other = threading.Thread(target=lambda: served.haproxy.ask("reload"))
        other.start()
        time.sleep(0.004 * number)
        wanted = served.rendered(f"generation {number}")
        applied = served.apply(wanted)
        other.join()
        assert applied.outcome == "confirmed"
        assert wanted.digest in served.description()


def test_a_balancer_that_reads_another_file_is_not_reloaded_for_ever(bench: Bench) -> None:
    elsewhere = bench.directory / "elsewhere"
    elsewhere.mkdir()
    for file in bench.rendered("other").files:
        (elsewhere / file.path).parent.mkdir(exist_ok=True)
        (elsewhere / file.path).write_bytes(file.data)
    run = bench.haproxy.directory
    bench.haproxy = Haproxy(run, elsewhere / "haproxy.cfg", bench.options.binary)
    bench.haproxy.start()
    with pytest.raises(ApplyFailed, match=r"is it started with `-f .*/live/haproxy\.cfg`"):
        bench.apply(bench.rendered("one"), checked=False)


def test_confirming_again_costs_the_disk_nothing(served: Bench) -> None:
    one = served.rendered("one")
    live = served.store.live()
    assert live is not None
    again = served.applier().confirm(live, one, served.parsed(one))
    assert again is not None and again.outcome == "confirmed"
    assert served.store.confirmed() == live


def test_a_balancer_that_is_down_gets_the_generation_at_its_next_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "REFUSED_S", 0.2)
    one = bench.rendered("one")
    applied = bench.apply(one)
    assert applied.outcome == "live"
    assert "not confirmed" in applied.detail
    assert bench.store.confirmed() is None
    live = bench.store.live()
    assert live is not None and live.digest == one.digest

    again = bench.applier().confirm(live, one, bench.parsed(one))
    assert again is not None and again.outcome == "live"

    bench.haproxy.start()
    later = bench.applier().confirm(live, one, bench.parsed(one))
    assert later is not None and later.outcome == "confirmed"
    confirmed = bench.store.confirmed()
    assert confirmed is not None and confirmed.name == live.name


def test_a_master_that_died_is_told_from_one_that_reloads(
    served: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "REFUSED_S", 0.2)
    served.haproxy.kill()
    two = served.rendered("two")
    assert served.apply(two).outcome == "live"
    served.haproxy.start()
    assert two.digest in served.description()


def test_confirming_what_is_not_served_says_that_a_reload_is_due(served: Bench) -> None:
    two = served.rendered("two")
    staged, config = served.stage(two)
    live = served.store.make_live(staged)
    assert served.applier().confirm(live, two, config) is None


def test_what_was_changed_behind_our_back_is_reported(served: Bench) -> None:
    one = served.rendered("one")
    live = served.store.live()
    assert live is not None
    served.haproxy.ask("@1 set server be_shop/web weight 7")
    served.haproxy.ask("@1 set server be_shop/web state drain")
    served.haproxy.ask("@1 add map maps/backends.map other.test be_shop")
    seen = served.applier().confirm(live, one, served.parsed(one))
    assert seen is not None
    assert [str(mismatch) for mismatch in seen.mismatches] == [
        "be_shop/web: weight is 7, wanted 1",
        "be_shop/web: state is drain, wanted up",
        "maps/backends.map: entries is 2, wanted 1",
    ]


def states(bench: Bench) -> dict[str, ServerState]:
    worker = sockets.worker(bench.options)
    return {state.name: state for state in worker.show_servers()}


def test_a_server_that_was_down_has_to_prove_itself_after_a_reload(served: Bench) -> None:
    dead, moved, new = free_port(), free_port(), free_port()

    def servers(moves_to: int) -> str:
        return (
            f"    server dead 127.0.0.1:{dead} check inter 50ms fall 1 rise 1000\n"
            f"    server moves 127.0.0.1:{moves_to} check inter 50ms fall 1\n"
        )

    served.apply(served.rendered("two", servers=servers(moved)))
    for name in ("dead", "moves"):
        wait_until(
            "the checks to fail", partial(lambda name: states(served)[name].op_state == 0, name)
        )
    with WebServer("risen", dead):
        served.apply(served.rendered("three", servers=servers(new)))
        after = states(served)
    assert after["dead"].op_state == 0, "it answers its checks, but not for long enough"
    assert after["moves"].port == new, "the port is that of the configuration"


def test_the_configuration_outweighs_the_carried_state(served: Bench) -> None:
    def servers(first: str, second: str) -> str:
        return (
            f"    server a 127.0.0.1:9 {first}\n    server b 127.0.0.1:9 {second}\n"
            "    server held 127.0.0.1:9\n"
        )

    served.apply(served.rendered("two", servers=servers("disabled weight 5", "weight 7")))
    served.haproxy.ask("@1 set server be_shop/held state maint")
    applied = served.apply(
        served.rendered("three", servers=servers("weight 6", "disabled weight 8"))
    )
    assert [str(found) for found in applied.mismatches] == [
        "be_shop/held: state is maint, wanted up"
    ], "what a person did by hand stays, and is told"
    after = states(served)
    assert (after["a"].weight, after["b"].weight) == (6, 8)


def test_workers_that_still_finish_a_connection_are_counted(served: Bench) -> None:
    served.web.is_holding = True
    slow = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    try:
        slow.request("GET", "/", headers={"Host": "shop.test"})
        wait_until("the request", lambda: served.web.requests["/"])
        applied = served.apply(served.rendered("two"))
        assert applied.old_workers == 1
        served.web.release()
        assert slow.getresponse().read() == b"web", "the old worker finished what it had"
    finally:
        slow.close()


def test_a_log_that_was_rotated_away_still_tells_the_reason(served: Bench) -> None:
    served.haproxy.log.rename(served.haproxy.log.with_suffix(".1"))
    with pytest.raises(ApplyFailed, match="unknown keyword 'chekc'"):
        served.apply(served.rendered("bad", servers="    chekc"), checked=False)


def test_a_reason_out_of_reach_is_said_to_be_so(bench: Bench) -> None:
    bench.haproxy.log = Path("/dev/null")
    bench.start_with(bench.rendered("one"))
    one = bench.live_text()
    words = "log of HAProxy's master" if is_26(bench) else "unknown keyword 'chekc'"
    with pytest.raises(ApplyFailed, match=words):
        bench.apply(bench.rendered("bad", servers="    chekc"), checked=False)
    assert still_serves(bench, one)


def test_without_a_master_socket_the_log_tells_of_a_failure(served: Bench) -> None:
    one = served.live_text()
    served.with_options(reload="signal", master_socket="", stats_socket=str(served.stats))
    with pytest.raises(ApplyFailed, match="unknown keyword 'chekc'"):
        served.apply(served.rendered("bad", servers="    chekc"), checked=False)
    assert still_serves(served, one)


def test_without_a_master_socket_a_stats_socket_that_refuses_is_no_balancer_that_is_down(
    served: Bench,
) -> None:
    """As releases since 3.2 leave theirs after failed reloads; the next good one mends it."""
    served.with_options(reload="signal", master_socket="", stats_socket=str(served.stats))
    served.with_options(reload_timeout_s=1.0)
    wait_until("it to be no new one", lambda: processes.age(served.haproxy.pid) > 1.0)
    served.stats.unlink()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(served.stats))
    assert Reloader(served.options).running().worker_pid == "", "a reload may be asked for"
    served.haproxy.stop()
    with pytest.raises(Unavailable):
        Reloader(served.options).running()


def test_a_balancer_that_stays_down_does_not_fill_the_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "REFUSED_S", 0.0)
    for number in range(8):
        assert bench.apply(bench.rendered(f"generation {number}")).outcome == "live"
    assert [found.seq for found in bench.store.list()] == [8, 7, 6, 5, 4]


def test_reloads_of_several_programs_wait_for_one_another(served: Bench) -> None:
    served.with_options(reload_timeout_s=0.2)
    one = served.live_text()
    with locked(served.options.lock_path, 1.0), pytest.raises(Conflict, match="reload lock"):
        served.apply(served.rendered("two"))
    assert still_serves(served, one)


def test_a_reload_command_that_fails_brings_the_generation_before_back(served: Bench) -> None:
    one = served.live_text()
    served.with_options(reload="command", reload_command=("sh", "-c", "echo no way >&2; exit 4"))
    with pytest.raises(ApplyFailed, match="ended with 4: no way"):
        served.apply(served.rendered("two"))
    assert still_serves(served, one)


def test_a_reload_command_that_hangs_is_ended_and_brings_the_generation_before_back(
    served: Bench,
) -> None:
    one = served.live_text()
    command = ("sh", "-c", "sleep 60 & sleep 60")
    served.with_options(reload="command", reload_command=command, reload_timeout_s=0.3)
    with pytest.raises(ApplyFailed, match=r"did not end within 0\.3 s"):
        served.apply(served.rendered("two"))
    assert still_serves(served, one)


def test_without_a_master_socket_or_a_readable_log_a_reload_is_asked_for_once(
    bench: Bench,
) -> None:
    """Two that fail leave releases since 3.2 with a stats socket that refuses."""
    bench.haproxy.log = Path("/dev/null")
    bench.start_with(bench.rendered("one"))
    one, before = bench.live_text(), reloads(bench)
    bench.with_options(reload="signal", master_socket="", stats_socket=str(bench.stats))
    bench.with_options(reload_timeout_s=4.5)
    with pytest.raises(ApplyFailed, match="no proof of the reload"):
        bench.apply(bench.rendered("bad", servers="    chekc"), checked=False)
    assert reloads(bench) == before + 1
    assert still_serves(bench, one)


def reloads(bench: Bench) -> int:
    return answers.parse_proc(bench.haproxy.ask("show proc")).reloads
