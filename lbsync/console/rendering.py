"""Templates to HTML: every value is escaped, whoever wrote it."""

import hashlib
import operator
from collections.abc import Callable, Mapping
from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup

from lbsync.console.problem import Problem
from lbsync.console.security.gate import Visitor
from lbsync.log import span
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import seconds, stamp

_TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
_MOST_KEPT = 256


class Rendered(msgspec.Struct, frozen=True):
    """The part of a page that changes."""

    html: str
    digest: str
    """Equal for equal content: the id of an event of a live page."""


class Renderer:
    """The templates, compiled once."""

    def __init__(self) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["moment"] = _moment
        self._environment.filters["stamp"] = _stamp
        self._environment.filters["span"] = span
        self._environment.filters["is_service"] = _is_service
        self._environment.globals["asset"] = _Assets()
        self._kept: dict[tuple[object, ...], tuple[tuple[object, ...], Rendered]] = {}

    def fragment(
        self,
        template: str,
        key: tuple[object, ...],
        state: tuple[object, ...],
        values: Callable[[], Mapping[str, object]],
    ) -> Rendered:
        """Return the changing part of a page. `key` equal, and `state` the same objects, for the same values;
        of each key the last state's is kept, so that many live pages cost one rendering."""
        before = self._kept.pop((template, *key), None)
        if before is None or not all(map(operator.is_, before[0], state)):
            html = self._environment.get_template(template).render(values())
            digest = hashlib.blake2b(html.encode(), digest_size=12).hexdigest()
            before = state, Rendered(html, digest)
        self._kept[template, *key] = before
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return before[1]

    def page(
        self, title: str, main: Rendered, visitor: Visitor | None, path: str, live: str = ""
    ) -> bytes:
        """Return a whole page. `live`: where its stream of changes is; empty: it has none."""
        text = self._environment.get_template("layout.html.j2").render(
            title=title, main=Markup(main.html), digest=main.digest, visitor=visitor,
            path=path, live=live,
        )  # fmt: skip
        return text.encode()

    def plain(self, template: str, **values: object) -> str:
        """Return the content of a page that has no stream."""
        return self._environment.get_template(template).render(**values)

    def problem(self, problem: Problem, visitor: Visitor | None, path: str) -> bytes:
        """Return the page of a problem."""
        html = self.plain("problem.html.j2", problem=problem)
        return self.page(problem.title, Rendered(html, ""), visitor, path)


class _Assets:
    """Names the files of `static/` with what they hold, so that a new release is never mixed with an old
    one's."""

    def __init__(self) -> None:
        self._digests = {
            path.name: hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()
            for path in sorted(STATIC.iterdir())
            if path.is_file()
        }

    def __call__(self, name: str) -> str:
        """Return the path of a file."""
        return f"/static/{name}?{self._digests[name]}"


def _moment(text: str) -> str:
    """Return a moment in RFC 3339 for people; empty for what is none."""
    at = seconds(text) if text else 0.0
    if not 0 < at < 4e9:
        return ""
    return stamp(at).replace("T", " ").replace("Z", " UTC")


def _is_service(text: str) -> bool:
    try:
        return bool(ServiceId.parse(text))
    except ValueError:
        return False


def _stamp(at: float) -> str:
    """Return seconds since 1970 in RFC 3339; empty for 0."""
    return stamp(at) if at else ""
