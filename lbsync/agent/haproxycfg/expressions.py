"""Which words of a line HAProxy evaluates, and which are just text. Pure.

A value that somebody wrote to the store (a header, a pattern, a name) may look like configuration. It
stands where HAProxy takes text, so it must not be read for anything else here. Sources: configuration manual,
section 4.3 (actions), 7.1 (ACLs), 7.3 (fetches and converters), 8.2.6 (formats). A keyword that is not
known here counts as an expression in every word: too much is then reloaded, never too little.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from lbsync.agent.haproxycfg.server_options import Option, options

_TEXT, _FORMAT, _EXPRESSION = "t", "f", "e"

#: Kinds of an action's own arguments: text, format, expression. What follows are `_EXTRAS`.
_ACTIONS: dict[str, str] = {
    **dict.fromkeys(("set-header", "add-header", "early-hint", "replace-path"), "tf"),
    **dict.fromkeys(("replace-pathq", "replace-uri"), "tf"),
    **dict.fromkeys(("replace-header", "replace-value"), "ttf"),
    **dict.fromkeys(("set-path", "set-pathq", "set-query", "set-uri", "set-method"), "f"),
    **dict.fromkeys(("set-var-fmt", "add-acl", "del-acl", "del-map"), "f"),
    "set-map": "ff",
    **dict.fromkeys(("set-var", "set-src", "set-src-port", "set-dst", "set-dst-port"), "e"),
    **dict.fromkeys(("capture", "track-sc0", "track-sc1", "track-sc2", "track-sc", "do-resolve"), "e"),
    **dict.fromkeys(("del-header", "set-status", "set-log-level", "set-mark", "set-tos"), "t"),
    **dict.fromkeys(("set-nice", "normalize-uri", "expect-proxy", "expect-netscaler-cip"), "t"),
    **dict.fromkeys(("allow", "accept", "reject", "auth", "deny", "tarpit", "return", "redirect"), ""),
    **dict.fromkeys(("silent-drop", "unset-var", "strict-mode", "wait-for-handshake", "close"), ""),
}  # fmt: skip
#: Kinds of the arguments of what may follow.
_EXTRAS: dict[str, str] = {
    **dict.fromkeys(("status", "content-type", "file", "errorfile", "errorfiles", "string"), "t"),
    **dict.fromkeys(("code", "set-cookie", "clear-cookie", "table", "len", "id", "realm"), "t"),
    **dict.fromkeys(("deny_status", "reason", "-m", "lf-file"), "t"),
    **dict.fromkeys(("lf-string", "location", "prefix", "scheme"), "f"),
    "hdr": "tf",
    **dict.fromkeys(("default-errorfiles", "drop-query", "append-slash", "ignore-empty"), ""),
    **dict.fromkeys(("full", "strict"), ""),
}
_RULES = frozenset(("http-request", "http-response", "http-after-response"))
_TCP_RULES = frozenset(("tcp-request", "tcp-response"))
#: Keywords whose words are text, of frontends and backends.
_PLAIN = frozenset(
    (
        *("backlog", "bind", "capture", "compression", "cookie", "default_backend", "description"),
        *("disabled", "dispatch", "enabled", "errorfile", "errorfiles", "errorloc", "errorloc302"),
        *(
            "errorloc303",
            "fullconn",
            "guid",
            "hash-balance-factor",
            "hash-type",
            "http-reuse",
            "id",
        ),
        *("http-send-name-header", "load-server-state-from-file", "log", "log-tag", "maxconn"),
        *("max-keep-alive-queue", "max-session-srv-conns", "mode", "monitor-uri", "option"),
        *("rate-limit", "retries", "retry-on", "server-state-file-name", "stats", "stick-table"),
        "timeout",
    )
)
_FORMATS = frozenset(
    ("error-log-format", "log-format", "log-format-sd", "unique-id-format", "unique-id-header")
)
_STICK = frozenset(("match", "on", "store-request", "store-response"))
#: Keywords of servers, and how many words stand before the options.
_NAMED_WORDS = {"server": 2, "default-server": 0, "server-template": 3}
_CHECK = {
    **dict.fromkeys(("uri", "meth", "ver", "body", "port", "addr", "sni", "alpn", "comment"), "t"),
    **dict.fromkeys(("status", "string", "rstatus", "rstring", "proto", "via-socks4"), "t"),
    **dict.fromkeys(("uri-lf", "body-lf", "string-lf"), "f"),
    "hdr": "tf",
}
_CALL = re.compile(r"[A-Za-z0-9_.-]+")
#: Possessive: a long word is gone through once.
_MAP_CALL = re.compile(r"\bmap(?:_([a-z0-9]++))?[a-z0-9_]*+\(\s*+([^,)\s\"']+)")


class Value(msgspec.Struct, frozen=True):
    """What one line lets HAProxy evaluate."""

    maps: tuple[tuple[str, str], ...] = ()
    """Files that are loaded as maps, each with how it is matched (`beg`, or empty)."""
    lists: tuple[str, ...] = ()
    """Files of patterns that ACLs load with `-f`."""
    keys_of_maps: bool = False
    """`-M` is there: such a file is read as a map, for its keys alone."""


class _Reader:
    """Walks through the words of one line."""

    def __init__(self) -> None:
        self.expressions: list[str] = []
        self.maps: list[tuple[str, str]] = []
        self.lists: list[str] = []
        self.keys_of_maps = False

    def take(self, kinds: str, words: Sequence[str]) -> None:
        """Take words of these kinds; words without a kind are left out."""
        for kind, word in zip(kinds, words, strict=False):
            if kind == _EXPRESSION:
                self.expressions.append(word)
            elif kind == _FORMAT:
                self.expressions += formatted(word)

    def anything(self, words: Sequence[str]) -> None:
        """Take words of which nothing is known."""
        self.maps += [(path, match) for word in words for match, path in _MAP_CALL.findall(word)]
        for flag, file in itertools.pairwise(words):
            if flag == "-f":
                self.lists.append(file)
        self.keys_of_maps |= "-M" in words

    def action(self, words: Sequence[str], extras: dict[str, str]) -> None:
        """Take an action, what follows it, and its condition."""
        name, _, inner = words[0].partition("(")
        if name in ("set-map", "del-map"):
            self.maps.append((inner.partition(")")[0], ""))
        kinds = _ACTIONS.get(name)
        if kinds is None:
            self.anything(words)
            return
        self.take(kinds, words[1:])
        self.rest(words[1 + len(kinds) :], extras)

    def rest(self, words: Sequence[str], extras: dict[str, str]) -> None:
        """Take optional arguments up to the condition."""
        at = 0
        while at < len(words):
            if words[at] in ("if", "unless"):
                self.condition(words[at + 1 :])
                return
            kinds = extras.get(words[at])
            if kinds is None:
                self.anything(words[at:])
                return
            self.take(kinds, words[at + 1 :])
            at += 1 + len(kinds)

    def condition(self, words: Sequence[str]) -> None:
        """Take a condition: names of ACLs, and ACLs in braces."""
        at = 0
        while at < len(words):
            if words[at] in ("{", "!{"):
                end = words.index("}", at) if "}" in words[at:] else len(words)
                self.acl(words[at + 1 : end])
                at = end
            at += 1

    def acl(self, words: Sequence[str]) -> None:
        """Take an ACL: its expression, its flags, and patterns, which are text."""
        if words:
            self.expressions.append(words[0])
        at = 1
        while at < len(words) and words[at].startswith("-") and words[at] != "--":
            self.keys_of_maps |= words[at] == "-M"
            if words[at] in ("-f", "-m") and at + 1 < len(words):
                if words[at] == "-f":
                    self.lists.append(words[at + 1])
                at += 1
            at += 1


def evaluated(keyword: str, rest: Sequence[str]) -> Value | None:
    """Return what a line of a proxy's section lets HAProxy evaluate; None if that is nothing."""
    reader = _Reader()
    _read(reader, keyword, rest)
    return _found(reader)


