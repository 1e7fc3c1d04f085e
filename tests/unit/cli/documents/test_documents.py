"""`lbsync apply` and `export`: what is exported is read back to no change; what is wrong is told at once."""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.cli import main
from lbsync.cli.documents.export import text_of
from lbsync.cli.documents.stepwise import write_all
from lbsync.clients.files import input_documents
from lbsync.clients.source import Delete, Guard, Put
from lbsync.errors import Conflict, Exit, Unavailable
from lbsync.log.stream import harmless
from lbsync.model.records import EndpointsRecord, RouteRecord, ServiceRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.applying import plan
from tests import contract_strategies as contract
from tests.fakes import FakeSource

WEB = {"mode": "http", "hosts": ["cart.example.com"]}
SERVERS = {"servers": [{"name": "a", "address": "10.0.0.7", "port": 8080}]}
YAML = """\
# the shop's
services/shop/cart: {mode: http, hosts: [cart.example.com]}
endpoints/shop/cart/:
  main: {servers: [{name: a, address: 10.0.0.7, port: 8080}]}
---
routes/shop/cart: {groups: {main: 1}}
"""


class Place:
    """A source of files, and a directory of documents."""

    def __init__(self, path: Path) -> None:
        self.source, self.documents = path / "source", path / "documents"
        self.source.mkdir()
        self.documents.mkdir()

    def run(self, *words: str) -> int:
        return main([*words, "--source", f"file:{self.source}"])

    def apply(self, *words: str) -> int:
        return self.run("apply", "-f", str(self.documents), *words)

    def write(self, name: str, text: str) -> None:
        path = self.documents / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def stored(self) -> dict[str, Any]:
        return {
            str(path.relative_to(self.source).with_suffix("")): json.loads(path.read_text())
            for path in self.source.rglob("*.json")
        }


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    monkeypatch.setenv("LBSYNC_CONFIG", str(empty))
    return Place(tmp_path)


def test_a_directory_of_documents_and_of_keys_is_written(place: Place) -> None:
    place.write("shop.yaml", YAML)
    place.write("services/shop/web.yml", "mode: http\nhosts: [web.example.com]\n")
    place.write("README.md", "# ours: see `services`")
    place.write(".git/config", "[core]")

    assert place.apply() == Exit.OK

    assert place.stored() == {
        "services/shop/cart": WEB,
        "endpoints/shop/cart/main": SERVERS,
        "routes/shop/cart": {"groups": {"main": 1}},
        "services/shop/web": {"mode": "http", "hosts": ["web.example.com"]},
    }
    assert place.apply("--dry-run") == Exit.OK  # as it is so already


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("shop.yaml", YAML)

    assert place.apply("--dry-run") == Exit.CHANGED

    said = capsys.readouterr().out
    assert '+  "mode": "http",' in said
    assert "3 keys of 1 service: 3 new; 0 unchanged" in said
    assert place.stored() == {}


