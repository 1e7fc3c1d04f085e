"""Set-ups of confd become settings and templates that print what confd printed.

`tests/data/confd/*/expected` was printed by Go's text/template, with confd's functions, from the same keys.
"""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbsync.agent.render.confd.keys import Keys
from lbsync.agent.render.environment import ConfigEnvironment, Delimiters
from lbsync.errors import Rejected
from lbsync.migration import go_parser, jinja_writer
from lbsync.migration.convert import Conversion, convert
from lbsync.migration.go_lexer import GoSyntaxError
from lbsync.migration.remarks import Remarks
from lbsync.settings import Output, Settings
from lbsync.settings.load import load

SETUPS = sorted((Path(__file__).parents[2] / "data/confd").iterdir())


def written(conversion: Conversion, directory: Path) -> Settings:
    """Write a conversion; return the settings that lbsync reads from it."""
    for name, text in conversion.files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return load(config=directory / "lbsync.toml", environ={})


def printed(settings: Settings, output: Output, keys: dict[str, str]) -> str:
    """Render one output as confd would have, quoting nothing."""
    marks = Delimiters(
        (output.block_left, output.block_right),
        (output.left, output.right),
        (output.comment_left, output.comment_right),
    )
    directory = settings.templates.directory
    assert directory
    prefix = str(settings.prefix)
    stored = {
        key.removeprefix(prefix): text.encode()
        for key, text in keys.items()
        if key.startswith(prefix)
    }
    environment = ConfigEnvironment([Path(directory)], "none", marks)
    return environment.get_template(output.template).render(Keys(stored).functions())


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_a_converted_template_prints_the_bytes_that_confd_printed(
    setup: Path, tmp_path: Path
) -> None:
    conversion = convert(setup)
    assert not conversion.unread
    assert not [str(each) for each in conversion.remarks if each.is_open]
    settings = written(conversion, tmp_path)
    keys = json.loads((setup / "keys.json").read_text())
    for output in settings.outputs:
        expected = setup / "expected" / output.template.removesuffix(".j2")
        assert printed(settings, output, keys) == expected.read_text()
    assert len(settings.outputs) == len([*(setup / "conf.d").iterdir()])


