"""Writes Go expressions in Jinja's words."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from lbsync.agent.render.confd import functions, keys
from lbsync.migration.go_ast import Call, Dot, Expression, Field, Literal, Variable
from lbsync.migration.jinja_names import FUNCTIONS, Names, Value
from lbsync.migration.remarks import Remarks

_Writer: TypeAlias = "Callable[[Sequence[Expression], str], Value]"
#: Attributes that a mapping of Python's has itself: `table.items` would be the method.
_METHODS = frozenset(dir(dict))
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("gets",), "pairs"),
    **dict.fromkeys(("get",), "pair"),
    **dict.fromkeys(("getvs", "ls", "lsdir", "split", "keys"), "texts"),
    **dict.fromkeys(("json", "map", "dict"), "mapping"),
    **dict.fromkeys(("jsonArray", "list", "append", "values", "pluck"), "list"),
    **dict.fromkeys(("seq",), "numbers"),
    **dict.fromkeys(("atoi", "add", "sub", "mul", "div", "mod"), "number"),
    **dict.fromkeys(
        ("exists", "contains", "parseBool", "fileExists", "regexMatch", "hasKey", "empty"), "truth"
    ),
    **dict.fromkeys(
        ("getv", "base", "dir", "join", "replace", "trimSuffix", "trimPrefix", "toUpper", "toLower", "getenv",
         "base64Encode", "base64Decode", "hostname", "toJson", "toPrettyJson", "indent", "nindent", "quote",
         "squote", "regexFind", "regexReplaceAll", "repeat", "nospace", "snakecase", "camelcase", "kebabcase",
         "sha256sum"),
        "text",
    ),
}  # fmt: skip
_SAME_KIND = frozenset({"reverse", "sortByLength", "sortKVByLength"})
_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_VERB = re.compile(r"%([-+# 0]*)(\d*(?:\.\d+)?)([a-zA-Z%])")
_SAME_VERBS = frozenset("sdxXofeEgGc")


def quoted(text: str) -> str:
    """Write a text as Jinja reads it; its escapes are Python's, which those of JSON are, too."""
    return json.dumps(text, ensure_ascii=False)


