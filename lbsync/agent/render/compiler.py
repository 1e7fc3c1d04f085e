"""Jinja's compiler, changed so that everything a template prints passes the environment's printer.

Stock Jinja knows one kind of escaping, HTML, and has output paths that skip `finalize`. Here
autoescape is off permanently, and the few places that write to the output, or join text, are replaced.
"""

import keyword
from collections.abc import Iterator
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, Frame

from lbsync.agent.render.deferred_quoting import LINE_START
from lbsync.agent.render.quoting import CLOSE, OPEN


class PrintingCodeGenerator(CodeGenerator):
    """Writes template code in which each print, call block and filter block is finalized."""

    _wrapping = False

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:  # noqa: ARG002
        self.write("environment.finalize(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:  # noqa: ARG002
        self.write(")")

    def start_write(self, frame: Frame, node: nodes.Node | None = None) -> None:
        """Begin to write one expression; stock code writes the result of `{% call f() %}` and of
        `{% filter f %}` unseen."""
        super().start_write(frame, node)
        self._wrapping = isinstance(node, nodes.CallBlock | nodes.FilterBlock)
        if self._wrapping:
            self.write("environment.finalize(")

    def end_write(self, frame: Frame) -> None:
        """End what `start_write` began."""
        if self._wrapping:
            self.write(")")
            self._wrapping = False
        super().end_write(frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """Join with `~` by `Printer.join`."""
        self.write("environment.finalize.join((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        """Read what our own records show without a call: ten thousand services are a million reads.

        `shows` has, by name, the kinds of which the environment's `getattr` found that it may be read.
        """
        if node.attr.startswith("_") or keyword.iskeyword(node.attr) or not node.attr.isascii():
            super().visit_Getattr(node, frame)
            return
        read = self.temporary_identifier()
        self.write(f"({read}.{node.attr} if type({read} := ")
        self.visit(node.node, frame)
        self.write(f") in environment.shows[{node.attr!r}] else ")
        self.write(f"environment.getattr({read}, {node.attr!r}))")

    def visit_MarkSafe(self, node: nodes.MarkSafe, frame: Frame) -> None:
        """Write a string of the template's author as `Literal`; see `prepare`."""
        self.write("environment.literal(")
        self.visit(node.expr, frame)
        self.write(")")


def prepare(tree: nodes.Template, *, backslash_escapes: bool) -> None:
    """Mark the author's own literals in `tree`, and refuse what would undermine the quoting.

    `backslash_escapes` tells whether a backslash is special in the output's language.
    Raises `jinja2.TemplateSyntaxError`.
    """
    # One walk for all: to walk through a tree takes as long as to parse it.
    every = list(tree.find_all(nodes.Node))
    for node in every:
        if isinstance(node, nodes.EvalContextModifier):
            raise TemplateSyntaxError(
                "autoescape has no meaning here: every value is quoted; use |raw for one value",
                node.lineno,
            )
        _refuse_marks(node)
    for node in every:
        if isinstance(node, nodes.Output):
            node.nodes = [_printed(child) for child in node.nodes]
            if backslash_escapes:
                _refuse_trailing_backslash(node)
    for node in every:
        if isinstance(node, nodes.Concat):
            node.nodes = [_literal(part) for part in node.nodes]
        elif isinstance(node, nodes.Add):
            node.left, node.right = _literal(node.left), _literal(node.right)
        elif isinstance(node, nodes.Filter) and node.name == "join":
            node.args = [_literal(argument) for argument in node.args]


def _refuse_marks(node: nodes.Node) -> None:
    if isinstance(node, nodes.Const):
        value = node.value
    elif isinstance(node, nodes.TemplateData):
        value = node.data
    else:
        return
    if isinstance(value, str) and any(mark in value for mark in (OPEN, CLOSE, LINE_START)):
        raise TemplateSyntaxError(
            "U+0002, U+0003 and U+001E cannot be used in templates", node.lineno
        )


_REFERRING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


def names_read(tree: nodes.Template) -> set[str] | None:
    """Return the names that `tree` reads, its own variables among them; None: it refers to other templates."""
    if any(tree.find_all(_REFERRING)):
        return None
    return {name.name for name in tree.find_all(nodes.Name) if name.ctx == "load"}


def references(tree: nodes.Template) -> Iterator[str]:
    """Yield the names of the templates that `tree` includes, imports, extends or gives to `each`,
    as far as they are written as plain strings."""
    for node in tree.find_all((*_REFERRING, nodes.Call)):
        if isinstance(node, nodes.Call):
            if not (isinstance(node.node, nodes.Name) and node.node.name == "each" and node.args):
                continue
            named: nodes.Node = node.args[0]
        else:
            if getattr(node, "ignore_missing", False):
                continue
            named = node.template  # type: ignore[attr-defined]
        if isinstance(named, nodes.Const) and isinstance(named.value, str):
            yield named.value


def _is_literal(node: nodes.Node | None) -> bool:
    if isinstance(node, nodes.Filter) and node.name == "raw":
        return isinstance(node.node, nodes.Const) and _is_literal(node.node)
    if isinstance(node, nodes.CondExpr):
        return _is_literal(node.expr1) and (node.expr2 is None or _is_literal(node.expr2))
    return isinstance(node, nodes.Const) and isinstance(node.value, str)


def _literal(node: nodes.Expr) -> nodes.Expr:
    """Wrap a string written in the template, so that it prints as it stands."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return nodes.MarkSafe(node, lineno=node.lineno, environment=node.environment)
    return node


def _without_raw(node: nodes.Expr) -> nodes.Expr:
    """Return the string of `"\\n"|raw`: the author need not be protected from himself."""
    if isinstance(node, nodes.Filter) and node.node is not None and _is_literal(node):
        return _literal(node.node)
    return node


def _printed(node: nodes.Expr) -> nodes.Expr:
    """Let literals that are printed on the spot be configuration: `{{ "check" if x }}`.

    In `{{ x if x else "a b" }}` the literal stands in for a value, so it is quoted like one; only
    the empty one, and an `else` left out, print nothing.
    """
    marked = _without_raw(_literal(node))
    if isinstance(marked, nodes.MarkSafe) and isinstance(marked.expr, nodes.Const):
        return nodes.TemplateData(
            marked.expr.value, lineno=node.lineno, environment=node.environment
        )
    if isinstance(node, nodes.CondExpr):
        return _branches(node, trusted=_is_literal(node))
    return node


def _branches(node: nodes.CondExpr, *, trusted: bool) -> nodes.CondExpr:
    if node.expr2 is None:
        node.expr2 = nodes.Const("", lineno=node.lineno, environment=node.environment)
    node.expr1 = _branch(node.expr1, trusted=trusted)
    node.expr2 = _branch(node.expr2, trusted=trusted)
    return node


def _branch(node: nodes.Expr, *, trusted: bool) -> nodes.Expr:
    if isinstance(node, nodes.CondExpr):
        return _branches(node, trusted=trusted)
    if trusted or (isinstance(node, nodes.Const) and node.value == ""):
        return _without_raw(_literal(node))
    return _without_raw(node)


def _refuse_trailing_backslash(output: nodes.Output) -> None:
    for left, right in zip(output.nodes, output.nodes[1:], strict=False):
        if isinstance(left, nodes.TemplateData) and not isinstance(right, nodes.TemplateData):
            slashes = len(left.data) - len(left.data.rstrip("\\"))
            if slashes % 2:
                raise TemplateSyntaxError(
                    "a backslash right before a value would escape its first character",
                    right.lineno,
                )
