"""The command line as data, read off the parser."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lbsync.cli.parser import build_parser
from lbsync.settings.read import NAMES, TABLES

_FILES = {"DIR", "FILE", "PATH", "CONFDIR"}


class Argument(NamedTuple):
    """An option, or, without `names`, a word that is told by its place."""

    names: tuple[str, ...]
    metavar: str
    """What its value is called; empty if it takes none."""
    meaning: str
    choices: tuple[str, ...]
    takes_file: bool
    is_optional: bool
    """It works without its value, or the word may be left out."""
    repeats: bool
    is_setting: bool
    """One of the options that every command has, for the settings."""

    @property
    def takes_value(self) -> bool:
        """Whether the next word belongs to it, whatever that is."""
        return bool(self.names and self.metavar and not self.is_optional)


class Command(NamedTuple):
    """`lbsync`, `lbsync service`, `lbsync service put`."""

    words: tuple[str, ...]
    summary: str
    description: str
    epilog: str
    arguments: tuple[Argument, ...]
    below: tuple["Command", ...]

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(self.words)

    def all(self) -> Iterator["Command"]:
        """Yield it and all below it, each before what is below it."""
        yield self
        for command in self.below:
            yield from command.all()


def setting_names() -> list[str]:
    """Return what `--set` takes before the equals sign."""
    return sorted(".".join(filter(None, name)) for name in set(NAMES) - TABLES.keys())


def command_line() -> Command:
    """Return the whole of it."""
    return _command(build_parser(), ("lbsync",), "keep HAProxy in sync with etcd")


def _command(parser: argparse.ArgumentParser, words: tuple[str, ...], summary: str) -> Command:
    below = parser.commands().items()  # type: ignore[attr-defined]
    for _, (command, _) in below:
        command.complete()
    return Command(
        words,
        summary,
        parser.description or "",
        parser.epilog or "",
        tuple(
            _argument(parser, action)
            for action in parser._actions
            if action.help != argparse.SUPPRESS
            and not isinstance(action, argparse._SubParsersAction)
        ),
        tuple(_command(command, (*words, name), text) for name, (command, text) in below),
    )


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> Argument:
    metavar = "" if action.nargs == 0 else action.metavar
    if metavar is None:
        metavar = action.dest.upper()
    if isinstance(metavar, tuple):
        metavar = " ".join(metavar)
    return Argument(
        tuple(action.option_strings),
        metavar,
        # As argparse fills in %(default)s.
        parser._get_formatter()._expand_help(action) if action.help else "",
        tuple(str(choice) for choice in action.choices or ()),
        action.nargs != 0 and (action.type is Path or metavar in _FILES),
        action.nargs in ("?", "*"),
        action.nargs in ("*", "+"),
        action.dest.startswith("flags_") or action.dest == "config",
    )
