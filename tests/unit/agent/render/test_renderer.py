from pathlib import Path

import pytest

from lbsync.agent.render.environment import Delimiters
from lbsync.agent.render.renderer import OutputSpec, Renderer
from lbsync.errors import Rejected, TemplateError


def a_renderer(directory: Path, sources: dict[str, str], *outputs: OutputSpec) -> Renderer:
    for name, text in sources.items():
        (directory / name).write_text(text)
    return Renderer([directory], outputs)


def test_each_output_is_quoted_in_its_own_way(tmp_path: Path) -> None:
    renderer = a_renderer(
        tmp_path,
        {"h": "x {{ v }}", "m": "k {{ v|map_value }}", "t": "{{ v }}"},
        OutputSpec("h", "haproxy.cfg"),
        OutputSpec("m", "maps/x.map", "map"),
        OutputSpec("t", "/var/www/page.txt", "none", 0o640),
    )
    assert renderer.render({"v": "a b"}, {}) == {
        "haproxy.cfg": b'x "a b"\n',
        "maps/x.map": b"k a b\n",
        "/var/www/page.txt": b"a b\n",
    }
    assert renderer.modes["/var/www/page.txt"] == 0o640


@pytest.mark.parametrize(
    ("source", "data"), [("a", b"a\n"), ("a\n\n\n", b"a\n"), ("", b""), ("\n", b"")]
)
def test_every_text_ends_with_one_line_feed(tmp_path: Path, source: str, data: bytes) -> None:
    renderer = a_renderer(tmp_path, {"h": source}, OutputSpec("h", "haproxy.cfg"))
    assert renderer.render({}, {})["haproxy.cfg"] == data


def test_files_with_carriage_returns_are_read_as_lines(tmp_path: Path) -> None:
    (tmp_path / "h").write_bytes(b"a\r\nb {{ v }}\r\n")
    renderer = Renderer([tmp_path], [OutputSpec("h", "haproxy.cfg")])
    assert renderer.render({"v": 1}, {})["haproxy.cfg"] == b"a\nb 1\n"


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a//b", "./x", ".", "/etc/../x", "", "a/"])
def test_an_output_path_is_written_plainly(tmp_path: Path, path: str) -> None:
    with pytest.raises(TemplateError, match="output path"):
        a_renderer(tmp_path, {"h": ""}, OutputSpec("h", path))


def test_two_outputs_cannot_write_one_file(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="two outputs write x"):
        a_renderer(tmp_path, {"h": ""}, OutputSpec("h", "x"), OutputSpec("h", "x"))


def test_half_a_character_in_a_plain_text_file_is_refused(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, {"h": "{{ v }}"}, OutputSpec("h", "x", "none"))
    with pytest.raises(Rejected, match="surrogate"):
        renderer.render({"v": "\ud800"}, {})


def test_a_missing_template_names_the_places_searched(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=f"no template 'absent' in {tmp_path}"):
        Renderer([tmp_path], [OutputSpec("absent", "haproxy.cfg")])


def test_endless_recursion_is_an_error_not_a_crash(tmp_path: Path) -> None:
    source = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"
    renderer = a_renderer(tmp_path, {"h": source}, OutputSpec("h", "haproxy.cfg"))
    with pytest.raises(TemplateError, match=r"h:1: .*recursion"):
        renderer.render({}, {})


def test_a_renderer_made_anew_sees_each_change_of_a_template(tmp_path: Path) -> None:
    (tmp_path / "main.j2").write_text("{% include 'part.j2' %}\n")
    part = tmp_path / "part.j2"
    spec = OutputSpec("main.j2", "haproxy.cfg")
    for text, printed in (("a", b"a\n"), ("b", b"b\n"), ("a", b"a\n")):
        part.write_text(text)
        assert Renderer([tmp_path], [spec]).render({}, {}) == {"haproxy.cfg": printed}
    part.write_text("{{ v")
    with pytest.raises(TemplateError, match=r"part\.j2:1"):
        Renderer([tmp_path], [spec])


def test_one_template_is_read_as_each_output_of_it_says(tmp_path: Path) -> None:
    (tmp_path / "one.j2").write_text("x {{ v }} << v >>\n")
    others = Delimiters(variable=("<<", ">>"))
    outputs = [
        OutputSpec("one.j2", "quoted"),
        OutputSpec("one.j2", "plain", "none"),
        OutputSpec("one.j2", "marked", "none", delimiters=others),
    ]
    for order in (outputs, outputs[::-1]):
        assert Renderer([tmp_path], order).render({"v": "a b"}, {}) == {
            "quoted": b'x "a b" << v >>\n',
            "plain": b"x a b << v >>\n",
            "marked": b"x {{ v }} a b\n",
        }


@pytest.mark.parametrize(
    ("source", "alike"),
    [
        ("maxconn 5", True),
        ("{{ host }} {{ draining }}", True),
        ("{% for s in services %}{{ s }}{% endfor %}", False),
        ('{{ getv("/a") }}', False),
        ('{% include "other" %}', False),
        ('{% set x = "other" %}{% include x %}', False),
        ('{{ each("other", backends) }}', False),
        ("{{ self }}", False),
    ],
)
def test_a_template_that_may_print_more_of_a_service_is_known(
    tmp_path: Path, source: str, alike: bool
) -> None:
    (tmp_path / "mine").write_text(source)
    (tmp_path / "other").write_text("")
    (tmp_path / "idle").write_text("{{ services }}")
    renderer = Renderer([tmp_path], [OutputSpec("mine", "haproxy.cfg")], {"host": "lb"})
    assert renderer.reads_only({"draining"}, {"mine", "idle"}) is alike
