"""What HAProxy evaluates is found; what is only text never is, whatever it looks like."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.haproxycfg import lint
from lbsync.agent.haproxycfg.config import Config, Parser
from lbsync.agent.haproxycfg.expressions import Value, evaluated
from lbsync.agent.haproxycfg.lexer import words
from lbsync.agent.runtime.changes.maps import lookups
from lbsync.cli.configuration.plan import make_plan
from lbsync.model.rendered import Rendered
from lbsync.settings import Settings
from tests.builders import a_snapshot

#: Text that would be configuration elsewhere.
ODD = [
    *("see map(foo)", "map_reg(maps/routes.map)", "x,map(maps/backends.map)", "/map([0-9]+)"),
    *("%[map(foo)]", "%[var(txn.a),map_beg(maps/routes.map)]", "%{+Q}[map(foo)]", "-f", "-M"),
    *("if", "unless", "{", "}", "if { src -f foo }", "-f foo", "errorfile 503 foo", "global"),
    *("description x", "disabled", "weight 0", "@lbsync-digest@", "${HOME}", "$HOME", "backend x"),
    *("default-path config", "server-state-file /x", ".if", "crt-base /x", "#", "\\", "'", '"'),
]
odd = st.lists(st.sampled_from(ODD), min_size=1, max_size=4).map(" ".join)
# Alone it would end a condition, and is refused.
odd = odd.filter(lambda text: text != "}")


@pytest.mark.parametrize(
    ("line", "maps"),
    [
        ("http-request set-var(txn.a) str(a),map(m)", [("m", "")]),
        ("http-request set-var(txn.a) str(a) map_str_int(m)", [("m", "str")]),
        ("http-request set-var(txn.a) req.hdr(x),map_beg(m,none)", [("m", "beg")]),
        ("http-request set-header x %[src,map_ip(m,a)] if { path /x }", [("m", "ip")]),
        ("http-request set-header x y if { path,map_reg(m) -m found }", [("m", "reg")]),
        ("http-request set-map(m) %[src] %[path,map_str(n)]", [("m", ""), ("n", "str")]),
        ("http-request redirect location %{+Q}[path,map(m)] code 302 unless { src x }", [("m", "")]),
        ("http-request return status 200 hdr a %[path,map(m)] lf-string %[src,map(n)]",
         [("m", ""), ("n", "")]),
        ("use_backend %[path,map_beg(m,b)] if { src x }", [("m", "beg")]),
        ("tcp-request content set-var(txn.a) src,map_ip(m)", [("m", "ip")]),
        ("acl a path,map_dom(m) -m found", [("m", "dom")]),
        ("log-format %[path,map(m)]", [("m", "")]),
        ("stick on src,map(m) table t", [("m", "")]),
        ("balance hash src,map(m)", [("m", "")]),
        ("some-new-keyword of 3.9 src,map_end(m)", [("m", "end")]),
        ("http-request some-new-action map(m)", [("m", "")]),
        ("http-request set-header x map(m)", []),
        ("http-request set-header if map(m)", []),
        ("http-request set-header x %%[map(m)]", []),
        ("http-request set-header x %[str(map(m))]", []),
        ("http-request replace-path /map([0-9]+) /x", []),
        ("http-request set-header x y if { path map(m) }", []),
        ("cookie map(m) insert", []),
    ],
)  # fmt: skip
def test_maps_are_found_where_they_are_evaluated(line: str, maps: list[tuple[str, str]]) -> None:
    keyword, *rest = words(line)
    found = evaluated(keyword, rest)
    assert list(found.maps if found else ()) == maps


@pytest.mark.parametrize(
    ("line", "lists", "of_maps"),
    [
        ("acl a src -f one -i -f two -- -f three", ("one", "two"), False),
        ("acl a path -m beg -M -f one", ("one",), True),
        ("http-request deny if a || { src -f one } !{ path -f two }", ("one", "two"), False),
        ("http-request set-header x -f if a", None, False),
        ("http-request set-header -f x if { path -m str x -f y }", None, False),
    ],
)
def test_lists_are_found_where_flags_stand(
    line: str, lists: tuple[str, ...] | None, of_maps: bool
) -> None:
    keyword, *rest = words(line)
    expected = Value((), lists, of_maps) if lists else None
    assert evaluated(keyword, rest) == expected


def _rendered(text: str, name: str) -> tuple[Config, Rendered]:
    service = {
        "mode": "http",
        "hosts": ["a.example"],
        "headers": {
            "request": {"set": {"X-A": text, "if": text, "map": text}, "add": {"unless": text}},
            "response": {"add": {"X-B": text}},
        },
        "rewrite": {"pattern": "/map([0-9]+)", "replacement": "/if/map(maps/routes.map)"},
        "sticky": {"cookie": name},
        "cors": {
            "origins": ["https://map.example"],
            "headers": ["map", "if"],
            "expose": ["unless"],
        },
        "auth": {"users": {"map": f"$6$abcdefgh${'a' * 86}"}, "realm": "map(foo) if"},
        "deny": ["192.0.2.7"],
        "owner": text,
    }
    servers = [{"name": name, "address": "10.0.0.1", "port": 80, "weight": 7}]
    values = {
        "services/a/b": service,
        "endpoints/a/b/default": {"servers": servers},
        "services/backend/global": {"mode": "http", "hosts": ["b.example"]},
    }
    plan = make_plan(Settings(), a_snapshot(values))
    assert not [problem for problem in plan.desired.problems if text not in ("#",)]
    (main,) = [file for file in plan.rendered.files if file.path == "haproxy.cfg"]
    return Parser().parse(main.data.decode()), plan.rendered


def _broken(files: dict[str, bytes], config: Config, digest: str) -> list[str]:
    return [str(finding) for finding in lint.broken(files, config, digest)]


def _shapes(config: Config) -> list[tuple[str, str]]:
    """Kinds and names of all sections; names of profiles are digests of what was written."""
    found = [(placed.section.kind, placed.section.name) for placed in config.placed]
    return sorted((kind, re.sub("p_[0-9a-f]+$", "p_", name)) for kind, name in found)


@given(odd, st.sampled_from(["a", "disabled", "weight", "enabled", "sni", "cookie", "map"]))
def test_no_value_of_a_writer_is_read_as_configuration(text: str, name: str) -> None:
    config, rendered = _rendered(text, name)
    plain, _ = _rendered("x", "a")

    def used(of: Config) -> object:
        return lookups(placed.section for placed in of.placed)

    assert used(config) == used(plain)
    assert _shapes(config) == _shapes(plain)
    (server,) = [s for p in config.of("backend") for s in p.section.servers]
    assert (server.name, server.weight, server.disabled) == (name, 7, None)
    files = {file.path: file.data for file in rendered.files}
    assert not [found for found in _broken(files, config, rendered.digest) if "names the" in found]
    kept = files["haproxy.cfg"].count(b"@lbsync-digest@")
    assert kept == text.count("@lbsync-digest@") * 5


@pytest.mark.parametrize("part", ["map_a", "map_", "map", "map(", "map_a(", " ", "a"])
def test_a_long_word_of_nothing_known_is_gone_through_once(part: str) -> None:
    word = part * (200_000 // len(part))
    began = time.thread_time()
    evaluated("unheard-of", [word, f"map_beg({word}"])
    assert time.thread_time() - began < 2.0
