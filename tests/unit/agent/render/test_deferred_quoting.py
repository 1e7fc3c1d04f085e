"""A value keeps to its word wherever the template prints it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.render import deferred_quoting, quoting
from lbsync.errors import TemplateError
from tests.haproxy_words import cut

values = st.text(st.sampled_from(" #$\\'\"{}%x0a"), min_size=1) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\x02\x03"), min_size=1
)
# Which would end a condition, and is refused.
values = values.filter(lambda value: value != "}")


@given(values)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x {} y", ["x", "{}", "y"]),
        ('x "{}" y', ["x", "{}", "y"]),
        ("x '{}' y", ["x", "{}", "y"]),
        ("x a{}b{}c y", ["x", "a{}b{}c", "y"]),
        ('x "it\'s {}" y', ["x", "it's {}", "y"]),
        ("x 'a \"{}' y", ["x", 'a "{}', "y"]),
        ('x \\"{} y', ["x", '"{}', "y"]),
        ('x "\\"{}" y', ["x", '"{}', "y"]),
        ("x\\ {}'{}'\"{}\" y", ["x {}{}{}", "y"]),
        ('x "# {}" y', ["x", "# {}", "y"]),
        ("x \"#\" {} '#{}' {}", ["x", "#", "{}", "#{}", "{}"]),
        ("x '# {}' y", ["x", "# {}", "y"]),
        ("x \\# {} y", ["x", "#", "{}", "y"]),
        ("x y # it's {}", ["x", "y"]),
    ],
)
def test_a_value_is_quoted_for_its_place(line: str, words: list[str], value: str) -> None:
    closed = deferred_quoting.quote_in_place(line.replace("{}", quoting.deferred_haproxy(value)))
    assert cut(closed) == [word.replace("{}", value) for word in words]


def test_only_lines_with_values_are_touched() -> None:
    text = "a 'b\n" + 'c "{}"\n' + "it's # \"\n"
    assert deferred_quoting.quote_in_place(
        text.replace("{}", quoting.deferred_haproxy("x y"))
    ) == text.replace("{}", "x y")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a {} \n", "must not start with a value"),
        ("x \\{}\n", "backslash"),
        ("x \x02half\n", "cut apart"),
        ("x half\x03\n", "cut apart"),
        ("x \x02a\x02b\x03\n", "cut apart"),
        ("x \x02a\ny b\x03\n", "cut apart"),
        ("x \x1ey\n", "line of its own"),
    ],
)
def test_a_damaged_or_misplaced_value_fails_with_its_line(text: str, reason: str) -> None:
    damaged = text.replace("a {}", "{}").replace("{}", quoting.deferred_haproxy("x y"))
    with pytest.raises(TemplateError, match=f"line 3 as rendered.*{reason}"):
        deferred_quoting.quote_in_place("one\ntwo\n" + damaged)


def test_whole_lines_closed_ahead_are_the_same_in_place() -> None:
    lines = f"x {quoting.deferred_haproxy('a b')}\ny\n"
    ahead = deferred_quoting.quote_lines(lines)
    assert "\x02" not in ahead
    assert (
        deferred_quoting.quote_in_place(f"first\n  {ahead}{ahead}last\n")
        == 'first\n  x "a b"\ny\nx "a b"\ny\nlast\n'
    )


def test_lines_that_are_not_whole_are_left_for_later() -> None:
    part = f"x {quoting.deferred_haproxy('a b')}"
    assert deferred_quoting.quote_lines(part) == part


@given(st.text(st.sampled_from("\x02\x03\x1e a\n\"'\\#")))
def test_no_mark_survives(text: Any) -> None:
    try:
        closed = deferred_quoting.quote_in_place(text)
    except TemplateError:
        return
    assert not set(closed) & set("\x02\x03\x1e")
