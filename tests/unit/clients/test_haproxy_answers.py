"""What the sockets of 2.6.12 and 2.8.25 answer, word for word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.haproxy import answers
from lbsync.clients.haproxy.answers import MapState, ServerState, Worker
from lbsync.clients.haproxy.identity import parse_identity
from lbsync.errors import Unavailable

PARSERS = (answers.parse_proc, answers.parse_info, answers.parse_servers, parse_identity)

GOOD = (
    "#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
    "7411            master          1 [failed: 0]   0d00h00m01s     2.6.12-1+deb12u4\n"
    "# workers\n"
    "7414            worker          0               1d02h03m04s     2.6.12-1+deb12u4\n"
    "# old workers\n"
    "7390            worker          2               0d00h01m00s     2.6.12-1+deb12u4\n"
    "# programs\n\n"
)
STATES = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight"
    " srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state"
    " srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl"
    " srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"
    "3 be_a 1 s1 127.0.0.1 0 5 7 7 0 1 0 0 14 0 0 0 - 19999 - 0 0 - - 0\n"
    "3 be_a 6 s6 - 2 0 7 7 0 1 0 2 0 0 0 0 - 0 - 0 0 - - 0\n"
    "3 be_a 8 s8 ::1 2 8 0 7 0 1 0 2 0 0 0 0 localhost 80 - 0 0 - - 0\n\n"
)
MAPS = (
    "# id (file) description\n"
    "6 (maps/backends.map) pattern loaded from file 'maps/backends.map' used by map at file"
    " '/tmp/live/haproxy.cfg' line 16. curr_ver=0 next_ver=0 entry_cnt=4\n"
    "-1 () anonymous. curr_ver=0 next_ver=0 entry_cnt=0\n\n"
)


def test_show_proc_tells_the_serving_worker_from_the_old_ones() -> None:
    master = answers.parse_proc(GOOD)
    assert (master.pid, master.reloads, master.failed, master.uptime_s) == (7411, 1, 0, 1)
    assert master.current == Worker(7414, 0, 93784, old=False)
    assert master.old_workers == (Worker(7390, 2, 60, old=True),)


def test_a_worker_that_survived_a_failed_reload_is_the_serving_one() -> None:
    text = (
        "#<PID>          <type>          <reloads>       <uptime>        <version>\n"
        "7411            master          3 [failed: 2]   0d00h00m01s     3.2.0\n"
        "# workers\n# old workers\n"
        "7414            worker          2               0d00h00m09s     3.2.0\n"
        "7400            worker          3               0d00h00m19s     3.2.0\n"
    )
    master = answers.parse_proc(text)
    assert master.current is not None and master.current.pid == 7414
    assert [worker.pid for worker in master.old_workers] == [7400]


def test_server_states_are_read_by_column() -> None:
    assert answers.parse_servers(STATES) == [
        ServerState("be_a", "s1", "127.0.0.1", 19999, 0, 5, 7, "14", rest="- 0 0 - - 0"),
        ServerState("be_a", "s6", "-", 0, 2, 0, 7, rest="- 0 0 - - 0"),
        ServerState("be_a", "s8", "::1", 80, 2, 8, 0, fqdn="localhost", rest="- 0 0 - - 0"),
    ]


def test_maps_are_read_with_their_number_of_entries() -> None:
    assert answers.parse_maps(MAPS) == [MapState(6, "maps/backends.map", 4), MapState(-1, "", 0)]


def test_info_is_read_by_field() -> None:
    info = answers.parse_info("Name: HAProxy\nVersion: 2.6.12\nPid: 7\ndescription: a: b\n\n")
    assert info["description"] == "a: b"


def test_which_worker_answers_is_read_as_in_the_whole_answer() -> None:
    answer = "Name: HAProxy\nVersion: 2.6.12\nPid: 7\nIdle_pct: 99\ndescription: a: b \n\n"
    whole = answers.parse_info(answer)
    assert parse_identity(answer) == {field: whole[field] for field in ("Pid", "description")}


@pytest.mark.parametrize(
    "text", ["", "Unknown command.\n", "1\n# be_id\n3 be_a 1 s1\n", "2\n# x\n"]
)
def test_another_answer_is_never_taken_for_an_empty_one(text: str) -> None:
    for parse in PARSERS:
        with pytest.raises(Unavailable):
            parse(text)


@given(st.text())
def test_no_answer_breaks_the_reader(text: str) -> None:
    for parse in PARSERS:
        try:
            parse(text)
        except Unavailable as refused:
            assert refused.args


def test_replies_are_cut_apart_by_their_empty_lines() -> None:
    joined = (
        "\n\nNo such server.\n\nno need to change the addr, port changed from '19998' to '5' by"
        " 'stats socket command'\n\nUnknown map identifier. Please use #<id> or <file>.\n\n\n"
    )
    assert answers.split_replies(joined, 6) == [
        "",
        "",
        "No such server.",
        "no need to change the addr, port changed from '19998' to '5' by 'stats socket command'",
        "Unknown map identifier. Please use #<id> or <file>.",
        "",
    ]


@pytest.mark.parametrize(("text", "count"), [("\n", 2), ("a\n\nb\n", 2), ("", 1), ("\n\n\n", 2)])
def test_too_few_or_too_many_replies_are_noticed(text: str, count: int) -> None:
    with pytest.raises(Unavailable, match=f"{count} commands"):
        answers.split_replies(text, count)
