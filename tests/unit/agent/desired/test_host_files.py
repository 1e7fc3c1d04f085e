"""What a generation takes from its host, and what it keeps when the host forgets."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.desired.host_files import SYSTEM_AUTHORITIES, HostFiles
from lbsync.clients import host_files
from lbsync.model.desired import Desired
from lbsync.model.rendered import Rendered, RenderedFile
from lbsync.values.policies import users_of
from tests.builders import entries_of

NAMED: dict[str, object] = {
    "services/a/b": {"mode": "tcp", "listen": 700},
    "endpoints/a/b/main": {"servers": [{"name": "s", "address": "db.example.com", "port": 1}]},
}


def wanted(values: dict[str, object]) -> Desired:
    return Assembler(frozenset()).assemble(entries_of(values), 1, ())


def by_name() -> Desired:
    return wanted(NAMED)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("nameserver 10.0.0.2\nnameserver 10.0.0.1\nsearch x\n", ("10.0.0.1", "10.0.0.2")),
        ("# nameserver 10.0.0.2\n;nameserver 10.0.0.3\n nameserver\t::1 # local\n", ("::1",)),
        ("nameserver fe80::1%eth0\nnameserver ten\nnameserver\n", ()),
        ("nameserver 10.0.0.2\nnameserver 10.0.0.2\n", ("10.0.0.2",)),
        ("", ()),
        ("\0\xff garbage", ()),
    ],
)
def test_name_servers_are_read_as_the_resolver_reads_them(
    tmp_path: Path, text: str, addresses: tuple[str, ...]
) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    assert host_files.name_servers(tmp_path / "resolv.conf") == addresses


@given(st.binary())
def test_no_content_of_resolv_conf_is_a_fault(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("etc") / "resolv.conf"
    path.write_bytes(data)
    assert isinstance(host_files.name_servers(path), tuple)


@pytest.mark.parametrize("what", ["missing", "dangling", "directory"])
def test_a_resolv_conf_that_is_no_file_names_nobody(tmp_path: Path, what: str) -> None:
    path = tmp_path / "resolv.conf"
    if what == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    if what == "directory":
        path.mkdir()
    assert host_files.name_servers(path) == ()


def test_name_servers_that_cannot_be_read_any_more_are_asked_on_and_it_is_said() -> None:
    found: list[tuple[str, ...]] = [("10.0.0.2", "fd00::2")]
    host = HostFiles(resolv_conf=lambda: found[0])
    assert host.read(by_name()).name_servers == ("10.0.0.2:53", "[fd00::2]:53")
    found[0] = ()
    state = host.read(by_name())
    assert state.name_servers == ("10.0.0.2:53", "[fd00::2]:53")
    assert "/etc/resolv.conf" in state.problems[0]
    found[0] = ("10.0.0.9",)
    assert host.read(by_name()).name_servers == ("10.0.0.9:53",)


def test_a_new_agent_takes_the_last_ones_from_the_live_generation() -> None:
    text = b"global\nresolvers lbsync\n    nameserver ns1 10.0.0.2:53\nresolvers x\n  nameserver a 1.1.1.1:53\n"
    files = (RenderedFile("haproxy.cfg", text), RenderedFile(SYSTEM_AUTHORITIES, b"pem"))
    host = HostFiles(resolv_conf=tuple)
    host.remember(Rendered("aa", files))
    assert host.read(by_name()).name_servers == ("10.0.0.2:53",)


def test_where_nobody_was_ever_named_the_host_itself_is_asked() -> None:
    state = HostFiles(resolv_conf=tuple).read(by_name())
    assert state.name_servers == ("127.0.0.1:53",)


def test_the_settings_outweigh_the_host_and_who_has_no_names_reads_nothing() -> None:
    host = HostFiles(("10.9.9.9:53",), resolv_conf=tuple)
    assert host.read(by_name()).name_servers == ("10.9.9.9:53",)
    assert host.read(by_name()).problems == ()
    nothing = HostFiles(resolv_conf=tuple).read(wanted({}))
    assert (nothing.name_servers, nothing.problems) == ((), ())


HASH, OTHER = f"$6$salt${'a1' * 43}", f"$6$rounds=1000$salt${'b2' * 43}"


def test_users_of_the_statistics_stay_while_their_file_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "users"
    host = HostFiles(users_file=file)
    nobody = host.read(wanted({}))
    assert nobody.stats_users == ()
    assert f"{file} cannot be read (No such file or directory); nobody" in nobody.problems[0]
    file.write_text(f"# on call\n\nbob:{OTHER}\r\n ann@example.com : {HASH} \n")
    good = host.read(wanted({}))
    assert good.stats_users == (("ann@example.com", HASH), ("bob", OTHER))
    assert good.problems == ()
    for data in (b"ann:secret\n", b"\xff", b"", b"x" * (2 << 20)):
        file.write_bytes(data)
        bad = host.read(wanted({}))
        assert bad.stats_users == good.stats_users
        assert "the last users stay in force" in bad.problems[0]
        assert "secret" not in bad.problems[0]


def test_a_new_agent_takes_the_last_users_from_the_live_generation(tmp_path: Path) -> None:
    one, other = (f'"{each}"'.replace("$", r"\$") for each in (HASH, OTHER))
    text = f"userlist p_1\n  user eve password {one}\n\nuserlist lbsync_stats\n    user ann password {one}\n"
    text = f"{text}    user bob password {other}\n\nfrontend x\n  user mallory password {one}\n"
    host = HostFiles(users_file=tmp_path / "gone")
    host.remember(Rendered("aa", (RenderedFile("haproxy.cfg", text.encode()),)))
    assert host.read(wanted({})).stats_users == (("ann", HASH), ("bob", OTHER))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ann", "line 1: write NAME:HASH"),
        (f"ann:{HASH}\n{HASH}:ann", "line 2: before the colon is no user's name"),
        ("ann:secret", "line 1: it is no SHA-512 hash"),
        ("ann:$2y$10$secret", "line 1: it is no SHA-512 hash"),
        (f"ann:{HASH}\nann:{OTHER}", "line 2: ann is there twice"),
        ("# ann:secret", "it names nobody"),
    ],
)
def test_a_line_that_names_no_user_is_told_without_its_content(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        users_of(text)
    assert "secret" not in str(caught.value)
    assert "$6$salt" not in str(caught.value)


@given(st.text())
def test_no_text_is_a_fault_of_the_file_of_users(text: str) -> None:
    try:
        assert users_of(text)
    except ValueError as error:
        assert "\n" not in str(error)
