"""Writes a Go template as a Jinja template that prints the same bytes."""

from collections.abc import Sequence

import msgspec

from lbsync.migration.go_ast import (
    Action,
    Block,
    Branch,
    Comment,
    Define,
    Expression,
    Include,
    Literal,
    Node,
    Pipeline,
    Tag,
    Text,
)
from lbsync.migration.jinja_expressions import Expressions
from lbsync.migration.jinja_names import Names, Value
from lbsync.migration.remarks import Remarks

_ITEM = {"pairs": "pair", "texts": "text", "numbers": "number"}
#: Variables that count; over what else the two of `range $a, $b :=` go, is not to be seen.
_COUNTERS = frozenset({"i", "j", "n", "idx", "index", "num", "number", "counter"})


class Marks(msgspec.Struct, frozen=True):
    """What opens and closes tags and comments; `{{` and `}}` stay."""

    block: tuple[str, str] = ("{%", "%}")
    comment: tuple[str, str] = ("{#", "#}")


_CHOICES = (
    Marks(),
    Marks(("<%", "%>"), ("<#", "#>")),
    Marks(("[%", "%]"), ("[#", "#]")),
    Marks(("{%%", "%%}"), ("{##", "##}")),
    Marks(("@{%", "%}@"), ("@{#", "#}@")),
)


def choose_marks(nodes: Sequence[Node]) -> Marks:
    """Return marks that the text itself does not hold, Jinja's own where they will do."""
    texts = "\0".join(_texts(nodes))
    for marks in _CHOICES:
        if not any(mark[0] in texts for mark in (marks.block, marks.comment)):
            return marks
    return _CHOICES[-1]


