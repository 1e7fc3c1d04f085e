"""What a HAProxy can do, read from its answers or told by its release."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.haproxy.capabilities import (
    Capabilities,
    commands_in,
    of_release,
    server_words_in,
)

HELP = """\
The following commands are valid at this level:
  add backend <backend>                   : add a new backend
  dump stats-file                         : dump stats for restore
  enable server  (DEPRECATED)             : enable a disabled server (use 'set server' instead)
  show ssl sni [-f <frontend>] [-A]       : display the list of SNI and their corresponding filename
  wait {-h|<delay_ms>} cond [args...]     : wait the specified delay or condition (-h to see list)
"""


def test_the_commands_are_those_that_help_lists() -> None:
    assert commands_in(HELP) == {
        "add backend", "dump stats-file", "enable server", "show ssl sni", "wait",
    }  # fmt: skip


@given(st.text())
def test_no_answer_is_a_fault(text: str) -> None:
    commands_in(text)
    server_words_in(text)


def test_what_servers_take_is_known_from_where_haproxy_tells_it() -> None:
    told = "List of keywords supported for dynamic server:\nguid\ninit-state\n\n"
    assert server_words_in(told) == {"guid", "init-state"}
    assert server_words_in("Require 'backend/server'.\n\n") == frozenset()


@pytest.mark.parametrize(
    ("version", "backends", "waits"),
    [((2, 6, 12), False, False), ((3, 2, 26), False, True), ((3, 4, 0), True, True)],
)
def test_where_none_runs_the_release_tells(
    version: tuple[int, int, int], *, backends: bool, waits: bool
) -> None:
    can = of_release(version)
    assert (can.backends, can.has("wait")) == (backends, waits)
    assert can.at_least(*version) and not can.at_least(version[0], version[1] + 1)


def test_what_a_release_has_a_fault_in_it_cannot_do() -> None:
    changes = of_release((3, 2, 4)).changes
    assert not changes.has
    assert "servers and maps by a reload" in changes.effect


def test_a_socket_without_rights_is_told() -> None:
    changes = Capabilities((3, 4, 7), admin=False).changes
    assert not changes.has
    assert "level admin" in changes.effect
