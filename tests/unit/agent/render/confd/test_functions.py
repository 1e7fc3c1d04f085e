"""Functions that confd users know mean the same here."""

import fnmatch
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.render.confd import functions
from lbsync.agent.render.confd.keys import Keys
from lbsync.agent.render.renderer import OutputSpec, Renderer
from lbsync.errors import BadKey, LbsyncError, Rejected, TemplateError
from tests.unit.agent.render.conftest import Render

STORE = {
    "services/shop/10": b"ten",
    "services/shop/9": b"nine",
    "/services/shop/a/deep": b"deep",
    "services/shop": b"leaf",
    "services/empty": b"",
    "other": b"ten",
}


@pytest.fixture
def keys() -> Keys:
    return Keys(STORE)


def test_exists_is_true_for_leaves_only(keys: Keys) -> None:
    assert keys.exists("/services/shop/10")
    assert keys.exists("/services/shop")
    assert not keys.exists("/services")
    assert not keys.exists("services/shop/10")


def test_getv_gives_the_default_for_absent_keys_only(keys: Keys) -> None:
    assert keys.getv("/other") == "ten"
    assert keys.getv("/services/empty", "default") == ""
    assert keys.getv("/nope", "default") == "default"
    assert keys.getv("/nope", "") == ""
    with pytest.raises(Rejected, match="there is no key '/nope'"):
        keys.getv("/nope")
    with pytest.raises(Rejected, match="keys start with '/'"):
        keys.get("other")


def test_pairs_answer_to_both_spellings(keys: Keys) -> None:
    pair = keys.get("/other")
    assert (pair.Key, pair.Value) == (pair.key, pair.value) == ("/other", "ten")


def test_gets_matches_whole_keys_sorted_by_key(keys: Keys) -> None:
    assert [pair.key for pair in keys.gets("/services/shop/*")] == [
        "/services/shop/10",
        "/services/shop/9",
    ]
    assert keys.gets("/nope/*") == []
    with pytest.raises(ValueError, match="bad pattern"):
        keys.gets("/services/[")


def test_getvs_sorts_by_value_and_keeps_duplicates(keys: Keys) -> None:
    assert keys.getvs("/services/shop/*") == ["nine", "ten"]
    assert Keys({"a": b"x", "b": b"x"}).getvs("/*") == ["x", "x"]


def test_ls_gives_names_of_direct_children(keys: Keys) -> None:
    assert keys.ls("/services/shop") == ["10", "9", "a", "shop"]
    assert keys.ls("/services/") == ["empty", "shop"]
    assert keys.ls("/") == ["other", "services"]
    assert keys.ls("/services/shop/10") == ["10"]
    assert keys.ls("/nope") == []


def test_lsdir_gives_children_that_have_children(keys: Keys) -> None:
    assert keys.lsdir("/services") == ["shop"]
    assert keys.lsdir("/") == ["services"]
    assert keys.lsdir("/nope") == []


def test_a_value_that_is_not_utf8_is_blamed_on_its_key_when_it_is_read() -> None:
    keys = Keys({"good": b"a", "bad": b"caf\xe9"})
    assert keys.getv("/good") == "a"
    assert keys.ls("/") == ["bad", "good"]
    with pytest.raises(BadKey, match="/bad: the value is not UTF-8 at byte 3"):
        keys.gets("/*")


def test_two_keys_that_are_one_path_are_refused() -> None:
    with pytest.raises(BadKey, match=r"a//b: is /a/b when cleaned"):
        Keys({"a/b": b"", "a//b": b""}).exists("/x")


names = st.text(st.sampled_from("ab-0"), min_size=1, max_size=2)
stores = st.dictionaries(
    st.lists(names, min_size=1, max_size=4).map("/".join), st.just(b"v"), max_size=12
)