def of_server(cut: Iterable[Option]) -> Value | None:
    """Return what the options of a server let HAProxy evaluate; None if that is nothing."""
    reader = _Reader()
    _read_options(reader, cut)
    return _found(reader)


def _found(reader: _Reader) -> Value | None:
    maps = reader.maps
    for expression in reader.expressions:
        maps += loaded(expression)
    if not maps and not reader.lists:
        return None
    return Value(tuple(maps), tuple(reader.lists), reader.keys_of_maps)


def _read(reader: _Reader, keyword: str, rest: Sequence[str]) -> None:  # noqa: C901, PLR0912
    if not rest or keyword in _PLAIN:
        return
    if keyword in _RULES:
        reader.action(rest, _EXTRAS)
    elif keyword in _TCP_RULES:
        if rest[0] != "inspect-delay" and rest[1:]:
            reader.action(rest[1:], _EXTRAS)
    elif keyword == "acl":
        reader.acl(rest[1:])
    elif keyword == "redirect":
        reader.action([keyword, *rest], _EXTRAS)
    elif keyword == "use_backend":
        reader.take(_FORMAT, rest)
        reader.rest(rest[1:], {})
    elif keyword in ("use-server", "monitor", "force-persist", "ignore-persist"):
        reader.take(_FORMAT, rest)
        reader.rest(rest if keyword.endswith("persist") else rest[1:], {})
    elif keyword in _FORMATS:
        reader.take(_FORMAT, rest)
    elif keyword == "balance":
        reader.take("te" if rest[0] == "hash" else "", rest)
    elif keyword == "stick" and rest[0] in _STICK:
        reader.take("te", rest)
        reader.rest(rest[2:], {"table": _TEXT})
    elif keyword in ("http-check", "tcp-check"):
        _read_check(reader, rest)
    elif keyword in _NAMED_WORDS:
        _read_options(reader, options(rest[_NAMED_WORDS[keyword] :]))
    else:
        reader.anything(rest)


