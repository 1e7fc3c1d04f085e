"""Which Jinja name stands for which Go variable, and what kind of value it has."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from lbsync.agent.render.confd import functions, keys
from lbsync.migration.go_lexer import GoSyntaxError

_WORDS = frozenset(
    [
        "and",
        "block",
        "break",
        "call",
        "continue",
        "cycler",
        "dict",
        "do",
        "elif",
        "else",
        "endblock",
        "endcall",
        "endfor",
        "endif",
        "endmacro",
        "endset",
        "endwith",
        "extends",
        "false",
        "filter",
        "for",
        "from",
        "if",
        "import",
        "in",
        "include",
        "is",
        "joiner",
        "loop",
        "macro",
        "namespace",
        "none",
        "not",
        "or",
        "range",
        "raw",
        "recursive",
        "self",
        "set",
        "true",
        "with",
        "without",
    ]
)
FUNCTIONS = frozenset(functions.functions(keys.NAMES)) | {"join"}
"""What templates may call by confd's names, those that are refused included."""


class Value(msgspec.Struct, frozen=True):
    """An expression in Jinja, and what it gives: `text`, `number`, `truth`, `pair`, `mapping`, `list`,
    `any`; `texts`, `numbers` and `pairs` for lists of these."""

    text: str
    kind: str = "any"
    is_atom: bool = True
    """Can be followed by `.name`, `[…]` or `|filter` without brackets."""

    @property
    def atom(self) -> str:
        """The text, in brackets where it needs them."""
        return self.text if self.is_atom else f"({self.text})"


class _Variable(msgspec.Struct, frozen=True):
    name: str
    kind: str
    depth: int
    is_dot: bool
    """`.` is the same value, and stays it when the variable is assigned another one."""


class Names:
    """The variables in sight at one place of a template.

    A variable that is assigned inside a loop, but was declared outside, lives in a `namespace` of Jinja's,
    since a plain one would lose the value with the loop's end; so does one that begins as `.` and is assigned
    another value later. `boxed` are the names of such; they are found
    by writing the template once (`to_box`).
    """

    def __init__(self, boxed: frozenset[str]) -> None:
        self._boxed = boxed
        self.to_box: set[str] = set()
        self._used: set[str] = set()
        self._scopes: list[dict[str, _Variable]] = [{}]
        self._depth = 0
        self.dot: Value | None = None
        self.root: Value | None = None

    def fresh(self, wish: str) -> str:
        """Return a name like `wish` that nothing else has."""
        stem = re.sub(r"\W", "_", wish, flags=re.ASCII) or "item"
        if stem[0].isdigit() or stem in _WORDS or stem in FUNCTIONS:
            stem = f"{stem}_" if not stem[0].isdigit() else f"_{stem}"
        name, number = stem, 1
        while name in self._used:
            number += 1
            name = f"{stem}_{number}"
        self._used.add(name)
        return name

    def declare(self, name: str, kind: str, *, is_dot: bool = False) -> str:
        """Bring a Go variable into sight; return its Jinja name. `is_dot`: `.` is the same value."""
        variable = _Variable(self.fresh(name), kind, self._depth, is_dot)
        self._scopes[-1][name] = variable
        return variable.name

    def is_boxed(self, name: str) -> bool:
        """Tell whether a Jinja name needs a namespace."""
        return name in self._boxed

    def assign(self, name: str, line: int) -> str:
        """Return what `set` has to name for `$name = …`. Raises `GoSyntaxError`."""
        variable = self._find(name, line)
        if variable.depth < self._depth or variable.is_dot:
            self.to_box.add(variable.name)
        return f"{variable.name}.value" if self.is_boxed(variable.name) else variable.name

    def value(self, name: str, line: int) -> Value | None:
        """Return a variable's value; None for `$` where it is nothing. Raises `GoSyntaxError`."""
        if not name:
            return self.root
        variable = self._find(name, line)
        suffix = ".value" if self.is_boxed(variable.name) else ""
        # What is assigned later may be of another kind.
        return Value(variable.name + suffix, "any" if suffix else variable.kind)

    @contextmanager
    def scope(self, dot: Value | None = None, *, is_loop: bool = False) -> Iterator[None]:
        """Enter a block; `dot` is what `.` stands for in there, None for what it stood for before."""
        before = self.dot
        self.dot = dot or before
        self._scopes.append({})
        self._depth += is_loop
        yield
        self._depth -= is_loop
        self._scopes.pop()
        self.dot = before

    @contextmanager
    def macro(self, dot: Value) -> Iterator[None]:
        """Enter a macro, which sees nothing from outside."""
        before = (self._scopes, self._depth, self.dot, self.root)
        self._scopes, self._depth, self.dot, self.root = [{}], 0, dot, dot
        yield
        self._scopes, self._depth, self.dot, self.root = before

    def _find(self, name: str, line: int) -> _Variable:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        raise GoSyntaxError(line, f"the variable ${name} is not declared")
