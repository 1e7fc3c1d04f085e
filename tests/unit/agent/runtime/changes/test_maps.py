"""What a change of a map or list file asks for."""

import pytest

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.changes.maps import Lookup, lookups, read
from lbsync.agent.runtime.changes.steps import AddEntry, DelEntry, ReplaceEntries, SetEntry, Step
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.plan import plan, plan_map
from lbsync.clients.haproxy.capabilities import of_release

CONFIG = """\
frontend fe
    bind :80
    acl ip src -f maps/denied.lst
    http-request set-var(txn.a) str(a),map(maps/backends.map)
    http-request set-var(txn.b) str(a),map_beg(maps/routes.map)
    http-request set-var(txn.c) str(a),map_end(maps/wildcards.map)
    http-request set-var(txn.d) str(a),map_str_int(maps/splits.map)
"""
FILES = {
    "maps/backends.map": "s/a be_a\ns/b be_b\n",
    "maps/routes.map": "a.test/ s/a\nb.test/ s/b\n",
    "maps/wildcards.map": ".x.test *.x.test\n",
    "maps/splits.map": "s/a 4\n",
    "maps/denied.lst": "192.0.2.1\n",
}


def running(**changes: str) -> RuntimeConfig:
    return RuntimeConfig(Parser().parse(CONFIG), data(changes))


def data(changes: dict[str, str]) -> dict[str, bytes]:
    files = {**FILES, **{f"maps/{name}.map": text for name, text in changes.items()}}
    return {path: text.encode() for path, text in files.items()}


def planned(old: dict[str, str], new: dict[str, str]) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    made = plan(running(**old), Parser().parse(CONFIG), data(new), of_release((2, 6, 12)))
    return made.steps, made.reasons


def test_keys_come_change_and_go_in_the_order_that_leads_nobody_astray() -> None:
    steps, reasons = planned(
        {},
        {
            "backends": "s/a be_c\ns/c be_c\n",
            "routes": "a.test/ s/c\nc.test/ s/c\n",
            "splits": "s/a 8\n",
        },
    )
    assert reasons == ()
    assert steps == (
        AddEntry("map", "maps/backends.map", "s/c", "be_c"),
        SetEntry("maps/backends.map", "s/a", "be_c"),
        AddEntry("map", "maps/routes.map", "c.test/", "s/c"),
        SetEntry("maps/routes.map", "a.test/", "s/c"),
        SetEntry("maps/splits.map", "s/a", "8"),
        DelEntry("map", "maps/routes.map", "b.test/"),
        DelEntry("map", "maps/backends.map", "s/b"),
    )


def test_order_and_comments_of_a_tree_do_not_count() -> None:
    same = "# two\n\n  s/b   be_b  \ns/a\tbe_a\r\n"
    assert planned({}, {"backends": same}) == ((), ())


def test_where_the_first_match_wins_the_map_is_replaced_as_a_whole() -> None:
    steps, _ = planned({}, {"wildcards": ".y.x.test 1\n.x.test *.x.test\n"})
    wanted = ((".y.x.test", "1"), (".x.test", "*.x.test"))
    assert steps == (ReplaceEntries("map", "maps/wildcards.map", wanted),)


@pytest.mark.parametrize("old", ["s/a be_a\n", "s/a be_a\ns/a be_b\n"])
def test_a_repeated_key_cannot_be_changed_by_itself(old: str) -> None:
    (step,), _ = planned({"backends": old}, {"backends": "s/a be_c\ns/a be_a\n"})
    assert isinstance(step, ReplaceEntries)
    assert len(step.entries) == 2


def test_most_of_a_map_is_changed_at_once_yet_nothing_leaves_early() -> None:
    old = "".join(f"s/{number} be_a\n" for number in range(300))
    new = "".join(f"s/{number} be_b\n" for number in range(100, 400))
    (first, last), _ = planned({"backends": old}, {"backends": new})
    assert isinstance(first, ReplaceEntries) and isinstance(last, ReplaceEntries)
    assert dict(first.entries).keys() == {f"s/{number}" for number in range(400)}
    assert dict(last.entries) == {f"s/{number}": "be_b" for number in range(100, 400)}


def test_few_changes_of_a_long_map_are_made_one_by_one() -> None:
    old = "".join(f"s/{number} be_a\n" for number in range(3000))
    steps, _ = planned({"backends": old}, {"backends": old + "s/x be_a\n"})
    assert steps == (AddEntry("map", "maps/backends.map", "s/x", "be_a"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s/a\n", "'s/a' has no value"),
        ("s/a be_\0\n", "cannot be written"),
        (" #a be_a\n", "'#a' cannot be written"),
        ("s/\udce9 be_a\n", "cannot be written"),
    ],
)
def test_what_cannot_be_said_over_the_api_is_a_reload(text: str, words: str) -> None:
    files = data({})
    files["maps/backends.map"] = text.encode(errors="surrogateescape")
    made = plan(running(), Parser().parse(CONFIG), files, of_release((2, 6, 12)))
    assert len(made.reasons) == 1 and words in made.reasons[0]
    assert made.steps == ()


def test_a_list_takes_and_loses_patterns() -> None:
    files = data({})
    files["maps/denied.lst"] = b"198.51.100.0/24\n"
    made = plan(running(), Parser().parse(CONFIG), files, of_release((2, 6, 12)))
    assert made.steps == (
        AddEntry("acl", "maps/denied.lst", "198.51.100.0/24", ""),
        DelEntry("acl", "maps/denied.lst", "192.0.2.1"),
    )