@given(stores, st.lists(names, max_size=2).map(lambda steps: "/" + "/".join(steps)))
def test_listing_agrees_with_a_walk_over_all_keys(store: dict[str, bytes], path: str) -> None:
    stem = path.rstrip("/") + "/"
    below = [("/" + key)[len(stem) :] for key in store if ("/" + key).startswith(stem)]
    own = {path.rpartition("/")[2]} if path[1:] in store else set()
    keys = Keys(store)
    assert keys.ls(path) == sorted({key.split("/")[0] for key in below} | own)
    assert keys.lsdir(path) == sorted({key.split("/")[0] for key in below if "/" in key})


@given(stores, st.lists(names | st.just("*"), min_size=1, max_size=4).map("/".join))
def test_gets_agrees_with_a_walk_over_all_keys(store: dict[str, bytes], pattern: str) -> None:
    translated = re.compile(fnmatch.translate(pattern).replace(".*", "[^/]*"))
    expected = sorted("/" + key for key in store if translated.match(key))
    assert [pair.key for pair in Keys(store).gets("/" + pattern)] == expected


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("json('{\"n\": 12345678}').n", "12345678"),
        ("jsonArray('[1, 2]')[1]", "2"),
        ("map('a', 1, 'b', 2).b", "2"),
        ("base('/a/b/')", "b"),
        ("dir('/a/b')", "/a"),
        ("split('a,b,,c', ',')|length", "4"),
        ("split('abc', '')[2]", "c"),
        ("join(split('a,b', ','), ':')", "a:b"),
        ("'a,b'|split(',')|join(':')", "a:b"),
        ("replace('aaa', 'a', 'b', 2)", "bba"),
        ("replace('aaa', 'a', 'b', -1)", "bbb"),
        ("replace('aaa', 'a', 'b', 0)", "aaa"),
        ("trimSuffix('a.b.b', '.b')", "a.b"),
        ("trimPrefix('/a', '/')", "a"),
        ("'yes' if contains('abc', 'bc') else 'no'", "yes"),
        ("toUpper('aé')", '"AÉ"'),
        ("toLower('AB')", "ab"),
        ("atoi('-7') + 1", "-6"),
        ("'on' if parseBool('T') else 'off'", "on"),
        ("join(seq(8, 10), ',')", "8,9,10"),
        ("seq(3, 1)|length", "0"),
        ("add(1, 2) * sub(5, 3) * mul(2, 2)", "24"),
        ("div(-7, 2)", "-3"),
        ("div(7, -2)", "-3"),
        ("div(-7, -2)", "3"),
        ("mod(-7, 2)", "-1"),
        ("mod(7, -2)", "1"),
        ("join(reverse(['a', 'b']), '')", "ba"),
        ("join(sortByLength(['ccc', 'b', 'a']), '')", "abccc"),
        ("base64Encode('a b?')", "YSBiPw=="),
        ("base64Decode('YS1i')", "a-b"),
        ("getenv('LBSYNC_NOT_SET_EVER', 'x')", "x"),
        ("'yes' if fileExists('/') else 'no'", "yes"),
        ("default('d', '')", "d"),
        ("ternary('a', 'b', false)", "b"),
        ("coalesce('', 'a', 'b')", "a"),
        ("keys({'b': 1, 'a': 2})|join", "ab"),
        ("values({'b': 1, 'a': 2})|join(',')", "2,1"),
        ("sha256sum('a')[:6]", "ca9781"),
        ("toJson({'b': 1, 'a': 'ä'})|length", "15"),
        ("fromJson('[1]')[0]", "1"),
        ("append([1], 2)|join", "12"),
        ("'yes' if hasKey({'a': 1}, 'a') and not empty('x') else 'no'", "yes"),
        ("list(1, 2)|length", "2"),
        ("'yes' if regexMatch('^a.c$', 'abc') else 'no'", "yes"),
        ("'yes' if 'abc'|regexMatch('^b') else 'no'", "no"),
        ("regexFind('[0-9]+', 'web-12-a')", "12"),
        ("'web-12-a'|regexFind('[a-z]+$')", "a"),
        ("regexReplaceAll('a(x*)b', 'ab-axxb', '${1}W')", "W-xxW"),
        ("toPrettyJson({'b': 1, 'a': [true]})|length", "35"),
        ("repeat(3, 'ab')", "ababab"),
        ("'ab'|repeat(2)", "abab"),
        ("repeat(0, 'ab')|length", "0"),
        ("nospace(' a\t b ')", "ab"),
        ("' a b'|nospace", "ab"),
        ("snakecase('FirstName')", "first_name"),
        ("snakecase('HTTPServer-two words')", "http_server_two_words"),
        ("camelcase('http_server')", "httpServer"),
        ("'webServer01'|kebabcase", "web-server01"),
        ("pluck('a', {'a': 1}, {'b': 2}, {'a': 3})|join(',')", "1,3"),
        ("dict('a', 1).a + dict(b=2).b + dict({'c': 3}).c", "6"),
        ("indent(2, 'a\nb')|length", "7"),
        ("indent(2, '')|length", "0"),
        ("nindent(2, 'a\nb')|length", "8"),
        ("('a'|nindent(2))|length", "4"),
        ("quote('a b')", '"a b"'),
        ("squote('a b')", '"a b"'),
        ("'a b'|squote", '"a b"'),
    ],
)
def test_a_helper_gives_what_confd_gives(render: Render, expression: str, printed: str) -> None:
    assert render(f"x {{{{ {expression} }}}}") == f"x {printed}\n"


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("toPrettyJson({'b': 1, 'a': [true]})", '{\n  "a": [\n    true\n  ],\n  "b": 1\n}'),
        ("indent(2, 'a\\n\\nb')", "  a\n  \n  b"),
        ("'x'|nindent(2)", "\n  x"),
        (r"""quote('a "b\\ é\n')""", r'"a \"b\\ é\n"'),
        (r"quote('\x01\x7f')", r'"\x01\x7f"'),
        ("squote('a b')", "'a b'"),
        ("'a'|squote", "'a'"),
    ],
)
def test_in_a_text_file_a_helper_prints_what_confd_prints(
    render: Render, expression: str, printed: str
) -> None:
    assert render(f"x{{{{ {expression} }}}}", style="none") == f"x{printed}\n"