def _read_check(reader: _Reader, rest: Sequence[str]) -> None:
    name = rest[0].partition("(")[0]
    if name in ("connect", "disable-on-404", "send-state", "unset-var", "expect"):
        return
    if name in ("set-var", "set-var-fmt"):
        reader.take("te" if name == "set-var" else "tf", rest)
    elif name == "send":
        reader.rest(rest[1:], _CHECK)
    else:
        reader.anything(rest)


def _read_options(reader: _Reader, cut: Iterable[Option]) -> None:
    for option in cut:
        if option[0] in ("sni", "pool-conn-name"):
            reader.expressions += option[1:]
        elif option[0].startswith("set-proxy-v2-tlv-fmt("):
            reader.take(_FORMAT, option[1:])


def formatted(text: str) -> Iterator[str]:
    """Yield the expressions within a format: what stands in `%[…]`, but not in `%%[…]`."""
    at = 0
    while (at := text.find("%", at)) >= 0:
        if text.startswith("%%", at):
            at += 2
            continue
        at += 1
        if text.startswith("{", at) and "}" in text[at:]:
            at = text.index("}", at) + 1
        if text.startswith("[", at):
            end = _end(text, at + 1, "]")
            yield text[at + 1 : end]
            at = end


def loaded(expression: str) -> Iterator[tuple[str, str]]:
    """Yield the files that the converters of an expression load as maps, and how they match."""
    at = 0
    while name := _CALL.match(expression, at):
        at = name.end()
        if expression.startswith("(", at):
            end = _end(expression, at + 1, ")")
            word, _, match = name[0].partition("_")
            if word == "map":
                file = expression[at + 1 : end].partition(",")[0].strip(" \t\"'")
                yield file, match.partition("_")[0]
            at = end + 1
        if not expression.startswith(",", at):
            return
        at += 1


def _end(text: str, at: int, closing: str) -> int:
    """Return where the bracket closes that is open at `at`; parentheses and quotes within count."""
    depth = 0
    quote = ""
    while at < len(text):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char == "\\":
            at += 1
        elif char in "'\"":
            quote = char
        elif char == closing and not depth:
            return at
        elif char in "()":
            depth += 1 if char == "(" else -1
        at += 1
    return len(text)
