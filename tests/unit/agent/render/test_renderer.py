from pathlib import Path

import pytest

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