def converted(tmp_path: Path, template: str | bytes, **fields: str) -> Conversion:
    """Convert a set-up of one template."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "templates").mkdir()
    values = {"src": "a.tmpl", "dest": "/etc/a.conf"} | fields
    lines = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    (tmp_path / "conf.d/a.toml").write_text(f"[template]\n{lines}\n")
    data = template if isinstance(template, bytes) else template.encode()
    (tmp_path / "templates/a.tmpl").write_bytes(data)
    return convert(tmp_path)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ('a\n{{cgetv "/x"}}', "a.tmpl:2: cgetv is not offered"),
        (
            '{{range lookupSRV "a" "tcp" "b"}}{{.Target}}{{end}}',
            "a.tmpl:1: lookupSRV is not offered",
        ),
        ("\n\n{{datetime}}", "a.tmpl:3: datetime is not offered"),
        ('{{ printf (getv "/format") 1 }}', "a.tmpl:1: printf: its format is no plain text"),
        ('{{ printf "%T" 1 }}', "%T has no counterpart"),
        ('{{ gets "/x/*" }}', "prints a whole list"),
        ('{{ frobnicate "x" }}', "frobnicate: is no function"),
        ('{{ template "elsewhere" }}', 'template "elsewhere": is not defined in this file'),
        ("{{ . }}", ".: stands for nothing here"),
        ('{{$x := ""}}{{with $x = getv "/a"}}{{end}}', "`=` with $x begins a block"),
    ],
)
def test_what_has_no_counterpart_is_named_with_file_and_line(
    template: str, told: str, tmp_path: Path
) -> None:
    conversion = converted(tmp_path, template)
    assert [each for each in map(str, conversion.remarks) if told in each]
    assert any(remark.is_open for remark in conversion.remarks)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("a\n{{if true}}b", "a.tmpl:2: if has no end"),
        ("{{end}}", "a.tmpl:1: end belongs to nothing"),
        ('x\ny\n{{ "open }}', "a.tmpl:3: cannot be read from"),
        ("{{ $x }}", "a.tmpl:1: the variable $x is not declared"),
        ("{{ getv ( }}", "a.tmpl:1: ends too early"),
        ('{{ "a" "b" }}', "is no function"),
        ("{{/* open", "a.tmpl:1: cannot be read from '/* open'"),
        (b"\xff", "a.tmpl: is not UTF-8 at byte 0"),
        ("{{ 'ab' }}", "a.tmpl:1: 'ab' has 2 characters"),
        ("{{" + "(" * 2000 + "1" + ")" * 2000 + "}}", "a.tmpl: is nested too deeply"),
        ("{{if true}}" * 400 + "{{end}}" * 400, "a.tmpl: is nested too deeply"),
        ("{{ 1" + " | print" * 2000 + " }}", "a.tmpl: is nested too deeply"),
    ],
)
def test_what_is_no_template_of_go_is_named_and_the_rest_is_converted(
    template: str | bytes, told: str, tmp_path: Path
) -> None:
    conversion = converted(tmp_path, template)
    assert told in conversion.unread[0]
    assert "lbsync.toml" in conversion.files


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"check_cmd": "nginx -t -c {{.src}}"}, 'check = ["nginx", "-t", "-c", "{src}"]'),
        (
            {"check_cmd": "nginx -t -c {{ .src }} 2>/dev/null"},
            'check = ["sh", "-c", "nginx -t -c {src} 2>/dev/null"]',
        ),
        ({"reload_cmd": "touch '{{.dest}} x'"}, 'reload = ["touch", "{dest} x"]'),
        ({"mode": "644"}, 'mode = "644"'),
        ({"uid": "33", "owner": "www-data"}, 'owner = "www-data"'),
    ],
)
def test_commands_and_owners_mean_the_same(
    fields: dict[str, str], wanted: str, tmp_path: Path
) -> None:
    conversion = converted(tmp_path, "x", **fields)
    assert wanted in conversion.files["lbsync.toml"]
    written(conversion, tmp_path / "out")


def test_a_field_of_confd_that_nobody_knows_is_listed(tmp_path: Path) -> None:
    conversion = converted(tmp_path, "x", colour="red")
    assert [each for each in map(str, conversion.remarks) if "a.toml:4: `colour`" in each]


def test_lines_that_end_with_carriage_returns_are_told_of(tmp_path: Path) -> None:
    conversion = converted(tmp_path, b'a\r\n{{getv "/x"}}\r\n')
    assert conversion.files["templates/a.j2"] == 'a\n{{ getv("/x") }}\n'
    assert any("CR LF" in str(remark) for remark in conversion.remarks)


def test_fields_with_the_name_of_a_method_are_still_fields(tmp_path: Path) -> None:
    template = '{{$x := json (getv "/x")}}{{$x.items}} {{$x.values}} {{$x.name}}'
    assert (
        'x["items"] }} {{ x["values"] }} {{ x.name }}'
        in (converted(tmp_path, template).files["templates/a.j2"])
    )


def test_a_directory_without_resources_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"no conf\.d/\*\.toml in it"):
        convert(tmp_path)


@given(st.text(alphabet="{}-/*.$:=|()\"'`\\ \nabx0", max_size=40))
@example("{{-3}}")
@example("{{- 3 -}}")
@example("{{'\\'}}")
@example("{{08}}")
@example("{{'ab'}}")
def test_whatever_is_written_in_a_template_is_converted_or_refused_with_its_line(text: str) -> None:
    try:
        nodes = go_parser.parse(text)
        jinja_writer.write(nodes, jinja_writer.choose_marks(nodes), Remarks(Path("a.tmpl")))
    except GoSyntaxError as error:
        assert 1 <= error.line <= text.count("\n") + 1
