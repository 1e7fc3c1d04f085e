"""`lbsync service`: nothing is written that would be refused, or that somebody else changed."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.cli import main
from lbsync.cli.service.arguments import parse
from lbsync.cli.service.writing import commit
from lbsync.errors import Conflict, Exit, Rejected
from lbsync.schema.keys import ServiceId
from lbsync.schema.service_document import changes, stored, validate
from tests.fakes import FakeSource

CART = ServiceId("shop", "cart")
WEB = {"mode": "http", "hosts": ["cart.example.com"]}
SERVERS = {"servers": [{"name": "a", "address": "10.0.0.7", "port": 8080}]}


class Keys:
    """A directory of keys, and the command that works on it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *words: str) -> int:
        return main(["service", *words, "--source", f"file:{self.path}"])

    def put(self, key: str, value: object) -> None:
        file = self.path / f"{key}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))

    def get(self, key: str) -> Any:
        found = list(self.path.glob(f"{key}*"))
        return json.loads(found[0].read_text()) if found else None


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    monkeypatch.setenv("LBSYNC_CONFIG", str(empty))
    made = Keys(tmp_path / "keys")
    made.put("services/shop/cart", WEB)
    made.put("endpoints/shop/cart/main", SERVERS)
    return made


def test_a_service_is_made_from_flags(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    code = keys.run(
        "put", "shop/web", "--host", "web.example.com", "--path", "/a", "--check-path", "/up",
        "--balance", "leastconn", "--sticky", "SRV", "--maxconn", "5", "--owner", "us",
        "--field", 'timeouts={"server": "5s"}',
        "--server", "a=10.0.0.1:80,weight=3", "--server", "b=[fd00::2]:80,state=drain",
    )  # fmt: skip

    assert code == Exit.OK
    assert keys.get("services/shop/web") == {
        "mode": "http",
        "hosts": ["web.example.com"],
        "paths": ["/a"],
        "balance": "leastconn",
        "maxconn": 5,
        "owner": "us",
        "check": {"type": "http", "path": "/up"},
        "sticky": {"cookie": "SRV"},
        "timeouts": {"server": "5s"},
    }
    assert keys.get("endpoints/shop/web/main") == {
        "servers": [
            {"name": "a", "address": "10.0.0.1", "port": 80, "weight": 3},
            {"name": "b", "address": "fd00::2", "port": 80, "state": "drain"},
        ]
    }
    assert "shop/web: written at revision" in capsys.readouterr().out


def test_a_flag_changes_its_field_and_leaves_the_others(keys: Keys) -> None:
    assert keys.run("put", "shop/cart", "--balance", "random") == Exit.OK

    assert keys.get("services/shop/cart") == {**WEB, "balance": "random"}
    assert keys.get("endpoints/shop/cart/main") == SERVERS


def test_what_get_shows_put_takes(
    keys: Keys, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.run("get", "shop/cart")
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"service": WEB, "endpoints": {"main": SERVERS}}

    changed = shown.replace("8080", "8081")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(changed.encode())))
    assert keys.run("put", "shop/cart", "-f", "-") == Exit.OK

    assert keys.get("endpoints/shop/cart/main")["servers"][0]["port"] == 8081
    assert keys.get("services/shop/cart") == WEB


