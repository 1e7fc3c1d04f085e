"""The Jinja environment of one kind of output: sandboxed, strict, quoting by default."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, Literal, NoReturn

import jinja2
import msgspec
from jinja2 import nodes
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lbsync.agent.render import compiler, filters, quoting, text
from lbsync.agent.render.allowance import Allowance
from lbsync.agent.render.confd import functions, keys
from lbsync.agent.render.deferred_quoting import quote_in_place, quote_lines
from lbsync.agent.render.fragments import Fragments
from lbsync.agent.render.loader import ShadowingLoader

StyleName = Literal["haproxy", "map", "strict", "none"]


class Delimiters(msgspec.Struct, frozen=True):
    """What opens and closes each kind of tag; others than Jinja's when the file itself is full of
    `{{` or `{%`, as log-formats in JSON are."""

    block: tuple[str, str] = ("{%", "%}")
    variable: tuple[str, str] = ("{{", "}}")
    comment: tuple[str, str] = ("{#", "#}")


class Style(msgspec.Struct, frozen=True):
    """How values are written in one kind of file."""

    encode: quoting.Encoder
    close: Callable[[str], str] = str
    """Applied to the whole text of a file when it is complete."""
    quote_lines: Callable[[str], str] = str
    """Applied to whole lines ahead of the rest, so that they can be kept."""


STYLES: Mapping[StyleName, Style] = {
    "haproxy": Style(quoting.deferred_haproxy, quote_in_place, quote_lines),
    "map": Style(quoting.map_key),
    "strict": Style(quoting.strict),
    "none": Style(quoting.verbatim),
}

#: Templates that this process has compiled, and what each refers to. A renderer made anew, for
#: changed settings say, compiles only what differs: the packaged set takes 0.13 s (measured), in
#: which no change would be served.
_compiled: dict[tuple[object, ...], tuple[CodeType, list[str]]] = {}
#: So many are kept, several times what a host has.
_MOST_COMPILED = 1000
#: Of whole numbers that are calculated with.
_MOST_BITS = 1024

#: Methods of quoted text that only look at it.
_LOOKING = frozenset({"startswith", "endswith"})


def _is_shown(kind: type, attribute: str) -> bool:
    """Tell whether `attribute` is a field or property of one of our own records."""
    if not issubclass(kind, msgspec.Struct) or attribute.startswith("_"):
        return False
    property_or_not = getattr(kind, attribute, None)
    return attribute in kind.__struct_fields__ or isinstance(property_or_not, property)


class ConfigEnvironment(ImmutableSandboxedEnvironment):
    """Prints plain text quoted by the rules of `style`; see `text` for what is plain."""

    code_generator_class = compiler.PrintingCodeGenerator
    concat = staticmethod(text.quoted_concat)
    literal = text.Literal
    intercepted_binops = frozenset({"+", "%", "*", "//", "**"})
    finalize: text.Printer
    loader: ShadowingLoader

    def __init__(
        self,
        directories: Sequence[Path],
        style: StyleName = "haproxy",
        delimiters: Delimiters | None = None,
        constants: Mapping[str, object] | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        """`allowance`: what fragments may take; None leaves them alone."""
        marks = delimiters or Delimiters()
        self.style = STYLES[style]
        self._kind = (style, marks)
        printer = text.Printer(self.style.encode)
        super().__init__(
            block_start_string=marks.block[0],
            block_end_string=marks.block[1],
            variable_start_string=marks.variable[0],
            variable_end_string=marks.variable[1],
            comment_start_string=marks.comment[0],
            comment_end_string=marks.comment[1],
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=jinja2.StrictUndefined,
            finalize=printer,
            autoescape=False,
            auto_reload=False,
            cache_size=-1,
            optimized=False,  # a literal folded into a constant would lose its mark
            loader=ShadowingLoader(directories),
            extensions=("jinja2.ext.do", "jinja2.ext.loopcontrols"),
        )
        self.filters = {**functions.FILTERS, **filters.build(printer, style)}
        self.fragments = Fragments(self, self.style.quote_lines, allowance or Allowance(math.inf))
        for name in ("lipsum", "joiner"):
            del self.globals[name]
        self.globals |= functions.functions(keys.NAMES)
        self.globals |= {"each": self.fragments.each, "join": self.filters["join"]}
        if style == "haproxy":
            # Quotes that are data would be escaped when printed; here they mean: one word.
            self.filters["squote"] = self.filters["quote"]
            self.globals |= dict.fromkeys(("quote", "squote"), self.filters["quote"])
        self.globals |= constants or {}
        self._backslash_escapes = style == "haproxy"
        self._references: dict[str, list[str]] = {}
        self.shows: defaultdict[str, set[type]] = defaultdict(set)
        """Name of an attribute to the kinds of our own that show it; see `compiler`."""

    def load(self, name: str) -> set[str]:
        """Compile `name` and all that it refers to by plain names, so that faults show now; return them.

        Raises `jinja2.TemplateError` or `TemplateError`.
        """
        waiting, seen = [name], set[str]()
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                self.get_template(current)
                waiting += self._references.get(current, ())
        return seen

    def names_read(self, name: str) -> set[str] | None:
        """Return the names that a template reads; None: it refers to other templates. Raises as `load`."""
        source, path, _ = self.loader.get_source(self, name)
        return compiler.names_read(self._parse(source, None, path))

    # Jinja's own can return Python's text instead, which no loader asks for.
    def compile(  # type: ignore[override]
        self, source: str, name: str | None = None, filename: str | None = None
    ) -> CodeType:
        """Return the code of a template, as it was compiled before where it is the same."""
        known = (self._kind, source, name, filename)
        if known not in _compiled:
            if len(_compiled) >= _MOST_COMPILED:
                _compiled.clear()
            code = super().compile(source, name, filename)
            _compiled[known] = code, self._references.get(name or "", [])
        code, self._references[name or ""] = _compiled[known]
        return code

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        try:
            tree = super()._parse(source, name, filename)
            compiler.prepare(tree, backslash_escapes=self._backslash_escapes)
            functions.refuse_what_is_missing(tree)
        except jinja2.TemplateSyntaxError as error:
            error.name = error.name or name
            raise
        if name is not None:
            self._references[name] = list(compiler.references(tree))
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute or member; what our own records show, and macros of an imported template, skip
        the sandbox's checks."""
        kind = type(obj)
        if kind in self.shows.get(attribute, ()):
            return getattr(obj, attribute)
        if kind is TemplateModule and attribute[:1] != "_":
            macro = vars(obj).get(attribute)
            if type(macro) is Macro:
                return macro
        if not _is_shown(kind, attribute):
            return super().getattr(obj, attribute)
        self.shows[attribute].add(kind)
        return getattr(obj, attribute)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls, as the sandbox does. A macro is safe, and takes the context for evaluation
        first: to find that out each time takes as long as a short macro does."""
        if type(__obj) is not Macro:
            return super().call(__context, __obj, *args, **kwargs)
        for name in ("_loop_vars", "_block_vars"):
            kwargs.pop(name, None)
        return __obj(__context.eval_ctx, *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Deny what the sandbox denies, and every method that would change quoted text."""
        if isinstance(obj, text.Quoted) and attr not in _LOOKING:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Deny `format` of quoted text: it would take data in without quotes."""
        if isinstance(getattr(value, "__self__", None), text.Quoted):
            return self._refuse_format
        return super().wrap_str_format(value)

    @staticmethod
    def _refuse_format(*_: object, **__: object) -> NoReturn:
        raise SecurityError("text that is quoted already cannot be a format; use ~ or a set block")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Join by our rules where `+` meets text; refuse `%` with quoted text on either side, and
        numbers so large that a single operation takes seconds."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return self.finalize.join((left, right))
        if operator == "%" and isinstance(left, str):
            values = right.values() if isinstance(right, dict) else right
            members = values if isinstance(values, tuple) else (values,)
            if any(type(member) is text.Quoted for member in (left, *members)):
                raise TypeError("% cannot mix data with text that is quoted already; use ~")
        if isinstance(left, int) and isinstance(right, int):
            _refuse_large(operator, left, right)
        return super().call_binop(context, operator, left, right)


def _refuse_large(operator: str, left: int, right: int) -> None:
    bits = max(left.bit_length(), right.bit_length())
    if operator == "**":
        bits = max(bits, left.bit_length() * right)
    if bits > _MOST_BITS:
        raise ValueError(f"{operator} with a number of more than {_MOST_BITS} bits")
