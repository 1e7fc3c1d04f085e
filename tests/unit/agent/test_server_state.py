"""Which states may outlive a reload."""

from pathlib import Path

import pytest

from lbsync.agent.sections import Parser
from lbsync.agent.server_state import kept, place

LIVE = Path("/var/lib/lbsync/live")
HEAD = "1\n# be_id be_name srv_id srv_name srv_addr\n"
ROWS = (
    "3 be_a 1 s1 10.0.0.1 0 0 1 1 8 2 0 6 0 0 0 - 0 80 - 0 0 - - 0\n"
    "3 be_a 2 s2 10.0.0.2 0 0 1 1 8 2 0 6 0 0 0 - 0 80 - 0 0 - - 0\n"
    "3 be_a 3 s3 10.0.0.3 0 0 1 1 8 2 0 6 0 0 0 - 0 80 - 0 0 - - 0\n"
    "4 be_b 1 s1 10.0.0.1 0 0 1 1 8 2 0 6 0 0 0 - 0 80 - 0 0 - - 0\n"
)


def nobody(_backend: str, _server: str) -> bool:
    return False


def test_only_servers_at_the_same_address_and_port_are_kept() -> None:
    config = Parser().parse(
        "backend be_a\n server s1 10.0.0.1:80 check\n server s2 10.0.0.2:81\n"
        " server s3 10.0.0.33:80\n"
    )
    assert kept(HEAD + ROWS + "\n", config, nobody) == HEAD + ROWS.split("\n", maxsplit=1)[0] + "\n"


@pytest.mark.parametrize("answer", ["", "1\n", "nonsense", "a\nb\nc d\n"])
def test_an_odd_answer_keeps_nothing(answer: str) -> None:
    config = Parser().parse("backend be_a\n server s1 10.0.0.1:80\n")
    assert " be_a " not in kept(answer, config, nobody)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("server-state-file /var/lib/lbsync/live/servers.state", "servers.state"),
        ("server-state-file /var/lib/lbsync/servers.state", None),
        ("server-state-file /var/lib/lbsync/live/../servers.state", None),
        ("server-state-file servers.state", None),
        ("maxconn 1", None),
    ],
)
def test_the_file_belongs_into_the_generation_or_is_not_written(
    line: str, wanted: str | None
) -> None:
    assert place(Parser().parse(f"global\n {line}\n"), LIVE) == wanted


def test_what_the_agent_took_out_of_service_comes_back_what_an_operator_did_stays() -> None:
    config = Parser().parse("backend be_a\n server s1 10.0.0.1:80\n server s2 10.0.0.2:80\n")
    drained = ROWS.replace("10.0.0.1 0 0 1", "10.0.0.1 0 8 1").replace(
        "10.0.0.2 0 0", "10.0.0.2 0 8"
    )

    def ours(backend: str, server: str) -> bool:
        return (backend, server) == ("be_a", "s1")

    assert kept(HEAD + drained, config, ours) == HEAD + drained.split("\n")[1] + "\n"