def test_all_that_is_wrong_in_all_files_is_told_at_once(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(
        "a.yaml", "services/shop/a: {mode: htp}\nservices/shop/ok: {mode: http, hosts: [o.example]}"
    )
    place.write("b.yaml", "services/shop/b: [")
    place.write("c.yaml", "service: {mode: http}")
    place.write("d.json", "{'x'}")
    place.write("services/shop/ok.yaml", "mode: http")
    place.write("services/shop/e/e.yaml", "mode: http")
    place.write("f.yaml", "services/shop/f: {mode: http, hosts: [f.example], hosts: []}")
    place.write("g.yaml", "services/shop/g: {mode: tcp, listen: 22}")

    assert place.apply() == Exit.REJECTED

    said = capsys.readouterr().err.splitlines()
    assert "nothing was written, as 8 things are wrong" in said[0]
    told = "\n".join(said[1:])
    for word in (
        "a.yaml: services/shop/a: mode: 'htp'", "b.yaml: line 2", "c.yaml: it is the document of one",
        "d.json: it is no JSON", "ok.yaml: services/shop/ok is in", "e.yaml: the key is not of the form",
        "f.yaml: line 1: hosts is given twice", "g.yaml: services/shop/g: listen: port 22",
    ):  # fmt: skip
        assert word in told
    assert place.stored() == {}


@pytest.mark.parametrize("text", ["", "{}", "---\n", "# nothing\n", "null"])
def test_a_directory_without_a_document_prunes_nothing(
    place: Place, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("shop.yaml", YAML)
    assert place.apply("--tree", "shop") == Exit.OK
    place.write("shop.yaml", text)

    assert place.apply("--tree", "shop", "--prune", "--yes") == Exit.REJECTED

    assert "there is no document" in capsys.readouterr().err
    assert len(place.stored()) == 3


def test_pruning_is_shown_and_wants_a_yes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write("shop.yaml", YAML)
    place.write("web.yaml", "services/shop/web: {mode: http, hosts: [web.example.com]}")
    assert place.apply("--tree", "shop") == Exit.OK
    (place.documents / "web.yaml").unlink()

    assert place.apply("--tree", "shop") == Exit.OK  # without --prune nothing goes
    assert place.apply("--tree", "shop", "--prune") == Exit.REJECTED

    said = capsys.readouterr()
    assert "+++ services/shop/web" in said.out
    assert "1 key would be removed; --yes if that plan is meant" in said.err
    assert "services/shop/web" in place.stored()
    assert place.apply("--tree", "shop", "--prune", "--yes") == Exit.OK
    assert "services/shop/web" not in place.stored()


def test_a_closed_standard_input_is_a_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    assert place.run("apply", "-f", "-") == Exit.REJECTED
    assert place.run("service", "put", "shop/cart", "-f", "-") == Exit.REJECTED

    assert capsys.readouterr().err.count("standard input is closed") == 2


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_is_exported_is_read_back_to_no_change(
    place: Place,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place.write("shop.yaml", YAML)
    place.write("settings/global.yaml", "https: only")
    assert place.apply("--tree", "shop") == Exit.OK
    capsys.readouterr()

    assert place.run("export", "-o", form) == Exit.OK
    text = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    assert place.run("apply", "-f", "-") == Exit.OK
    assert "unchanged: 4 keys" in capsys.readouterr().out
    assert place.run("export", "nobody") == Exit.REJECTED
    assert place.run("export", "shop/cart") == Exit.OK
    assert "settings/global" not in capsys.readouterr().out


def test_what_no_document_can_hold_is_named_and_the_rest_exported(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("shop.yaml", YAML)
    assert place.apply() == Exit.OK
    capsys.readouterr()
    for name, text in (("a", "nonsense"), ("b", '"text"'), ("c", '{"a":1,"a":2}'), ("d", "[1]")):
        (place.source / f"services/shop/{name}.json").write_text(text)

    assert place.run("export") == Exit.REJECTED

    said = capsys.readouterr()
    assert [line.split(":")[1].strip() for line in said.err.splitlines()] == [
        f"services/shop/{name}" for name in "abcd"
    ]
    assert "services/shop/cart:" in said.out


RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "services/a/b": contract.of_record(ServiceRecord),
        "endpoints/a/b/c": contract.of_record(EndpointsRecord),
        "routes/a/b": contract.of_record(RouteRecord),
        "services/0/1e3": st.dictionaries(st.text(), contract.ANYTHING, max_size=3),
    },
)


@given(RECORDS, st.sampled_from(["yaml", "json"]))
def test_whatever_is_stored_is_exported_to_no_change(
    tmp_path: Path, values: dict[str, Any], form: str
) -> None:
    stored = {key: Item(key, json.dumps(value).encode(), 1, 1) for key, value in values.items()}
    exported = text_of(list(stored.values()), form)
    shown = harmless("".join(exported.texts), line_ends=True)  # as a terminal would have it
    file = tmp_path / "export"
    file.write_text(shown)

    found = input_documents.read(str(file))

    assert not found.problems
    assert found.values.keys() == stored.keys() - exported.left_out.keys()
    planned = plan(Snapshot(1, 1, stored), found.values, found.places)
    assert (planned.changes, planned.problems) == ((), ())


class Breaking(FakeSource):
    """Does something else at the third write."""

    def __init__(self, fault: BaseException) -> None:
        super().__init__()
        self._fault: BaseException | None = fault
        self._left = 3

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        self._left -= 1
        if self._left == 0:
            assert self._fault
            raise self._fault
        return super().commit(expect, ops)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Conflict("services/a/x: is at mod_revision 7"), "somebody else has changed a key"),
        (Unavailable("etcd does not answer"), "etcd does not answer; run it again"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_what_was_written_is_told_when_it_is_cut_off(
    fault: BaseException, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Breaking(fault)
    values = {
        f"services/a/{n}": json.dumps(WEB | {"hosts": [f"{n}.example"]}).encode()
        for n in range(350)
    }
    snapshot = source.snapshot()
    planned = plan(snapshot, values, {})

    with pytest.raises(type(fault)) as raised:
        write_all(source, snapshot, planned.changes, what="x")

    said = f"{raised.value}{capsys.readouterr().err}"
    assert "200 of 350 keys are written" in said
    assert told in said
    again = source.snapshot()
    rest = plan(again, values, {})
    assert len(rest.changes) == 150
    write_all(source, again, rest.changes, what="x")
    assert len(source.snapshot().items) == 350
