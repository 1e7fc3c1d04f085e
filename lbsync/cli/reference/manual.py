"""The manual: lbsync(1) and lbsync.toml(5), in the `man` macros that groff and mandoc both read."""

import re
import textwrap
from collections.abc import Iterator

import lbsync
from lbsync.cli.reference.tree import Argument, Command, command_line
from lbsync.settings.reference import INTRODUCTION, sections
from lbsync.settings.root import DEFAULT_FILE


def command_page() -> str:
    """Return lbsync(1)."""
    whole = command_line()
    lines = _head("lbsync", 1, whole.summary)
    lines += [".SH SYNOPSIS", *_synopsis(whole)]
    lines += [".SH DESCRIPTION", *_prose(whole.description), *_example(whole.epilog)]
    lines += [".SH OPTIONS", "Each may stand before or after the command."]
    for argument in whole.arguments:
        lines += _argument(argument)
    lines.append(".SH COMMANDS")
    for command in [*whole.all()][1:]:
        lines += [f".SS {_text(command.name)}", *_synopsis(command)]
        lines += [".PP", *_prose(command.description or command.summary)]
        for argument in command.arguments:
            if not argument.is_setting and "--help" not in argument.names:
                lines += _argument(argument)
        lines += _example(command.epilog)
    lines += [".SH FILES", ".TP", f".I {_text(DEFAULT_FILE)}", "Settings, see lbsync.toml(5)."]
    lines += [".SH SEE ALSO", ".BR lbsync.toml (5),", ".BR haproxy (1)"]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """Return lbsync.toml(5)."""
    lines = [*_head("lbsync.toml", 5, "settings of lbsync"), ".SH DESCRIPTION"]
    paragraph, _, bullets = INTRODUCTION.strip().partition("\n\n")
    lines += _marked(paragraph)
    for bullet in bullets.removeprefix("* ").split("\n* "):
        lines += [".IP \\(bu 2", *_marked(bullet)]
    for title, intro, fields in sections():
        lines += [f".SH {_text(title)}", *_marked(intro)]
        for field in fields:
            default = field.default if field.default == "required" else f"default {field.default}"
            lines += [
                ".TP",
                f"\\fB{_text(field.name)}\\fR ({_inline(field.kind)}; {_inline(default)})",
            ]
            lines += _marked(field.meaning)
    lines += [".SH SEE ALSO", ".BR lbsync (1)"]
    return "\n".join(lines) + "\n"


def _head(name: str, section: int, summary: str) -> list[str]:
    return [
        ".\\\" Made of lbsync's parser and settings by python -m lbsync.cli.reference.",
        # No date: the same source makes the same page.
        f'.TH {name.upper()} {section} "" "lbsync {lbsync.__version__}" "lbsync"',
        # Names of options are to be copied: they are not broken.
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{_text(name)} \\- {_text(summary)}",
    ]


def _synopsis(command: Command) -> Iterator[str]:
    words = []
    for argument in command.arguments:
        if argument.names:
            continue
        word = argument.metavar + (" ..." if argument.repeats else "")
        words.append(f"[{word}]" if argument.is_optional else word)
    if command.below:
        words.append("COMMAND ..." if len(command.words) == 1 else "ACTION ...")
    yield f"\\fB{_text(command.name)}\\fR [options] {_text(' '.join(words))}".rstrip()


def _argument(argument: Argument) -> Iterator[str]:
    value = "{" + ",".join(argument.choices) + "}" if argument.choices else argument.metavar
    value = f"\\fI{_text(value)}\\fR" if value else ""
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in argument.names)
    if argument.names and argument.metavar and argument.is_optional:
        value = f"[{value}]"
    yield ".TP"
    yield " ".join(filter(None, (names, value)))
    yield from _prose(argument.meaning) if argument.meaning else ["\\&"]


def _example(text: str) -> Iterator[str]:
    """Yield text as it is, in lines."""
    if text.strip():
        yield from (".PP", ".nf")
        yield from (_text(line) for line in textwrap.dedent(text).strip("\n").splitlines())
        yield ".fi"


def _prose(text: str) -> list[str]:
    return [_text(line) for line in text.strip().splitlines()]


def _marked(text: str) -> list[str]:
    return [_inline(line.strip()) for line in text.strip().splitlines()]


def _inline(text: str) -> str:
    """Return a line of Markdown with its code in bold."""
    parts = re.split(r"`([^`]*)`", text)
    return "".join(f"\\fB{_text(p)}\\fR" if n % 2 else _text(p) for n, p in enumerate(parts))


def _text(text: str) -> str:
    """Return text that no formatter reads as a request or an escape, with hyphens that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{text}" if text[:1] in (".", "'") or not text else text