class Expressions:
    """Writes the expressions of one template.

    `below`: what confd's prefix of this template has beyond that of the settings; the store's functions get it
    put in front. In a condition Go takes a field that is missing for false, where Jinja, told to be strict,
    refuses: `missing` is what such a field counts as, empty where it is to be refused.
    """

    def __init__(self, names: Names, remarks: Remarks, below: str) -> None:
        self._names = names
        self._remarks = remarks
        self._below = below
        self._line = 0
        self._builtins: Mapping[str, _Writer] = {
            "and": self._joined("and"),
            "or": self._joined("or"),
            "not": self._negated,
            "index": self._indexed,
            "slice": self._sliced,
            "len": self._counted,
            "print": self._concatenated,
            "printf": self._formatted,
            **{name: self._compared(name) for name in _COMPARISONS},
        }

    def write(self, expression: Expression, line: int, *, missing: str = "") -> Value:
        """Return an expression in Jinja. Raises `GoSyntaxError` for a variable that is not declared."""
        self._line = line
        return self._write(expression, missing)

    def refused(self, what: str, reason: str) -> Value:
        """Note what has no counterpart; return something that the renderer refuses by name."""
        self._remarks.leave_open(self._line, f"{what}: {reason}")
        return Value(f"not_imported({quoted(what)})")

    def _write(self, expression: Expression, missing: str) -> Value:
        if isinstance(expression, Literal):
            return self._constant(expression.value)
        if isinstance(expression, Dot):
            return self._names.dot or self.refused(".", "stands for nothing here in confd either")
        if isinstance(expression, Variable):
            found = self._names.value(expression.name, self._line)
            return found or self.refused("$", "stands for nothing in confd either")
        if isinstance(expression, Field):
            return self._field(expression, missing)
        return self._call(expression, missing)

    @staticmethod
    def _constant(value: str | float | bool | None) -> Value:
        if isinstance(value, str):
            return Value(quoted(value), "text")
        if value is None:
            return Value("none")
        if isinstance(value, bool):
            return Value("true" if value else "false", "truth")
        return Value(repr(value), "number", value >= 0)

    def _field(self, field: Field, missing: str) -> Value:
        of = self._write(field.of, missing)
        if of.kind == "pair":
            value = Value(f"{of.atom}.{field.name}", "text")
            if field.name == "Key" and self._below:
                return Value(
                    f"{value.text}|trimPrefix({quoted(self._below)})", "text", is_atom=False
                )
            return value
        is_plain = field.name.isascii() and field.name.isidentifier()
        by_name = is_plain and field.name not in _METHODS and not field.name.startswith("_")
        text = f"{of.atom}.{field.name}" if by_name else f"{of.atom}[{quoted(field.name)}]"
        return self._guarded(text, missing)

    @staticmethod
    def _guarded(text: str, missing: str) -> Value:
        """Let a value that may be absent count as `missing`; nothing of the kind when that is empty."""
        return Value(f"{text}|default({missing})", "any", is_atom=False) if missing else Value(text)

    def _call(self, call: Call, missing: str) -> Value:
        name = call.name
        if name in self._builtins:
            if not call.arguments:
                return self.refused(name, "needs arguments")
            return self._builtins[name](call.arguments, missing)
        arguments = [self._write(each, missing="") for each in call.arguments]
        if name in functions.REFUSED:
            self._remarks.leave_open(self._line, f"{name} {functions.REFUSED[name]}")
        elif name not in FUNCTIONS:
            return self.refused(name, "is no function of confd's or Go's that lbsync knows")
        if name in keys.NAMES and arguments and self._below:
            arguments[0] = self._stored_below(call.arguments[0], arguments[0])
        kind = _KINDS.get(name, "any")
        if name in _SAME_KIND and arguments:
            kind = arguments[0].kind
        return Value(f"{name}({', '.join(each.text for each in arguments)})", kind)

    def _stored_below(self, expression: Expression, path: Value) -> Value:
        if isinstance(expression, Literal) and isinstance(expression.value, str):
            return Value(quoted(self._below + expression.value), "text")
        return Value(f"{quoted(self._below)} ~ {path.atom}", "text", is_atom=False)

    def _all(self, arguments: Sequence[Expression], missing: str) -> list[Value]:
        return [self._write(each, missing) for each in arguments]

    def _joined(self, word: str) -> _Writer:
        def write(arguments: Sequence[Expression], missing: str) -> Value:
            parts = [each.atom for each in self._all(arguments, missing)]
            return Value(f" {word} ".join(parts), is_atom=len(parts) == 1)

        return write

    def _compared(self, name: str) -> _Writer:
        def write(arguments: Sequence[Expression], missing: str) -> Value:
            first, *others = [each.atom for each in self._all(arguments, missing)]
            if len(others) == 1:
                return Value(f"{first} {_COMPARISONS[name]} {others[0]}", "truth", is_atom=False)
            if name == "eq" and others:
                return Value(f"{first} in ({', '.join(others)})", "truth", is_atom=False)
            return self.refused(name, "takes two arguments")

        return write

    def _negated(self, arguments: Sequence[Expression], missing: str) -> Value:
        return Value(f"not {self._write(arguments[0], missing).atom}", "truth", is_atom=False)

    def _indexed(self, arguments: Sequence[Expression], missing: str) -> Value:
        of, *places = self._all(arguments, missing="")
        text = of.atom + "".join(f"[{place.text}]" for place in places)
        kind = {"texts": "text", "pairs": "pair", "numbers": "number"}.get(of.kind, "any")
        if len(places) == 1 and kind != "any":
            return Value(text, kind)
        return self._guarded(text, missing)

    def _sliced(self, arguments: Sequence[Expression], missing: str) -> Value:
        of, *bounds = self._all(arguments, missing)
        if len(bounds) > 2:
            return self.refused("slice", "with three bounds has no counterpart")
        ends = [bound.text for bound in bounds] + [""] * (2 - len(bounds))
        return Value(f"{of.atom}[{ends[0]}:{ends[1]}]", of.kind)

    def _counted(self, arguments: Sequence[Expression], missing: str) -> Value:
        counted = self._write(arguments[0], "[]" if missing else "")
        return Value(f"{counted.atom}|length", "number", is_atom=False)

    def _concatenated(self, arguments: Sequence[Expression], missing: str) -> Value:
        parts = self._all(arguments, missing)
        if len(parts) > 1 and any(part.kind != "text" for part in parts):
            self._remarks.tell(
                self._line, "print puts a space between two values that are no texts; `~` does not"
            )
        return Value(
            " ~ ".join(part.atom for part in parts), "text", len(parts) == 1 and parts[0].is_atom
        )

    def _formatted(self, arguments: Sequence[Expression], missing: str) -> Value:
        pattern, *values = arguments
        if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
            return self.refused("printf", "its format is no plain text; join the parts with `~`")
        verbs = [verb for verb in _VERB.finditer(pattern.value) if verb[3] != "%"]
        if len(verbs) != len(values):
            return self.refused(
                f"printf {pattern.value!r}", "has another number of verbs than of values"
            )
        if not verbs:
            return Value(quoted(pattern.value.replace("%%", "%")), "text")
        parts = [
            self._for_verb(verb, self._write(value, missing))
            for verb, value in zip(verbs, values, strict=True)
        ]
        unknown = [verb[0] for verb, part in zip(verbs, parts, strict=True) if part is None]
        if unknown:
            return self.refused(f"printf {pattern.value!r}", f"{unknown[0]} has no counterpart")
        text = _VERB.sub(self._verb, pattern.value)
        told = [part.atom for part in parts if part]
        operands = told[0] if len(told) == 1 else f"({', '.join(told)})"
        return Value(f"{quoted(text)} % {operands}", "text", is_atom=False)

    @staticmethod
    def _for_verb(verb: re.Match[str], value: Value) -> Value | None:
        if verb[3] == "q":
            return Value(f"quote({value.text})", "text")
        if verb[3] == "t":
            return Value(f'"true" if {value.atom} else "false"', "text", is_atom=False)
        if verb[3] in _SAME_VERBS or (verb[3] == "v" and "#" not in verb[1] and "+" not in verb[1]):
            return value
        return None

    @staticmethod
    def _verb(verb: re.Match[str]) -> str:
        """Return Python's word for a verb: what is printed as text is `%s` there."""
        return f"%{verb[1]}{verb[2]}{'s' if verb[3] in 'vqt' else verb[3]}"