def test_writing_what_is_there_writes_nothing(
    keys: Keys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cart.yaml").write_text("mode: http\nhosts: [cart.example.com]\n")

    assert keys.run("put", "shop/cart", "-f", str(tmp_path / "cart.yaml")) == Exit.OK
    assert capsys.readouterr().out == "shop/cart: unchanged\n"


def test_a_dry_run_shows_and_writes_nothing(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    code = keys.run("put", "shop/cart", "--balance", "random", "--dry-run")

    assert code == Exit.CHANGED
    assert '+  "balance": "random"' in capsys.readouterr().out
    assert keys.get("services/shop/cart") == WEB


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--server", "a=10.0.0.1:99999"], "endpoints/shop/cart/main: servers[0].port"),
        (["--server", "a=web:80"], "'web' is no IP address"),
        (["--server", "a:80"], "write NAME=ADDRESS:PORT"),
        (["--server", "a=10.0.0.1:80,size=3"], "'size=3' is neither weight=N nor state=S"),
        (["--host", "a b"], "services/shop/cart: hosts"),
        (["--field", "hots=[]"], "did you mean hosts?"),
        (["--field", "hosts=["], "write NAME=JSON"),
        (["--listen", "80"], "listen: only a tcp service"),
        ([], "nothing to write"),
        (["--group", "A!", "--server", "a=10.0.0.1:80"], "the key is not of the form"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    keys: Keys, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert keys.run("put", "shop/cart", *words) == Exit.REJECTED

    assert sentence in capsys.readouterr().err
    assert keys.get("services/shop/cart") == WEB
    assert keys.get("endpoints/shop/cart/main") == SERVERS


def test_a_host_that_belongs_to_another_service_is_refused_before_it_is_written(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.run("put", "shop/other", "--host", "cart.example.com") == Exit.REJECTED

    assert "belongs to shop/cart, which was created first" in capsys.readouterr().err
    assert keys.get("services/shop/other") is None


def test_a_port_of_haproxys_own_is_refused_before_the_agents_do(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    tcp = ("put", "data/db", "--mode", "tcp", "--server", "a=10.0.0.1:5432", "--listen")
    assert keys.run(*tcp, "8404") == Exit.REJECTED
    said = capsys.readouterr().err
    assert "port 8404 is one of HAProxy's own on these hosts; choose another" in said
    assert keys.get("services/data/db") is None
    elsewhere = ("--set", "proxy.stats_bind=127.0.0.1:8405")
    assert keys.run(*tcp, "8404", *elsewhere) == Exit.OK, "the settings say which ports these are"


def test_an_old_fault_elsewhere_does_not_stand_in_the_way(keys: Keys) -> None:
    keys.put("services/shop/broken", {"mode": "udp"})

    assert keys.run("put", "shop/cart", "--balance", "random") == Exit.OK


def test_keys_of_a_publisher_are_left_to_it(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    keys.put("services/shop/cart", {**WEB, "source": "cluster-1"})

    assert keys.run("put", "shop/cart", "--balance", "random") == Exit.CONFLICT
    assert "belongs to 'cluster-1'" in capsys.readouterr().err
    assert keys.run("put", "shop/cart", "--balance", "random", "--force") == Exit.OK


def test_servers_of_a_service_with_several_groups_need_the_group(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.put("endpoints/shop/cart/green", SERVERS)

    assert keys.run("put", "shop/cart", "--server", "a=10.0.0.9:80") == Exit.REJECTED
    assert "has the groups green, main; say which with --group" in capsys.readouterr().err
    assert keys.run("put", "shop/cart", "--group", "green", "--server", "a=10.0.0.9:80") == Exit.OK
    assert keys.get("endpoints/shop/cart/main") == SERVERS


def test_a_service_goes_with_all_its_keys_or_one_group_alone(keys: Keys) -> None:
    keys.put("endpoints/shop/cart/green", SERVERS)
    keys.put("services/shop/cart2", WEB)

    assert keys.run("rm", "shop/cart", "--group", "green") == Exit.OK
    assert keys.get("endpoints/shop/cart/green") is None
    assert keys.get("endpoints/shop/cart/main") == SERVERS

    assert keys.run("rm", "shop/cart") == Exit.OK
    assert keys.get("endpoints/shop/cart/main") is None
    assert keys.get("services/shop/cart2") == WEB
    assert keys.run("rm", "shop/cart") == Exit.REJECTED


def test_an_empty_list_says_where_it_has_looked(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.put("../other/settings/global", {})
    assert Keys(keys.path.parent / "other").run("ls") == Exit.OK
    assert f"no service is in file:{keys.path.parent}/other\n" in capsys.readouterr().err
    assert keys.run("ls", "shp") == Exit.OK
    assert "no service is in namespace shp; there are shop\n" in capsys.readouterr().err


def test_the_list_names_what_is_wrong(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    keys.put("services/data/db", {"mode": "tcp", "listen": 5432})
    keys.put("services/shop/broken", {"mode": "udp"})
    keys.put("endpoints/shop/alone/main", SERVERS)

    keys.run("ls", "--output", "json")
    rows = {row["service"]: row for row in json.loads(capsys.readouterr().out)}
    keys.run("ls", "data")
    table = capsys.readouterr().out.splitlines()

    assert rows["shop/cart"]["reached_by"] == "cart.example.com"
    assert rows["shop/cart"]["groups"] == {"main": 1}
    assert "udp" in rows["shop/broken"]["problems"][0]
    assert "nothing leads here" in rows["shop/alone"]["problems"][0]
    assert [line.split() for line in table[1:]] == [["data/db", "tcp", "none", "port", "5432"]]


def test_a_change_by_somebody_else_meanwhile_is_not_overwritten() -> None:
    source = FakeSource({"services/shop/cart": json.dumps(WEB).encode()})
    snapshot = source.snapshot()
    found = changes(stored(snapshot, CART), {"service": {"mode": "http"}}, CART)
    source.put("services/shop/cart", json.dumps({**WEB, "owner": "them"}).encode())

    with pytest.raises(Conflict):
        commit(source, snapshot, found, CART, action="service put")


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_document_is_taken_or_refused_with_a_sentence(data: bytes) -> None:
    try:
        validate(changes({}, parse(data, CART), CART))
    except Rejected as error:
        assert str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "service": json_values,
            "endpoints": st.dictionaries(st.text(max_size=5), json_values, max_size=2)
            | json_values,
            "route": json_values,
        },
    )
)
def test_any_parts_are_taken_or_refused_with_a_sentence(document: dict[str, Any]) -> None:
    try:
        validate(changes({}, parse(json.dumps(document).encode(), CART), CART))
    except Rejected as error:
        assert str(error)
