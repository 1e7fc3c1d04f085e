"""No template takes more time or memory than it may, and what stopped it is gone afterwards."""

import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest

from lbsync.agent.render.renderer import OutputSpec, Renderer
from lbsync.errors import ItemTooCostly, TemplateError, TooCostly

LIMIT_S = 0.2
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
STORE = "{% set ns = namespace(x=$) %}{% for _ in range(60) %}{% set ns.x = # %}{% endfor %}"
LONG = "it takes too long: stopped after "
LARGE = "it needs more than 512 MiB of memory"


def growing(first: str, step: str) -> str:
    """A template that takes one step 60 times."""
    return STORE.replace("$", first).replace("#", step)


class Thing(msgspec.Struct, frozen=True):
    """An item of `each`."""

    name: str


def a_renderer(directory: Path, **templates: str) -> Renderer:
    """`main` goes into the generation, `file` outside of it."""
    for name, text in templates.items():
        (directory / f"{name}.j2").write_text(text)
    outputs = [OutputSpec("main.j2", "haproxy.cfg", "none")]
    if "file" in templates:
        outputs.append(OutputSpec("file.j2", "/elsewhere", "none"))
    return Renderer([directory], outputs, time_limit_s=LIMIT_S)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (LOOPS, LONG),
        (LOOPS.replace("{% endfor %}", "text {{ b }}{% endfor %}", 1), LONG),
        ("{% macro f(n) %}{{ f(n - 1) ~ f(n - 1) if n else '' }}{% endmacro %}{{ f(60) }}", LONG),
        ("{{ [range(99999)|map('string')|list]|batch(1)|list * 9999|length }}", ""),
        ("{{ ([range(9999)|list] * 99999)|map('join', ',')|list|length }}", LONG),
        (growing("[1]", "[ns.x, ns.x]") + "{{ ns.x|tojson }}", ""),
        ("{{ 1|round(10**8, 'ceil') }}", LONG),
        ("{{ ([[0, 0]] * 9 * 10**6)|sum(start=[])|length }}", ""),
        ("{{ 'a' * 10**10 }}", LARGE),
        ("{{ 'a' * 10**9 }}", LARGE),
        ("{% set x = [1] * 10**10 %}", LARGE),
        ("{{ '%10000000000d' % 1 }}", LARGE),
        ("{{ 'a'|center(10**10) }}", LARGE),
        ("{{ 'a'.ljust(10**10) }}", LARGE),
        ("{{ ('a' * 10**6)|replace('a', 'b' * 10**6) }}", LARGE),
        (growing("'abcdefgh'", "ns.x ~ ns.x"), ""),
        (growing("[1]", "ns.x + ns.x"), ""),
        (growing("10", "ns.x * ns.x"), "number of more than 1024 bits"),
        (growing("10", "mul(ns.x, ns.x)"), "64 bits"),
        ("{{ 10 ** (10 ** 10) }}", "number of more than 1024 bits"),
        ("{{ range(10**9)|list }}", "Range too big"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{% include 'main.j2' %}", "recursion"),
    ],
)
def test_what_would_not_end_or_fill_the_memory_is_stopped_and_named(
    tmp_path: Path, source: str, reason: str
) -> None:
    renderer = a_renderer(tmp_path, main=f"text\n{source}")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(TemplateError, match=r"^main\.j2:2: ") as caught:
        renderer.render({}, {})
    assert reason in str(caught.value)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_the_limit_is_that_of_the_settings_and_the_sentence_names_it(tmp_path: Path) -> None:
    with pytest.raises(TooCostly, match=r"\[templates\] time_limit allows 0\.2 s$"):
        a_renderer(tmp_path, main=LOOPS).render({}, {})


def test_a_late_signal_meets_nothing(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, main="text")
    renderer.render({}, {})
    signal.raise_signal(signal.SIGALRM)


def test_time_that_passes_while_nothing_is_done_counts_for_nobody(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, main="{{ wait() }}")
    never = threading.Event()
    assert renderer.render({"wait": lambda: never.wait(2 * LIMIT_S) or "x"}, {})