def test_files_that_nothing_reads_make_no_difference_and_others_are_a_reload() -> None:
    config = Parser().parse(CONFIG + "    errorfile 503 errors/503.http\n")
    old = {**data({}), "errors/503.http": b"x", "notes.txt": b"x"}
    known = RuntimeConfig(config, old)
    assert plan(known, config, {**old, "notes.txt": b"y"}, of_release((2, 6, 12))).empty
    made = plan(known, config, {**old, "errors/503.http": b"y"}, of_release((2, 6, 12)))
    assert made.reasons == (
        "errors/503.http: it changed, and HAProxy reads it only when it starts",
    )
    del old["errors/503.http"]
    assert plan(known, config, old, of_release((2, 6, 12))).reload


def test_the_way_a_file_is_used_decides() -> None:
    text = """\
frontend fe
    acl a path -f both
    acl b path -M -f mapped
    http-request set-var(txn.a) str(a),map(both)
    http-request set-var(txn.a) str(a),map(twice)
    http-request set-var(txn.a) str(a),map_reg(twice)
    http-request set-var(txn.a) str(a),map_ip(tree,x)
    http-request set-var(txn.a) str(a),map_dom(ordered)
    errorfile 503 page
"""
    found = lookups(placed.section for placed in Parser().parse(text).placed)
    assert found == {
        "both": None,
        "mapped": None,
        "page": None,
        "twice": Lookup("map", True),
        "tree": Lookup("map", False),
        "ordered": Lookup("map", True),
    }


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (b"", []),
        (b"a b\na c", [("a", "b"), ("a", "c")]),
        (b"#a b\n #a b\n", [("#a", "b")]),
        (b"  a \t b c # d  \n\n \t\n", [("a", "b c # d")]),
        (b"a\nb \r\n", [("a", ""), ("b", "")]),
    ],
)
def test_a_map_is_read_as_haproxy_reads_it(text: bytes, pairs: list[tuple[str, str]]) -> None:
    found = read(text, "map")
    assert list(found.pairs) == pairs
    assert found.unique == (len(found.values) == len(pairs))
    assert len(found) == len(pairs)


def test_changed_lines_alone_are_enough_for_a_plan() -> None:
    known = running()
    gone, come = [("s/a", "be_a"), ("s/b", "be_b")], [("s/a", "be_b"), ("s/c", "be_c")]
    made = plan_map(known, "maps/backends.map", gone, come)
    assert made.steps == (
        AddEntry("map", "maps/backends.map", "s/c", "be_c"),
        SetEntry("maps/backends.map", "s/a", "be_b"),
        DelEntry("map", "maps/backends.map", "s/b"),
    )
    known.adopt_entries("maps/backends.map", ["s/b"], come)
    same = data({"backends": "s/c be_c\ns/a be_b\n"})
    assert plan(known, Parser().parse(CONFIG), same, of_release((2, 6, 12))).empty
    assert not plan(known, Parser().parse(CONFIG), data({}), of_release((2, 6, 12))).empty
    known.adopt(Parser().parse(CONFIG), same, ())
    assert known.entries("maps/backends.map").values == {"s/a": "be_b", "s/c": "be_c"}


def test_lines_that_are_changed_back_by_a_file_are_known_as_in_the_file() -> None:
    """A step of a switch was made at once, and taken back before any pass had seen it: the file never changed. To
    remember the step would have it made again, as the mending of drift."""
    known = running()
    before = dict(known.files)
    wanted = dict(known.entries("maps/backends.map").values)
    known.adopt_entries("maps/backends.map", [], [("s/c", "be_c")])
    made = plan(known, Parser().parse(CONFIG), before, of_release((2, 6, 12)))
    assert made.steps == (DelEntry("map", "maps/backends.map", "s/c"),)
    known.adopt(Parser().parse(CONFIG), before, made.steps)
    assert known.entries("maps/backends.map").values == wanted


@pytest.mark.parametrize(
    ("path", "gone", "come"),
    [
        ("maps/wildcards.map", [], [("x", "y")]),
        ("maps/nothing.map", [], [("x", "y")]),
        ("maps/backends.map", [("s/x", "y")], []),
        ("maps/backends.map", [], [("s/a", "y")]),
        ("maps/backends.map", [], [("s/x", "")]),
    ],
)
def test_changed_lines_that_do_not_fit_are_a_reload(
    path: str, gone: list[tuple[str, str]], come: list[tuple[str, str]]
) -> None:
    assert plan_map(running(), path, gone, come).reload


def test_many_keys_that_go_or_change_are_not_looked_up_one_by_one() -> None:
    """HAProxy walks through the whole map for each."""
    path = "maps/backends.map"
    old = [(f"s/{number}", "be_a") for number in range(2000)]
    known = running()
    known.adopt_entries(path, ["s/a", "s/b"], old)
    gone, come = old[:600], [("s/new", "be_b")]
    made = plan_map(known, path, gone, come)
    assert not made.reload
    assert {type(step) for step in made.steps} == {ReplaceEntries}
    last = made.steps[-1]
    assert isinstance(last, ReplaceEntries)
    assert dict(last.entries) == {**dict(old[600:]), "s/new": "be_b"}
    by_key = plan_map(known, path, old[:3], come).steps
    assert ReplaceEntries not in {type(step) for step in by_key}
