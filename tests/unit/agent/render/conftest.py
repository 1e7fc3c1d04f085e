"""Rendering small templates from memory of the test."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lbsync.agent.render.environment import Delimiters, StyleName
from lbsync.agent.render.renderer import OutputSpec, Renderer

Render = Callable[..., str]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """Render one template to text; other templates can be given by name as well."""

    def render(
        source: str,
        context: Mapping[str, object] | None = None,
        *,
        raw: Mapping[str, bytes] | None = None,
        style: StyleName = "haproxy",
        delimiters: Delimiters | None = None,
        others: Mapping[str, str] | None = None,
        constants: Mapping[str, object] | None = None,
    ) -> str:
        for name, text in {"main.j2": source, **(others or {})}.items():
            (tmp_path / name).write_text(text)
        spec = OutputSpec("main.j2", "haproxy.cfg", style, 0o644, delimiters or Delimiters())
        renderer = Renderer([tmp_path], [spec], constants)
        return renderer.render(context or {}, raw or {})["haproxy.cfg"].decode()

    return render
