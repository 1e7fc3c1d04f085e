"""Writing services by hand in a real etcd: many at once, and one in an editor."""

import itertools
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.etcd import Etcd, open_etcd
from lbsync.cli import main
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.source import Delete, Put
from lbsync.errors import Exit
from lbsync.schema.confirming import confirmations
from lbsync.schema.orders import history

numbers = itertools.count(1)
WEB = {"mode": "http", "hosts": ["cart.example.com"]}
SERVERS = {"servers": [{"name": "a", "address": "10.0.0.7", "port": 8080}]}


class Place:
    """A prefix of its own, and commands that work there."""

    def __init__(self, etcd: Etcd, prefix: str, path: Path) -> None:
        self.source: EtcdSource = open_etcd(etcd.urls, prefix)
        self.path = path
        self._flags = ["--etcd-endpoints", ",".join(map(str, etcd.urls)), "--prefix", prefix]

    def run(self, *words: str) -> int:
        return main([*words, *self._flags])

    def value(self, key: str) -> object:
        item = self.source.get(key)
        return json.loads(item.value) if item else None

    def editor(self, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have a shell script for an editor; `$1` is the file."""
        program = self.path / "editor"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(program))


@pytest.fixture
def place(etcd: Etcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    monkeypatch.setenv("LBSYNC_CONFIG", str(empty))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    found = Place(etcd, f"/documents-{next(numbers)}/", tmp_path)
    yield found
    found.source.close()


def cart(place: Place) -> None:
    place.source.commit(
        [],
        [
            Put("services/shop/cart", json.dumps(WEB).encode()),
            Put("endpoints/shop/cart/main", json.dumps(SERVERS).encode()),
            Put("routes/shop/cart", b'{"groups": {"main": 1}}'),
        ],
    )


def test_more_keys_than_one_transaction_takes_are_written_and_go_as_meant(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {
        key: value
        for n in range(150)
        for key, value in (
            (f"services/a/{n}", {"mode": "http", "hosts": [f"{n}.example"]}),
            (f"endpoints/a/{n}/main", SERVERS),
        )
    }
    file = place.path / "all.json"
    file.write_text(json.dumps(keys))
    words = ("apply", "-f", str(file), "--tree", "t", "--prune", "--yes")

    assert place.run(*words) == Exit.OK
    first = place.source.snapshot().items
    file.write_text(json.dumps({"services/a/0": keys["services/a/0"]}))
    assert place.run(*words) == Exit.OK

    left = place.source.snapshot().items
    assert sum(key.startswith(("services/", "endpoints/")) for key in first) == 300
    assert [key for key in left if key.startswith(("services/", "endpoints/"))] == ["services/a/0"]
    assert not confirmations(left).found  # the guard of every host judges what nobody named
    entries = history(left)
    assert [entry.action for entry in entries] == ["apply", "apply"]
    assert "299 keys, 299 removed, in 3 steps" in entries[1].detail
    assert "a/0, a/1, a/10, a/100, a/101 and 145 more" in entries[1].what
    capsys.readouterr()


def test_what_a_document_takes_from_a_service_by_name_is_confirmed_with_it(place: Place) -> None:
    cart(place)
    file = place.path / "less.yaml"
    file.write_text("endpoints/shop/cart/main: {servers: []}")

    assert place.run("apply", "-f", str(file)) == Exit.OK

    said = confirmations(place.source.snapshot().items).found.values()
    assert [record.services for _, record in said] == [{"shop/cart": 0}]


def test_an_edited_service_is_checked_shown_and_written(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cart(place)
    place.editor(
        'stat -c %a "$1" > "$1.mode"; sed -i \'s/cart.example/new.example/; /^route/,$d\' "$1"',
        monkeypatch,
    )

    assert place.run("service", "edit", "shop/cart") == Exit.OK

    assert place.value("services/shop/cart") == {"mode": "http", "hosts": ["new.example.com"]}
    assert place.value("routes/shop/cart") is None
    assert place.value("endpoints/shop/cart/main") == SERVERS
    assert '+    "new.example.com"' in capsys.readouterr().out
    (mode,) = place.path.glob("lbsync-*.mode")
    assert stat.S_IMODE(int(mode.read_text(), 8)) == 0o600
    assert not [*place.path.glob("lbsync-*.yaml")]
    assert [entry.action for entry in history(place.source.snapshot().items)] == ["service edit"]


def test_a_refused_text_comes_back_with_the_reasons_and_can_be_mended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    cart(place)
    place.editor(
        'grep -q REFUSED "$1" && cp "$1" "$1.seen" && '
        "exec sed -i 's/htp/tcp/; s/hosts:/listen: 5432/; /- cart/d' \"$1\"\n"
        "exec sed -i 's/mode: http/mode: htp/' \"$1\"",
        monkeypatch,
    )

    assert place.run("service", "edit", "shop/cart") == Exit.OK

    assert place.value("services/shop/cart") == {"mode": "tcp", "listen": 5432}
    (seen,) = place.path.glob("lbsync-*.seen")
    assert seen.read_text().startswith(
        "#| REFUSED: nothing was written: services/shop/cart: mode: 'htp'"
    )


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sed -i 's/mode: http/mode: htp/' \"$1\"", "mode: 'htp' is no choice"),
        ("sed -i 's/mode: http/mode: tcp/' \"$1\"; exit 3", "the editor ended with 3"),
        ("printf '\\377' > \"$1\"", "no UTF-8"),
        ("sed -i '/^service/,/- cart/d' \"$1\"", "the part service is missing"),
    ],
)
def test_a_text_that_nobody_can_write_is_kept(
    place: Place,
    script: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cart(place)
    place.editor(script, monkeypatch)

    assert place.run("service", "edit", "shop/cart") == Exit.REJECTED

    said = capsys.readouterr().err
    assert told in said
    (kept,) = place.path.glob("lbsync-*.yaml")
    assert f"your text is kept in {kept}" in said
    assert place.value("services/shop/cart") == WEB


def test_a_change_of_somebody_else_while_the_editor_is_open_is_kept(
    etcd: Etcd, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cart(place)
    key = f"{place.source._prefix}services/shop/cart"
    theirs = json.dumps({"mode": "http", "hosts": ["theirs.example"]})
    monkeypatch.setenv("ETCDCTL_API", "3")
    place.editor(
        f"sed -i 's/cart.example/mine.example/' \"$1\"; etcdctl --endpoints {etcd.urls[0]} put '{key}' '{theirs}'",
        monkeypatch,
    )

    assert place.run("service", "edit", "shop/cart") == Exit.CONFLICT

    said = capsys.readouterr().err
    assert "somebody else changed it meanwhile" in said
    assert "'lbsync service get shop/cart' shows what is stored now" in said
    assert place.value("services/shop/cart") == json.loads(theirs)


def test_an_editor_that_changes_nothing_or_empties_the_file_writes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cart(place)
    before = place.source.snapshot().items
    for script, told in (("true", "unchanged"), (': > "$1"', "the text is empty")):
        place.editor(script, monkeypatch)
        assert place.run("service", "edit", "shop/cart") == Exit.OK
        assert told in capsys.readouterr().out
    monkeypatch.setenv("VISUAL", "/no/such/editor --wait")
    assert place.run("service", "edit", "shop/cart") == Exit.UNAVAILABLE
    monkeypatch.setenv("VISUAL", "'unfinished")
    assert place.run("service", "edit", "shop/cart") == Exit.REJECTED
    assert place.source.snapshot().items == before
    place.source.commit(
        [],
        [
            Delete("services/shop/cart"),
            Delete("endpoints/shop/cart/main"),
            Delete("routes/shop/cart"),
        ],
    )
    assert place.run("service", "edit", "shop/cart") == Exit.REJECTED
    assert place.source.snapshot().items == {}
    assert not [*place.path.glob("lbsync-*.yaml")]
