"""`lbsync server`: one server is changed, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.cli import main
from lbsync.errors import Exit

A = {"name": "a", "address": "10.0.0.7", "port": 8080}
B = {"name": "b", "address": "10.0.0.8", "port": 8080, "weight": 3}
MAIN = "endpoints/shop/cart/main"


class Keys:
    """A directory of keys, and the commands that work on it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *words: str) -> int:
        return main([*words, "--source", f"file:{self.path}"])

    def put(self, key: str, value: object) -> None:
        file = self.path / f"{key}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))

    def servers(self, key: str = MAIN) -> Any:
        return json.loads((self.path / f"{key}.json").read_text())["servers"]


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    empty = tmp_path / "empty.toml"
    empty.write_text(
        f'[haproxy]\nmaster_socket = "{tmp_path}/no"\nstats_socket = "{tmp_path}/no"\n'
    )
    monkeypatch.setenv("LBSYNC_CONFIG", str(empty))
    made = Keys(tmp_path / "keys")
    made.put("services/shop/cart", {"mode": "http", "hosts": ["cart.example.com"]})
    made.put(MAIN, {"servers": [A, B]})
    return made


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("drain", "shop/cart/b"), {**B, "state": "drain"}),
        (("maint", "shop/cart/b"), {**B, "state": "maint"}),
        (("up", "shop/cart/b"), {**B, "state": "up"}),
        (("weight", "shop/cart/b", "0"), {**B, "weight": 0}),
    ],
)
def test_one_server_is_changed_and_the_others_stay(
    keys: Keys, words: tuple[str, ...], expected: dict[str, object]
) -> None:
    assert keys.run("server", *words) == Exit.OK
    assert keys.servers() == [A, expected]


def test_what_is_so_already_is_not_written(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    keys.run("server", "weight", "shop/cart/b", "3")
    assert capsys.readouterr().out == "shop/cart/b: unchanged\n"


def test_which_server_is_meant_must_be_clear(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.run("server", "drain", "shop/cart/c") == Exit.REJECTED
    assert "no group has a server 'c'; there are a, b" in capsys.readouterr().err
    keys.put("endpoints/shop/cart/green", {"servers": [A]})
    assert keys.run("server", "drain", "shop/cart/a") == Exit.REJECTED
    assert "say --group" in capsys.readouterr().err
    assert keys.run("server", "drain", "shop/cart/a", "--group", "green") == Exit.OK
    assert keys.servers("endpoints/shop/cart/green")[0]["state"] == "drain"
    assert keys.servers() == [A, B]
    assert keys.run("server", "drain", "shop/none/a") == Exit.REJECTED
    assert "shop/none: it has no servers" in capsys.readouterr().err


def test_a_weight_out_of_range_and_a_publishers_server_are_refused(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.run("server", "weight", "shop/cart/a", "257") == Exit.REJECTED
    keys.put(MAIN, {"servers": [A, B], "source": "publisher/prod"})
    assert keys.run("server", "drain", "shop/cart/a") == Exit.CONFLICT
    assert "publisher/prod" in capsys.readouterr().err
    assert keys.run("server", "drain", "shop/cart/a", "--force") == Exit.OK


def test_the_list_shows_what_is_written(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    keys.run("server", "drain", "shop/cart/a")
    capsys.readouterr()
    assert keys.run("server", "ls", "shop/cart") == Exit.OK
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [
        ["a", "main", "10.0.0.7:8080", "drain", "1"],
        ["b", "main", "10.0.0.8:8080", "up", "3"],
    ]


def test_servers_that_would_go_unnamed_are_told_before_anything_is_written(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    put = ("service", "put", "shop/cart", "--server", "a=10.0.0.7:8080,state=drain")
    assert keys.run(*put) == Exit.REJECTED
    said = capsys.readouterr().err
    assert "b would go" in said
    assert "lbsync server drain|maint|up|weight shop/cart/b" in said
    assert keys.servers() == [A, B]
    assert keys.run(*put, "--replace") == Exit.OK
    assert [server["name"] for server in keys.servers()] == ["a"]


def test_a_stored_record_that_is_refused_is_never_called_unchanged(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {"mode": "http", "hosts": ["cart.example.com"], "timeouts": {"server": "soon"}}
    keys.put("services/shop/cart", bad)
    put = ("service", "put", "shop/cart")
    assert keys.run(*put, "--host", "cart.example.com") == Exit.REJECTED
    assert "services/shop/cart: timeouts.server" in capsys.readouterr().err
    more = (
        "--server",
        "a=10.0.0.7:8080",
        "--server",
        "b=10.0.0.8:8080",
        "--server",
        "c=10.0.0.9:80",
    )
    assert keys.run(*put, *more) == Exit.REJECTED
    assert "still refused, as it was: services/shop/cart: timeouts" in capsys.readouterr().out
    assert len(keys.servers()) == 3, "what is right was written all the same"


@settings(max_examples=20)
@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(("servers", "name", "address", "a", "source")), inner, max_size=3
    ),
    max_leaves=8,
))  # fmt: skip
def test_whatever_is_stored_as_a_group_gets_a_sentence(keys: Keys, value: object) -> None:
    keys.put(MAIN, value)
    for words in (("ls", "shop/cart"), ("drain", "shop/cart/a"), ("weight", "shop/cart/a", "2")):
        assert keys.run("server", *words) in set(Exit) - {Exit.FAILED}