def test_text_that_is_quoted_already_is_indented_as_it_is(render: Render) -> None:
    source = (
        "{% set block %}\nserver {{ x }}\nserver b\n{% endset %}\nbackend a{{ nindent(4, block) }}"
    )
    assert render(source, {"x": "a b"}) == 'backend a\n    server "a b"\n    server b\n'


def test_pairs_are_sorted_by_the_length_of_their_keys(render: Render) -> None:
    source = "x {{ sortKVByLength(gets('/*'))|map(attribute='Key')|join(',') }}"
    assert render(source, raw={"bb": b"", "a": b"", "aa": b"", "ccc": b""}) == "x /a,/aa,/bb,/ccc\n"


@pytest.mark.parametrize(
    "expression",
    [
        "atoi(' 7')",
        "atoi('1_0')",
        "atoi('')",
        "atoi('9223372036854775808')",
        "atoi('٣')",
        "parseBool('yes')",
        "json('[]')",
        "json('{')",
        "json('{\"a\": NaN}')",
        "jsonArray('{}')",
        "base64Decode('a b')",
        "base64Decode('/w==')",
        "div(1, 0)",
        "mod(1, 0)",
        "add('1', 2)",
        "add(true, 2)",
        "map('a')",
        "map(1, 2)",
        "seq(1, 10000000)",
        "toUpper(none)",
        "toUpper('a b'|quote)",
        "getv('/nope')",
        "regexMatch('(', 'a')",
        "regexMatch('a', none)",
        "repeat(-1, 'a')",
        "repeat(10000000, 'a')",
        "repeat('2', 'a')",
        "indent(-1, 'a')",
        "indent(10000000, 'a')",
        "dict('a')",
        "pluck('a', 'b')",
        "nospace('a b'|quote)",
    ],
)
def test_a_helper_refuses_what_go_refuses(render: Render, expression: str) -> None:
    with pytest.raises(LbsyncError, match=r"main\.j2:1"):
        render(f"x {{{{ {expression} }}}}")


