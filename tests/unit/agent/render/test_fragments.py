"""What did not change is not rendered again, and never changes the result."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.render.renderer import OutputSpec, Renderer
from lbsync.errors import Rejected, TemplateError


class Thing(msgspec.Struct, frozen=True):
    name: str


class Counter:
    """Counts how often a template asked for it."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return "c"


def a_renderer(
    directory: Path, fragment: str, main: str = "{{ each('f.j2', items) }}", **constants: object
) -> Renderer:
    (directory / "f.j2").write_text(fragment)
    (directory / "main.j2").write_text(main)
    return Renderer([directory], [OutputSpec("main.j2", "haproxy.cfg")], constants)


def text(renderer: Renderer, *items: object) -> str:
    return renderer.render({"items": items}, {})["haproxy.cfg"].decode()


def test_an_item_that_stayed_is_not_rendered_again(tmp_path: Path) -> None:
    count = Counter()
    renderer = a_renderer(tmp_path, "x {{ item.name }}{{ count() }}\n", count=count)
    first, second, third = Thing("a"), Thing("b b"), Thing("d")
    assert text(renderer, first, second) == 'x ac\nx "b b"c\n'
    assert text(renderer, second, first, third) == 'x "b b"c\nx ac\nx dc\n'
    assert count.asked == 3


def test_what_an_item_sets_is_gone_for_the_next(tmp_path: Path) -> None:
    fragment = (
        "{% if item.name == 'a' %}{% set mark = 'm' %}{% endif %}x {{ mark|default('none') }}\n"
    )
    assert text(a_renderer(tmp_path, fragment), Thing("a"), Thing("b")) == "x m\nx none\n"


def test_each_item_begins_with_the_blocks_of_its_own_template(tmp_path: Path) -> None:
    (tmp_path / "base.j2").write_text("{% block b %}base {{ item.name }}\n{% endblock %}")
    fragment = "{% extends 'base.j2' %}{% block b %}x {{ item.name }}\n{{ super() }}{% endblock %}"
    wanted = "".join(f"x {name}\nbase {name}\n" for name in "abc")
    assert text(a_renderer(tmp_path, fragment), *map(Thing, "abc")) == wanted


def test_an_item_renders_others_by_its_own_template(tmp_path: Path) -> None:
    fragment = "x {{ item[0] }}\n{{ each('f.j2', item[1]) }}x {{ item[0] }} ends\n"
    tree = ("a", (("b", (("c", ()),)), ("d", ())))
    wanted = "".join(
        f"x {line}\n" for line in ["a", "b", "c", "c ends", "b ends", "d", "d ends", "a ends"]
    )
    assert text(a_renderer(tmp_path, fragment), tree) == wanted


def test_after_an_item_that_fails_the_next_is_rendered(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, "{% set name = item.name %}x {{ name }}\n")
    with pytest.raises(Rejected):
        text(renderer, Thing("b\n"))
    assert text(renderer, Thing("a")) == "x a\n"


def test_what_the_latest_render_did_not_use_is_forgotten(tmp_path: Path) -> None:
    count = Counter()
    renderer = a_renderer(tmp_path, "x {{ item.name }}{{ count() }}\n", count=count)
    first, second = Thing("a"), Thing("b")
    text(renderer, first, second)
    text(renderer, second)
    text(renderer, first, second)
    assert count.asked == 3


def test_a_template_that_the_latest_render_did_not_use_is_forgotten(tmp_path: Path) -> None:
    count = Counter()
    main = "{% if items %}{{ each('f.j2', items) }}{% endif %}"
    renderer = a_renderer(tmp_path, "x {{ item.name }}{{ count() }}\n", main, count=count)
    item = Thing("a")
    for items in [(item,), (), (item,)]:
        text(renderer, *items)
    assert count.asked == 2


def test_a_failed_render_forgets_nothing(tmp_path: Path) -> None:
    count = Counter()
    renderer = a_renderer(tmp_path, "x {{ item.name }}{{ count() }}\n", count=count)
    good = Thing("a")
    text(renderer, good)
    with pytest.raises(Rejected):
        text(renderer, Thing("b\n"))
    text(renderer, good)
    assert count.asked == 1


def test_items_that_can_change_are_rendered_each_time(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, "x {{ item.name }}\n")
    item = {"name": "a"}
    assert text(renderer, item) == "x a\n"
    item["name"] = "b"
    assert text(renderer, item) == "x b\n"


def test_a_fragment_sees_the_item_and_the_constants_only(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, "x {{ item.name }} {{ colour }}\n", colour="deep red")
    assert text(renderer, Thing("a")) == 'x a "deep red"\n'
    blind = a_renderer(tmp_path, "x {{ items }}\n")
    with pytest.raises(TemplateError, match=r"f\.j2:1: 'items' is undefined \(item 'a'\)"):
        text(blind, Thing("a"))


def test_an_error_in_a_fragment_names_template_line_and_item(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, "x\n  y {{ item.name }}\n", "\n{{ each('f.j2', items) }}")
    with pytest.raises(
        Rejected, match=r"main\.j2:2: f\.j2:2: .*line feed.*\(item 'a\\nb'\)"
    ) as caught:
        text(renderer, Thing("a\nb"))
    assert "\n" not in str(caught.value)


def test_fragments_nest(tmp_path: Path) -> None:
    (tmp_path / "inner.j2").write_text("    {{ 'y' }} {{ item }}\n")
    renderer = a_renderer(tmp_path, "x {{ item[0] }}\n{{ each('inner.j2', item[1]) }}")
    assert text(renderer, ("a", ("b", "c d"))) == 'x a\n    y b\n    y "c d"\n'


def test_a_fragment_that_is_part_of_a_line_is_quoted_with_that_line(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, " {{ item }}", "x \"{{ each('f.j2', items) }}\"")
    assert text(renderer, "a", "b c") == 'x " a b c"\n'


def test_whole_lines_cannot_be_printed_into_a_line(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, "x {{ item }}\n", "x '{{ each('f.j2', items) }}'")
    with pytest.raises(TemplateError, match="line of its own"):
        text(renderer, "a b")


names = st.text(st.sampled_from("ab #'\"$\\"), min_size=1, max_size=4)


@given(st.lists(st.lists(names, max_size=5), min_size=1, max_size=4))
def test_kept_fragments_give_what_a_fresh_renderer_gives(
    tmp_path_factory: pytest.TempPathFactory, passes: list[list[str]]
) -> None:
    directory = tmp_path_factory.mktemp("each")
    kept = a_renderer(directory, "x {{ item.name }} '{{ item.name }}'\n")
    things: dict[str, Any] = {}
    for members in passes:
        items = [things.setdefault(name, Thing(name)) for name in members]
        assert text(kept, *items) == text(
            a_renderer(directory, (directory / "f.j2").read_text()), *items
        )
