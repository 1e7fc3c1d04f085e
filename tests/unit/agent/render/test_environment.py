"""Forgetting a filter cannot inject configuration."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.agent.render.environment import ConfigEnvironment, Delimiters
from lbsync.agent.render.renderer import OutputSpec, Renderer
from lbsync.errors import LbsyncError, Rejected, TemplateError
from tests.haproxy_words import cut
from tests.unit.agent.render.conftest import Render
from tests.unit.agent.render.mixing import MARKS, MIXES, OTHERS, PRINTS

HARMLESS = "xyz"
any_text = st.text(st.sampled_from(" #$\\'\"{}<&>%x0a\x02\x03\x1e\n\r\0\t;\x85\u2028")) | st.text()
hostile = (
    any_text
    | any_text.map(lambda text: f"a b\nuser root # {text}")
    | any_text.map(lambda text: f'" {text}\n')
    | any_text.map(lambda text: f"' {text} '")
)


@pytest.fixture(scope="module")
def renderers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Renderer]:
    directory = tmp_path_factory.mktemp("templates")
    for name, text in OTHERS.items():
        (directory / name).write_text(text)
    ready = {}
    for number, source in enumerate([*PRINTS, *MIXES]):
        (directory / f"{number}.j2").write_text(f"open {source} close\n")
        try:
            ready[source] = Renderer([directory], [OutputSpec(f"{number}.j2", "haproxy.cfg")])
        except TemplateError:
            continue  # refused at once, for any value
    return ready


def rendered(renderer: Renderer, value: str) -> str | None:
    try:
        return renderer.render({"v": value, "marks": MARKS}, {})["haproxy.cfg"].decode()
    except LbsyncError:
        return None


@pytest.mark.parametrize(
    ("source", "words"), [(source, words) for source, words in PRINTS.items() if words]
)
def test_each_way_of_printing_gives_its_words(
    renderers: dict[str, Renderer], source: str, words: list[str]
) -> None:
    for value in (HARMLESS, "a b", "it's", '"', "$HOME", "#", "\\", "é\t}"):
        text = rendered(renderers[source], value)
        assert text is not None
        expected = [word.replace("{}", value).replace("{%}", value) for word in words]
        assert cut(text.rstrip("\n")) == ["open", *expected, "close"]
        assert text.count("\n") == 1


@settings(max_examples=150)
@given(hostile)
def test_no_template_lets_a_value_out_of_its_word(
    renderers: dict[str, Renderer], value: str
) -> None:
    for source, renderer in renderers.items():
        text = rendered(renderer, value)
        if text is None:
            continue
        benign = rendered(renderer, HARMLESS)
        words = cut(text.removesuffix("\n"))
        assert text.count("\n") == 1, source
        assert words[0] == "open", source
        assert words[-1] == "close", source
        assert "" not in words, source
        if benign is not None and value:  # some of them print a literal for an empty value
            assert len(words) == len(cut(benign.rstrip("\n"))), source


def test_most_ways_of_mixing_are_refused_or_harmless(renderers: dict[str, Renderer]) -> None:
    """Guards the test above against renderers that all fail for some other reason."""
    harmless = [source for source in PRINTS if source in renderers and PRINTS[source]]
    assert all(rendered(renderers[source], HARMLESS) for source in harmless)
    assert "{{ '{}'.format(v|quote) }}" in renderers


@pytest.mark.parametrize(
    ("value", "named"),
    [(None, "None"), (True, "truth value"), ([1], "list"), ({}, "dict"), (b"x", "bytes")],
)
def test_only_texts_and_numbers_are_printed(render: Render, value: object, named: str) -> None:
    with pytest.raises(TemplateError, match=rf"main\.j2:1: .*{named}"):
        render("x {{ v }}", {"v": value})


def test_numbers_are_printed_in_full(render: Render) -> None:
    assert (
        render("{{ a }} {{ b }} {{ c }}", {"a": 12345678, "b": -1, "c": 1.5}) == "12345678 -1 1.5\n"
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_without_a_written_form_are_refused(render: Render, number: float) -> None:
    with pytest.raises(Rejected, match=r"main\.j2:1"):
        render("x {{ v }}", {"v": number})


def test_what_is_not_defined_is_an_error_with_template_and_line(render: Render) -> None:
    with pytest.raises(TemplateError, match=r"main\.j2:3: 'nothing' is undefined"):
        render("one\ntwo\nx {{ nothing }}\n")


class Shown(msgspec.Struct, frozen=True):
    name: str

    @property
    def upper(self) -> str:
        return self.name.upper()

    def method(self) -> str:
        return self.name


class Hidden(msgspec.Struct, frozen=True):
    method: str

    def name(self) -> str:
        return "called"


def test_an_attribute_is_read_of_the_kinds_that_show_it_alone(render: Render) -> None:
    loop = "{% for item in items %}x {{ item.name }} {{ item.upper }}\n{% endfor %}"
    assert render(loop, {"items": [Shown("a"), {"name": "b", "upper": "c"}]}) == "x a A\nx b c\n"
    with pytest.raises(TemplateError, match="cannot be printed"):
        render(loop, {"items": [Shown("a"), Hidden("b")]})
    for denied in ("_name", "__class__", "__struct_fields__"):
        with pytest.raises(TemplateError):
            render(f"x {{{{ item.name }}}} {{{{ item.{denied} }}}}\n", {"item": Shown("a")})


def test_an_attribute_may_be_called_like_a_word_of_python(render: Render) -> None:
    assert (
        render("x {{ item.from }} {{ item.größe }}\n", {"item": {"from": "a", "größe": 1}})
        == "x a 1\n"
    )


def test_an_error_names_the_innermost_template(render: Render) -> None:
    others = {"lib.j2": "{% macro m(x) %}\n\n  {{ x.nope }}{% endmacro %}"}
    with pytest.raises(TemplateError, match=r"lib\.j2:3: .*nope"):
        render("{% import 'lib.j2' as lib %}\n{{ lib.m({}) }}", others=others)


def test_a_refused_value_is_rejected_not_blamed_on_the_template(render: Render) -> None:
    with pytest.raises(Rejected, match=r"main\.j2:2: the value 'a\\nb' holds a line feed"):
        render("#\nx {{ v }}", {"v": "a\nb"})


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("a\n{% if x %}", r"main\.j2:2"),
        ("a\n\n{{ x|nofilter }}", r"main\.j2:3.*nofilter"),
        ("a\n{% autoescape false %}{% endautoescape %}", r"main\.j2:2.*autoescape"),
        ("a\nb\\{{ x }}", r"main\.j2:2.*backslash"),
        ("a\n{{ '\x02' }}", r"main\.j2:2.*U\+0002"),
        ("{% include 'absent.j2' %}", r"absent\.j2"),
        ("{{ each('absent.j2', []) }}", r"absent\.j2"),
        ("{% for a in x %}" * 21 + "{% endfor %}" * 21, r"main\.j2: too many .* blocks; put parts"),
        ("{% if x %}" * 101 + "{% endif %}" * 101, r"main\.j2: too many levels .*; put parts"),
    ],
)
def test_a_broken_template_fails_when_the_renderer_is_built(
    tmp_path: Path, source: str, place: str
) -> None:
    (tmp_path / "main.j2").write_text(source)
    with pytest.raises(TemplateError, match=place):
        Renderer([tmp_path], [OutputSpec("main.j2", "haproxy.cfg")])


def test_literals_printed_on_the_spot_are_configuration(render: Render) -> None:
    source = 'bind {{ a }}{{ " ssl crt x" if tls }}{{ " # end"|raw }}{{ "\\n"|raw }}{{ "" }}last'
    assert render(source, {"a": "*:443", "tls": True}) == "bind *:443 ssl crt x # end\nlast\n"
    assert render(source, {"a": "*:443", "tls": False}) == "bind *:443 # end\nlast\n"


def test_a_literal_in_place_of_a_value_is_quoted_like_one(render: Render) -> None:
    source = "x {{ v if v else 'a b' }}"
    assert render(source, {"v": ""}) == 'x "a b"\n'
    assert render(source, {"v": "c d"}) == 'x "c d"\n'


def test_words_come_from_white_space_or_from_a_list(render: Render) -> None:
    source = "x {{ v|words }} {{ w|words }}"
    assert render(source, {"v": " a \n b#", "w": ["c d", 1]}) == 'x a "b#" "c d" 1\n'


def test_data_stays_data_until_it_is_printed(render: Render) -> None:
    source = "{% set key = '/a/' ~ v %}x {{ table[key] }} {{ table.get('/a/' + v) }}"
    assert render(source, {"v": "b c", "table": {"/a/b c": "d e"}}) == 'x "d e" "d e"\n'


def test_blocks_leave_no_blank_lines(render: Render) -> None:
    source = "a\n  {% for x in [1, 2] %}\n  b {{ x }}\n  {% endfor %}\n{# note #}\nc"
    assert render(source) == "a\n  b 1\n  b 2\nc\n"


def test_delimiters_can_be_changed_for_files_full_of_braces(render: Render) -> None:
    marks = Delimiters(("<%", "%>"), ("<<", ">>"), ("<#", "#>"))
    source = "<% if true %>\nlog-format {% {{ %{+Q}r << v >>\n<% endif %>"
    assert render(source, {"v": "a b"}, delimiters=marks) == 'log-format {% {{ %{+Q}r "a b"\n'


def test_map_files_have_no_quotes(render: Render) -> None:
    assert render("{{ k }} {{ v|map_value }}", {"k": "a$b", "v": "c d"}, style="map") == "a$b c d\n"
    for bad in ("a b", "#a", "a\tb", ""):
        with pytest.raises(Rejected):
            render("{{ k }} x", {"k": bad}, style="map")


def test_other_configurations_take_plain_words_only(render: Render) -> None:
    assert render("server {{ v }};", {"v": "[::1]:80"}, style="strict") == "server [::1]:80;\n"
    with pytest.raises(Rejected, match="no plain word"):
        render("server {{ v }};", {"v": "a;b"}, style="strict")


def test_plain_text_files_are_printed_as_they_are(render: Render) -> None:
    assert render("<p>{{ v }}", {"v": "a\n<b> '"}, style="none") == "<p>a\n<b> '\n"


@pytest.mark.parametrize("name", ["../main.j2", "/etc/hostname", "a/../main.j2", "./main.j2", ""])
def test_templates_are_read_below_their_directory_only(render: Render, name: str) -> None:
    with pytest.raises(TemplateError):
        render("{% include name %}", {"name": name})


def test_the_first_directory_shadows_single_files_of_the_next(tmp_path: Path) -> None:
    mine, packaged = tmp_path / "mine", tmp_path / "packaged"
    for directory in (mine, packaged):
        directory.mkdir()
    (packaged / "main.j2").write_text("{% include 'a/b.j2' %}{% include 'c.j2' %}")
    (packaged / "a").mkdir()
    (packaged / "a" / "b.j2").write_text("packaged b\n")
    (packaged / "c.j2").write_text("packaged c\n")
    (mine / "c.j2").write_text("my c\n")
    renderer = Renderer([mine, packaged], [OutputSpec("main.j2", "haproxy.cfg")])
    assert renderer.render({}, {}) == {"haproxy.cfg": b"packaged b\nmy c\n"}


def test_templates_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "main.j2").write_text("{% include 'part.j2' %}")
    (tmp_path / "part.j2").write_text("old")
    renderer = Renderer([tmp_path], [OutputSpec("main.j2", "haproxy.cfg")])
    (tmp_path / "part.j2").write_text("new")
    assert renderer.render({}, {}) == {"haproxy.cfg": b"old\n"}


def test_a_template_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "main.j2").write_bytes(b"caf\xe9")
    with pytest.raises(TemplateError, match=r"main\.j2: not UTF-8 at byte 3"):
        ConfigEnvironment([tmp_path]).load("main.j2")


@settings(max_examples=50)
@given(st.text())
def test_rendering_is_the_same_each_time(render: Render, value: str) -> None:
    source = "{% set x = {'b': 1, 'a': 2} %}x {{ x|tojson }} {{ v|tojson }}"
    assert render(source, {"v": value}) == render(source, {"v": value})


@pytest.mark.parametrize(
    "template",
    [
        '{{range gets "/x/*"}}{{end}}',
        "a\n{{.Key}}",
        '{{ $x := getv "/x" }}',
        '{{getv "/x"}}',
        "{{- if exists `/x` -}}",
    ],
)
def test_a_pasted_go_template_is_told_from_a_slip_of_the_pen(template: str, render: Render) -> None:
    with pytest.raises(TemplateError, match="`lbsync import-confd` converts"):
        render(template)


def test_a_slip_in_a_jinja_template_is_not_called_go(render: Render) -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{ x.y | }}")
    assert "confd" not in str(caught.value)