def test_one_item_of_many_that_takes_too_long_is_named_and_the_template_is_not(
    tmp_path: Path,
) -> None:
    fragment = "{% if item.name == 'slow' %}" + LOOPS + "{% endif %}{{ item.name }}\n"
    renderer = a_renderer(tmp_path, main="{{ each('f.j2', items) }}", f=fragment)
    items = [Thing("a"), Thing("slow"), Thing("b")]
    with pytest.raises(ItemTooCostly, match=r" f\.j2:1: it takes too long.*\(item 'slow'\)$"):
        renderer.render({"items": items}, {})
    assert renderer.render({"items": items[::2]}, {}) == {"haproxy.cfg": b"a\nb\n"}


def test_many_items_that_are_quick_each_may_take_longer_than_the_limit(tmp_path: Path) -> None:
    fragment = "{% for _ in range(20000) %}{% endfor %}{{ item.name }}\n"
    items: list[Thing] = []
    spent = 0.0
    while spent < 2 * LIMIT_S:
        renderer = a_renderer(tmp_path, main="{{ each('f.j2', items) }}", f=fragment)
        items += [Thing(str(len(items) + number)) for number in range(100)]
        began = time.thread_time()
        assert renderer.render({"items": items}, {})
        spent = time.thread_time() - began


def test_a_file_elsewhere_that_takes_too_long_stands_in_nobodys_way_and_is_let_alone(
    tmp_path: Path,
) -> None:
    renderer = a_renderer(tmp_path, main="text", file=LOOPS)
    files, faults = renderer.render_what_can({}, {})
    assert files == {"haproxy.cfg": b"text\n"}
    assert "file.j2:1: it takes too long" in str(faults["/elsewhere"])
    began = time.thread_time()
    assert renderer.resting == {"/elsewhere"}
    assert renderer.render_what_can({}, {})[1] == faults
    assert time.thread_time() - began < LIMIT_S / 2


def test_a_fragment_on_its_own_is_stopped_too(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, main="{{ each('f.j2', []) }}", f=LOOPS)
    renderer = Renderer([tmp_path], [OutputSpec("main.j2", "haproxy.cfg")], time_limit_s=LIMIT_S)
    with pytest.raises(ItemTooCostly, match=r"^f\.j2:1: it takes too long"):
        renderer.fragments("f.j2", [Thing("a")])


def test_outside_of_the_main_thread_is_rendered_all_the_same(tmp_path: Path) -> None:
    renderer = a_renderer(tmp_path, main="text")
    texts: list[dict[str, bytes]] = []
    thread = threading.Thread(target=lambda: texts.append(renderer.render({}, {})))
    thread.start()
    thread.join()
    assert texts == [{"haproxy.cfg": b"text\n"}]


def test_a_limit_that_is_hit_where_the_code_has_no_line_is_told_all_the_same(
    tmp_path: Path,
) -> None:
    renderer = a_renderer(
        tmp_path, main="text\n{% for a in 'ab' %}{% if a %}x{% endif %}{% endfor %}"
    )

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        frame.f_trace_opcodes = "__jinja_template__" in frame.f_globals
        if event == "opcode" and frame.f_lineno is None:
            raise TooCostly("stopped")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(TooCostly, match=r"^main\.j2:2: stopped$"):
            renderer.render({}, {})
    finally:
        sys.settrace(before)


def test_what_is_printed_right_after_a_wake_costs_its_pass_nothing(tmp_path: Path) -> None:
    asked: list[str] = []

    @dataclass(frozen=True)
    class Counted:
        text: str

        @property
        def name(self) -> str:
            asked.append(self.text)
            return self.text

    renderer = a_renderer(tmp_path, main="{{ each('f.j2', items) }}", f="{{ item.name }}\n")
    old, new = Counted("old"), Counted("new")
    renderer.render({"items": [old]}, {})
    assert renderer.fragments("f.j2", [old, new], "none") == ["old\n", "new\n"]
    assert renderer.render({"items": [old, new]}, {}) == {"haproxy.cfg": b"old\nnew\n"}
    assert renderer.render({"items": [new]}, {}) == {"haproxy.cfg": b"new\n"}
    assert asked == ["old", "new"]