@pytest.mark.parametrize("name", sorted(functions.REFUSED))
def test_what_is_not_offered_says_why(render: Render, name: str) -> None:
    with pytest.raises(TemplateError, match=rf"main\.j2:1: {name} (is|depends)"):
        render(f"x {{{{ {name}('a', 'b') }}}}")


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        (
            "lookupIP",
            "write the name into the `server` line and give HAProxy a `resolvers` section",
        ),
        ("lookupSRV", "a line `server-template web 10 _web._tcp.example.com resolvers NAME`"),
        ("lookupIfaceIPV4", "getenv"),
        ("eq", "write a == b"),
        ("include", "{% include"),
    ],
)
def test_what_is_not_offered_names_its_cure(render: Render, name: str, cure: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(cure)):
        render(f"x {{{{ {name}('a') }}}}")


def test_a_refused_value_names_the_key_it_was_read_from(render: Render) -> None:
    raw = {"svc/a": b"{", "svc/n": b"x1", "svc/t": b"a\nb", "svd/deep": b"[" * 1000 + b"]" * 1000}
    for expression, key in [
        ("jsonArray(getv('/svd/deep'))", "/svd/deep"),
        ("json(getv('/svc/a'))", "/svc/a"),
        ("(gets('/svc/a')|first).Value|json", "/svc/a"),
        ("atoi(getv('/svc/n'))", "/svc/n"),
        ("getv('/svc/t')", "/svc/t"),
    ]:
        with pytest.raises(BadKey, match=f"^{key}: ") as caught:
            render(f"x {{{{ {expression} }}}}", raw=raw)
        assert caught.value.key == key
        assert "main.j2:1" in str(caught.value)


def test_fragments_and_plain_imports_are_told_why_they_see_no_keys(render: Render) -> None:
    others = {
        "f.j2": "x {{ getv('/a') }}\n",
        "lib.j2": "{% macro m() %}{{ ls('/') }}{% endmacro %}",
    }
    with pytest.raises(TemplateError, match=r"f\.j2:1: getv depends on the store"):
        render("{{ each('f.j2', [1]) }}", raw={"a": b"1"}, others=others)
    with pytest.raises(TemplateError, match="with context"):
        render("{% import 'lib.j2' as l %}{{ l.m() }}", raw={"a": b"1"}, others=others)


def test_a_file_that_comes_later_is_seen_by_the_next_renderer(tmp_path: Path) -> None:
    (tmp_path / "main.j2").write_text("{{ 'yes' if fileExists(path) else 'no' }}")
    outputs = [OutputSpec("main.j2", "haproxy.cfg")]
    context = {"path": str(tmp_path / "later")}
    renderer = Renderer([tmp_path], outputs)
    assert renderer.render(context, {})["haproxy.cfg"] == b"no\n"
    (tmp_path / "later").touch()
    assert renderer.render(context, {})["haproxy.cfg"] == b"no\n"
    assert Renderer([tmp_path], outputs).render(context, {})["haproxy.cfg"] == b"yes\n"


def test_key_functions_build_keys_from_values(render: Render) -> None:
    source = (
        "{% for name in ls('/svc') %}\n"
        "server {{ name }} {{ getv('/svc/%s/ip' % name) }}:{{ getv('/svc/' ~ name ~ '/port', '80') }}\n"
        "{% else %}\nnone\n{% endfor %}"
    )
    raw = {"svc/a/ip": b"10.0.0.1", "svc/a/port": b"81", "svc/b/ip": b"10.0.0.2"}
    assert render(source, raw=raw) == "server a 10.0.0.1:81\nserver b 10.0.0.2:80\n"
    assert render(source) == "none\n"
