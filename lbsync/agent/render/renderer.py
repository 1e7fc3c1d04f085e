"""All outputs of one configuration, rendered from one snapshot."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from lbsync import measure
from lbsync.agent.render.allowance import Allowance
from lbsync.agent.render.confd.keys import Keys
from lbsync.agent.render.digest import STAND_IN
from lbsync.agent.render.environment import ConfigEnvironment, Delimiters, StyleName
from lbsync.agent.render.faults import FAULTS, located
from lbsync.agent.render.text import Quoted
from lbsync.errors import LbsyncError, Rejected, TemplateError, TooCostly

#: Of one file; HAProxy would take minutes to read as much.
_MOST_CHARACTERS = 100_000_000
_REST_S = 600.0


class OutputSpec(msgspec.Struct, frozen=True):
    """One file to render."""

    template: str
    """Name of the template, below one of the template directories."""
    path: str
    """Where the text goes: relative to the generation (`haproxy.cfg`, `maps/hosts.map`), or an
    absolute path outside of it."""
    style: StyleName = "haproxy"
    """How values are quoted: `haproxy`, `map` (map files: no quotes exist), `strict` (anything but
    a plain word is refused; for nginx and others) or `none` (text as it is)."""
    mode: int = 0o644
    """Permission bits."""
    delimiters: Delimiters = Delimiters()


class Renderer:
    """Renders `outputs`. Templates are read once, here; for changed ones, make a new renderer."""

    def __init__(
        self,
        template_dirs: Sequence[Path],
        outputs: Sequence[OutputSpec],
        constants: Mapping[str, object] | None = None,
        time_limit_s: float = 5.0,
    ) -> None:
        """Compile all that `outputs` need.

        `template_dirs`: the first that has a file wins. `constants`: names that every template,
        macro and fragment sees, the same for the life of the renderer. `time_limit_s`: seconds of
        CPU time that an output may take, and each item of `each`. Raises `TemplateError`.
        """
        self.outputs = tuple(outputs)
        self._constants = frozenset(constants or ())
        self.allowance = Allowance(time_limit_s)
        """What the templates may take."""
        self._rests: dict[str, tuple[float, LbsyncError]] = {}
        self._environments: dict[tuple[StyleName, Delimiters], ConfigEnvironment] = {}
        self._check_paths()
        templates: set[str] = set()
        for spec in self.outputs:
            kind = (spec.style, spec.delimiters)
            try:
                if kind not in self._environments:
                    self._environments[kind] = ConfigEnvironment(
                        template_dirs, *kind, constants, self.allowance
                    )
                templates |= self._environments[kind].load(spec.template)
            except (*FAULTS, AssertionError) as error:
                raise located(error, spec.template) from error
        self.templates = frozenset(templates)
        """Names of all that the outputs are made of, as far as they are named plainly."""

    def _check_paths(self) -> None:
        seen = set()
        for spec in self.outputs:
            path = PurePosixPath(spec.path)
            if spec.path in seen:
                raise TemplateError(f"two outputs write {spec.path}; give each its own path")
            if str(path) != spec.path or ".." in path.parts or spec.path == ".":
                raise TemplateError(
                    f"output path {spec.path!r}: write it without '.', '..' and '//'"
                )
            seen.add(spec.path)

    def reads_only(self, names: Collection[str], templates: Collection[str]) -> bool:
        """Tell whether these templates, as far as outputs are made of them, read nothing but constants and `names`,
        and refer to no others: everything else in the context makes no difference to what they print."""
        environment = next(iter(self._environments.values()))
        known = {*names, *self._constants}
        found = (environment.names_read(name) for name in self.templates.intersection(templates))
        return all(read is not None and read <= known for read in found)

    @property
    def modes(self) -> dict[str, int]:
        """Permission bits by output path, for `seal`."""
        return {spec.path: spec.mode for spec in self.outputs}

    @property
    def resting(self) -> frozenset[str]:
        """Paths of the files that are not rendered now, since they took too much."""
        now = time.monotonic()
        return frozenset(path for path, (until, _) in self._rests.items() if until > now)

    def render(self, context: Mapping[str, object], raw: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the text of each output by its path; every text ends with one line feed.

        `context`: what templates see by name. `raw`: the store's keys for the key functions
        (`getv` and others). The digest is a stand-in as yet: pass the result to `digest.seal`.
        Raises `TemplateError` for faults of a template and `Rejected` for values that cannot be
        written, both with template and line.
        """
        files, faults = self.render_what_can(context, raw)
        for error in faults.values():
            raise error
        return files

    @measure.timed("render")
    def render_what_can(
        self, context: Mapping[str, object], raw: Mapping[str, bytes]
    ) -> tuple[dict[str, bytes], dict[str, LbsyncError]]:
        """As `render`, but a file outside of the generation that cannot be rendered stands in no
        other's way: return the texts, and by path why there are no further ones.

        One that took too much is let alone for ten minutes, so that it does not cost its time again
        with each change."""
        names = {**Keys(raw).functions(), **context, "digest": Quoted(STAND_IN)}
        for environment in self._environments.values():
            environment.fragments.begin()
        files: dict[str, bytes] = {}
        faults: dict[str, LbsyncError] = {}
        with self.allowance.spent_here():
            for spec in self.outputs:
                if spec.path in self.resting:
                    faults[spec.path] = self._rests[spec.path][1]
                    continue
                try:
                    files[spec.path] = self._render_one(spec, names)
                except LbsyncError as error:
                    if not spec.path.startswith("/"):
                        raise
                    faults[spec.path] = error
                    if isinstance(error, TooCostly):
                        self._rests[spec.path] = (time.monotonic() + _REST_S, error)
        for environment in self._environments.values():
            environment.fragments.commit()
        return files, faults

    def fragments(
        self, template: str, items: Sequence[object], style: StyleName = "haproxy"
    ) -> list[str]:
        """Return what `each(template, [item])` prints in an output of `style`, of each of `items`.

        The next whole rendering need not do it again. Raises as `render` does.
        """
        for (known, _), environment in self._environments.items():
            if known == style:
                with self.allowance.spent_here():
                    return environment.fragments.early(template, items)
        raise TemplateError(f"{template}: no output of style {style} to render a fragment for")

    def _render_one(self, spec: OutputSpec, names: Mapping[str, object]) -> bytes:
        environment = self._environments[spec.style, spec.delimiters]
        template = environment.get_template(spec.template)
        try:
            with self.allowance.output(spec.path):
                pieces = template.root_render_func(template.new_context(dict(names)))
                text = environment.style.close("".join(pieces)).rstrip("\n")
            if len(text) > _MOST_CHARACTERS:
                raise TooCostly(f"it prints more than {_MOST_CHARACTERS} characters")
            return f"{text}\n".encode() if text else b""
        except UnicodeEncodeError as error:
            raise Rejected(
                f"{spec.template}: half a surrogate pair, which is no character, in {spec.path}"
            ) from error
        except FAULTS as error:
            raise located(error, spec.template) from error