def _texts(nodes: Sequence[Node]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        if isinstance(node, Text):
            found.append(node.text)
        elif isinstance(node, Define):
            found += _texts(node.body)
        elif isinstance(node, Block):
            for branch in node.branches:
                found += _texts(branch.body)
    return found


def write(nodes: Sequence[Node], marks: Marks, remarks: Remarks, below: str = "") -> str:
    """Return the Jinja template. Raises `GoSyntaxError` for a variable that is not declared.

    `below`: what the prefix that confd had for it goes beyond that of the settings; "" or "/name".
    """
    first = _Writer(marks, Remarks(remarks.file), below, frozenset(), {})
    first.whole(nodes)
    kinds = {name: found.pop() for name, found in first.arguments.items() if len(found) == 1}
    return _Writer(marks, remarks, below, frozenset(first.names.to_box), kinds).whole(nodes)


class _Writer:
    def __init__(
        self,
        marks: Marks,
        remarks: Remarks,
        below: str,
        boxed: frozenset[str],
        kinds: dict[str, str],
    ) -> None:
        """`kinds`: of what each macro is called with, where that is always the same."""
        self.names = Names(boxed)
        self.arguments: dict[str, set[str]] = {}
        self._marks = marks
        self._remarks = remarks
        self._expressions = Expressions(self.names, remarks, below)
        self._kinds = kinds
        self._macros: dict[str, str] = {}
        self._heads: list[str] = []

    def whole(self, nodes: Sequence[Node]) -> str:
        for define in _defines(nodes):
            self._macros[define.name] = self.names.fresh(define.name)
        body = self._body(nodes)
        return "".join(self._heads) + body

    def _body(self, nodes: Sequence[Node]) -> str:
        return "".join(map(self._node, nodes))

    def _node(self, node: Node) -> str:
        match node:
            case Text(text=text):
                written = text
            case Comment(tag=tag, text=text):
                written = self._comment(tag, tag, text)
            case Action():
                written = self._action(node)
            case Block():
                written = self._block(node)
            case Define():
                written = self._define(node)
            case Include():
                written = self._call(node.tag, node.name, node.pipeline)
            case _:
                written = self._tags(node.tag, [node.keyword])
        return written

    def _comment(self, left: Tag, right: Tag, text: str) -> str:
        opening, closing = self._marks.comment
        safe = text.replace(closing, "# }")
        return f"{opening}{left.left}{safe}{right.right}{closing}"

    def _tags(self, tag: Tag, contents: Sequence[str]) -> str:
        """Return tags side by side; the marks of `tag` stand at the outer ends."""
        opening, closing = self._marks.block
        last = len(contents) - 1
        return "".join(
            f"{opening}{tag.left if at == 0 else ''} {content} {tag.right if at == last else ''}{closing}"
            for at, content in enumerate(contents)
        )

    def _print(self, tag: Tag, text: str) -> str:
        left, right = (mark if mark == "-" else "" for mark in (tag.left, tag.right))
        return f"{{{{{left} {text} {right}}}}}"

    def _value(self, expression: Expression, tag: Tag, missing: str = "") -> Value:
        return self._expressions.write(expression, tag.line, missing=missing)

    def _action(self, node: Action) -> str:
        if node.pipeline.variables:
            value = self._value(node.pipeline.expression, node.tag)
            return self._tags(node.tag, [self._set(node.pipeline, value, node.tag)])
        value = self._value(node.pipeline.expression, node.tag)
        if value.kind in ("pairs", "pair", "mapping", "list", "texts", "numbers"):
            value = self._expressions.refused(
                value.text, "prints a whole list or table in Go's own way"
            )
        elif value.kind == "truth":
            return self._print(node.tag, f'"true" if {value.text} else "false"')
        return self._print(node.tag, value.text)

    def _set(self, pipeline: Pipeline, value: Value, tag: Tag) -> str:
        name = pipeline.variables[0]
        if not pipeline.is_declared:
            return f"set {self.names.assign(name, tag.line)} = {value.text}"
        own = self.names.declare(name, value.kind)
        text = f"namespace(value={value.text})" if self.names.is_boxed(own) else value.text
        return f"set {own} = {text}"

    def _block(self, block: Block) -> str:
        if block.keyword == "range":
            return self._range(block)
        parts: list[str] = []
        ends = 1
        for at, branch in enumerate(block.branches):
            with self.names.scope():
                tags, deeper = self._condition(block.keyword, branch, is_first=at == 0)
                ends += deeper
                parts += (self._tags(branch.tag, tags), self._body(branch.body))
        return "".join(parts) + self._tags(block.end, ["endif"] * ends)

    def _condition(self, keyword: str, branch: Branch, *, is_first: bool) -> tuple[list[str], bool]:
        """Return the tags that begin a branch, and whether they need an `endif` of their own."""
        pipeline = branch.pipeline
        if pipeline is None:
            return ["else"], False
        value = self._value(pipeline.expression, branch.tag, "false")
        if keyword == "if" and not pipeline.variables:
            return [f"{'if' if is_first else 'elif'} {value.text}"], False
        self._refuse_assignment(pipeline, branch.tag)
        tags = [] if is_first else ["else"]
        boxes: list[str] = []
        wish = "kv" if value.kind == "pair" else "item"
        name = pipeline.variables[0] if pipeline.variables else ""
        held = self._begin_variable(name, value.kind, boxes) if name else self.names.fresh(wish)
        if keyword == "with":
            self.names.dot = Value(held, value.kind)
        return [*tags, f"set {held} = {value.text}", *boxes, f"if {held}"], not is_first

    def _refuse_assignment(self, pipeline: Pipeline, tag: Tag) -> None:
        if pipeline.variables and not pipeline.is_declared:
            self._remarks.leave_open(
                tag.line,
                f"`=` with ${pipeline.variables[-1]} begins a block here; set the variable in a line of its own",
            )

    def _range(self, block: Block) -> str:
        branch, *others = block.branches
        pipeline = branch.pipeline or Pipeline(Literal(None))
        self._refuse_assignment(pipeline, branch.tag)
        counts = len(pipeline.variables) == 2 and pipeline.variables[0] in _COUNTERS
        missing = "[]" if counts or len(pipeline.variables) < 2 else "{}"
        over = self._value(pipeline.expression, branch.tag, missing)
        with self.names.scope(is_loop=True):
            tags = self._loop(pipeline, over, branch.tag, counts=counts)
            text = self._tags(branch.tag, tags) + self._body(branch.body)
        for other in others:
            # What `else` of a loop sets is gone after it, as in the loop itself.
            with self.names.scope(is_loop=True):
                text += self._tags(other.tag, ["else"]) + self._body(other.body)
        return text + self._tags(block.end, ["endfor"])

    def _loop(self, pipeline: Pipeline, over: Value, tag: Tag, *, counts: bool) -> list[str]:
        *keys, name = pipeline.variables or ("",)
        kind = _ITEM.get(over.kind, "any")
        wish = name or ("kv" if kind == "pair" else "item")
        boxes: list[str] = []
        item = self._begin_variable(name, kind, boxes) if name else self.names.fresh(wish)
        self.names.dot = Value(item, kind)
        is_unknown = over.kind == "any"
        if keys and (over.kind == "mapping" or (is_unknown and not counts)):
            key = self._begin_variable(keys[0], "text", boxes)
            if is_unknown:
                self._remarks.tell(
                    tag.line, f"{over.text} is taken for a table, with {key} for its keys"
                )
            return [f"for {key}, {item} in {over.atom}|dictsort(true)", *boxes]
        tags = [f"for {item} in {self._items(over, tag, is_list=counts)}"]
        if keys:
            number = self._begin_variable(keys[0], "number", boxes)
            tags.append(f"set {number} = loop.index0")
        return [*tags, *boxes]

    def _begin_variable(self, name: str, kind: str, boxes: list[str]) -> str:
        """Declare a variable that a block begins with; return what is to be set to its value.

        Where the variable needs a namespace, the tag that makes it goes to `boxes`.
        """
        own = self.names.declare(name, kind, is_dot=True)
        if not self.names.is_boxed(own):
            return own
        plain = self.names.fresh(own)
        boxes.append(f"set {own} = namespace(value={plain})")
        return plain

    def _items(self, over: Value, tag: Tag, *, is_list: bool) -> str:
        """Return what Jinja goes over to meet the values that Go meets: those of a table, by its keys."""
        values = f'{over.atom}|dictsort(true)|map("last")'
        if over.kind == "mapping":
            return values
        if over.kind == "number":
            return f"range({over.text})"
        if over.kind != "any":
            return over.text
        if is_list:
            self._remarks.tell(tag.line, f"{over.text} is taken for a list")
            return over.text
        return f"({values} if {over.atom} is mapping else {over.text})"

    def _define(self, node: Define) -> str:
        dot = Value(self.names.fresh("item"), self._kinds.get(node.name, "any"))
        with self.names.macro(dot):
            body = self._body(node.body)
        opening, closing = self._marks.block
        name = self._macros[node.name]
        self._heads.append(
            f"{opening} macro {name}({dot.text}) {node.tag.right}{closing}{body}"
            f"{opening}{node.end.left} endmacro {closing}\n"
        )
        if node.pipeline is not None:
            return self._call(
                Tag(node.tag.line, node.tag.left, node.end.right), node.name, node.pipeline
            )
        if "-" in (node.tag.left, node.end.right):
            return self._comment(node.tag, node.end, f" {node.name}: see above ")
        return ""

    def _call(self, tag: Tag, name: str, pipeline: Pipeline | None) -> str:
        value = self._value(pipeline.expression, tag) if pipeline else Value("none")
        self.arguments.setdefault(name, set()).add(value.kind)
        if name not in self._macros:
            missing = self._expressions.refused(f'template "{name}"', "is not defined in this file")
            return self._print(tag, missing.text)
        return self._print(tag, f"{self._macros[name]}({value.text})")


def _defines(nodes: Sequence[Node]) -> list[Define]:
    return [node for node in nodes if isinstance(node, Define)]
