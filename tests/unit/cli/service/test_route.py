"""`lbsync route` and `lbsync lookup`: where traffic goes."""

import json
from pathlib import Path

import pytest

from lbsync.cli import main
from lbsync.errors import Exit


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "empty.toml").write_text("")
    monkeypatch.setenv("LBSYNC_CONFIG", str(tmp_path / "empty.toml"))
    root = tmp_path / "keys"
    servers = {"servers": [{"name": "a", "address": "10.0.0.7", "port": 8080}]}
    for key, value in {
        "services/shop/cart": {"mode": "http", "hosts": ["cart.example.com"], "paths": ["/api"]},
        "services/shop/web": {
            "mode": "http",
            "hosts": ["web.example.com"],
            "preview": {
                "networks": ["10.0.0.0/8"],
                "hosts": {"green": "green.example.com", "red": "red.example.com"},
            },
        },
        "endpoints/shop/web/blue": servers,
        "endpoints/shop/web/green": servers,
        "services/shop/db": {"mode": "tcp", "listen": 5432},
        "endpoints/shop/cart/blue": servers,
        "endpoints/shop/cart/green": servers,
        "endpoints/shop/db/main": servers,
    }.items():
        file = root / f"{key}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    return root


def run(keys: Path, *words: str) -> int:
    return main([*words, "--source", f"file:{keys}"])


def test_traffic_goes_to_the_groups_that_are_named_and_no_other(
    keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(keys, "route", "shop/cart", "green=95", "blue=5") == Exit.OK
    stored = json.loads((keys / "routes/shop/cart.json").read_text())
    assert stored == {"groups": {"green": 95, "blue": 5}}
    assert run(keys, "route", "shop/cart", "green=100", "--dry-run") == Exit.CHANGED
    assert json.loads((keys / "routes/shop/cart.json").read_text()) == stored
    assert run(keys, "route", "shop/cart", "green=100") == Exit.OK
    assert run(keys, "route", "shop/cart", "green=100") == Exit.OK
    assert "shop/cart: unchanged" in capsys.readouterr().out
    assert run(keys, "route", "shop/cart") == Exit.OK
    assert capsys.readouterr().out.split() == [
        *("GROUP", "WEIGHT"),
        *("blue", "0"),
        *("green", "100"),
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("shop/cart", "grene=1"), "it has no group 'grene'; there are blue, green"),
        (("shop/nothing", "a=1"), "there is no such service"),
        (("shop/cart", "green=0"), "every weight is 0"),
        (("shop/cart", "green=100000"), "groups.green"),
    ],
)
def test_a_route_to_nowhere_is_refused_and_nothing_is_written(
    keys: Path, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(keys, "route", *words) == Exit.REJECTED
    assert told in capsys.readouterr().err
    assert not (keys / "routes").exists()


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("https://cart.example.com/api/items", Exit.OK, "shop/cart answers"),
        ("cart.example.com/api", Exit.OK, "shop/cart answers"),
        ("http://cart.example.com/", Exit.REJECTED, "Nobody claims it"),
        ("http://other.example.com/api", Exit.REJECTED, "Nobody claims it"),
        (
            "https://green.example.com/",
            Exit.OK,
            "its group green, whatever share that has, but to clients in 10.0.0.0/8 alone",
        ),
        ("https://red.example.com/x", Exit.OK, "There is no such group now: HAProxy answers 503"),
        ("tcp://lb:5432", Exit.OK, "shop/db answers on port 5432"),
    ],
)
def test_who_answers_a_url_is_told(
    keys: Path, url: str, code: Exit, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(keys, "lookup", url) == code
    assert told in capsys.readouterr().out
    assert run(keys, "lookup", url, "--output", "json") == code
    assert told in json.loads(capsys.readouterr().out)["sentence"]


def test_who_may_see_a_preview_is_shown_with_the_service(
    keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(keys, "service", "show", "shop/web") == Exit.OK
    assert (
        "by header X-Lbsync-Group, for 10.0.0.0/8; green.example.com leads to green"
        in capsys.readouterr().out
    )
