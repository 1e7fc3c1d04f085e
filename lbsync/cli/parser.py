"""The argument parser: global flags, and subcommands that are loaded on demand."""

import argparse
import difflib
import importlib
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import lbsync

COMMANDS = {
    "agent": ("agent", "keep this host's HAProxy in the desired state"),
    "render": ("configuration.render", "show the configuration for the desired state"),
    "check": (
        "check.check",
        "check settings, templates, source and HAProxy, and list all problems",
    ),
    "diff": ("configuration.diff", "show what would change, or how two generations differ"),
    "status": ("status.status", "show what this host or the whole fleet serves, as verified"),
    "wait": ("fleet.wait", "wait until every host has verified a revision"),
    "watch": ("fleet.watch", "show the health of services on every host, live"),
    "fleet": ("fleet.fleet", "remove a host that is gone for good from the fleet"),
    "history": ("fleet.history", "show who did what, when, and from where"),
    "etcd-roles": ("fleet.etcd_roles", "print the etcd permissions that each component needs"),
    "service": ("service.service", "list, show, write, edit and remove services"),
    "apply": ("documents.apply", "write many keys at once from documents, after showing the plan"),
    "export": ("documents.export", "print keys as documents that 'apply' takes"),
    "server": ("service.server", "list the servers of a service, drain one, change its weight"),
    "route": ("service.route", "show or change how traffic is split over a service's groups"),
    "switch": ("deploy.switch", "switch a service to another group, confirmed by every balancer"),
    "deploy": ("deploy.deploy", "show deployments; promote, pause, cancel or roll back one"),
    "lookup": ("service.lookup", "show which service answers a URL"),
    "publish": ("publish.publish", "publish the Services of a Kubernetes cluster"),
    "console": ("console", "serve the fleet console, a live web page"),
    "token": ("token", "make, list and remove tokens for the console"),
    "explain": ("publish.explain", "show what was published for a Kubernetes Service, and why"),
    "rollback": ("requests.rollback", "serve an earlier generation until it is released"),
    "confirm": ("requests.confirm", "allow a held removal of many servers"),
    "release": ("requests.release", "undo what was set by hand on the running HAProxy"),
    "drain": ("requests.drain", "answer 503 to the health check of the load balancer in front"),
    "undrain": ("requests.undrain", "end a drain: the health check answers 200 again"),
    "template": ("configuration.template", "show, copy and compare the packaged templates"),
    "import-confd": (
        "configuration.import_confd",
        "convert a confd setup to settings and templates",
    ),
    "prepare": ("configuration.prepare", "ensure that HAProxy has a generation to start from"),
    "version": ("version", "show the version"),
}
"""Each one's module below `lbsync.cli`, which has `configure(parser)` and `run(args) -> Exit`, and what it
does."""

#: `lbsync`, `lbsync service`, `lbsync service put`.
_LEVELS = 3

_DESCRIPTION = """\
lbsync keeps HAProxy in sync with etcd: the configuration is rendered from templates, validated, applied
without dropping a request, and read back.
"""
_EPILOG = """\
examples:
  lbsync render --dry-run --source file:examples/shop   show the resulting haproxy.cfg
  lbsync check                                          list all problems on this host
  lbsync agent                                          keep HAProxy in sync until stopped
  lbsync service put shop/cart --host cart.example.com --server a=10.0.0.7:8080
  lbsync status

'lbsync help COMMAND' explains a command. Settings are in /etc/lbsync/lbsync.toml and are documented in
docs/settings.md; each can also be given as --set SECTION.FIELD=VALUE.

exit codes; if several apply, the most serious is returned (docs/operations.md, Monitoring):
  0 success   1 unexpected error   2 wrong command line   3 changed, or differs   4 settings or templates
  5 input was refused   6 source or HAProxy does not answer   7 HAProxy refused the configuration
  8 conflict with another change   9 not every host has verified it in time
"""


#: What people type who know other tools.
_ELSEWHERE = {
    "list": "ls", "delete": "rm", "remove": "rm", "del": "rm", "create": "put", "set": "put", "add": "put",
    "describe": "show", "validate": "check", "reload": "status", "start": "agent", "run": "agent",
}  # fmt: skip
_INVALID_CHOICE = re.compile(r"^argument (?:COMMAND|ACTION): invalid choice: '(.*?)' \(")
_MISSING = re.compile(r"^the following arguments are required: .*?([A-Z]+)$")
_WIDEST, _NARROWEST = 100, 60


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are written."""

    def __init__(self, prog: str) -> None:
        columns = shutil.get_terminal_size((_WIDEST, 24)).columns
        width = min(_WIDEST, max(_NARROWEST, columns - 2))
        super().__init__(prog, max_help_position=min(34, width // 3), width=width)


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong, and what may have been meant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, **options)
        self._choices: dict[str, Any] = {}
        self._commands: Any = None
        self._words: list[str] = []

    def add_subparsers(self, **options: Any) -> Any:
        """Remember the commands: a wrong one is told which is near."""
        added = super().add_subparsers(**options)
        self._choices = added.choices
        self._commands = added
        return added

    def complete(self) -> None:
        """Learn all arguments; here they are known from the start."""

    def commands(self) -> dict[str, tuple["_Parser", str]]:
        """Return the commands one level below, each with its parser and what it does in a few words."""
        if not self._commands:
            return {}
        summaries = {action.dest: action.help or "" for action in self._commands._choices_actions}
        return {name: (parser, summaries.get(name, "")) for name, parser in self._choices.items()}

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse here what nobody knows, where the options that were possible are known."""
        self._words = list(sys.argv[1:] if args is None else args)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(
                f"unrecognized arguments: {' '.join(unknown)}{self._near_option(unknown[0])}"
            )
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """End the process with code 2 and one sentence."""
        if wrong := _INVALID_CHOICE.match(message):
            # The value of an option that nobody knows is taken for a command.
            option = next((word for word in self._words if self._is_unknown(word)), None)
            if option and self._words.index(option) < self._words.index(wrong[1]):
                message = f"unrecognized arguments: {option}{self._near_option(option)}"
            else:
                message = f"there is no {wrong[1]!r} here{_near(wrong[1], self._choices)}"
        if missing := _MISSING.match(message):
            named = [one for one in self._actions if missing[1] in (one.metavar, one.dest)]
            if choices := [choice for one in named for choice in one.choices or ()]:
                message = f"say which {missing[1]}: {', '.join(choices)}"
        self.exit(2, f"{self.prog}: {message}\n'{self.prog} --help' shows what there is\n")

    def _is_unknown(self, word: str) -> bool:
        name = word.partition("=")[0]
        known = any(option.startswith(name) for option in self._option_string_actions)
        return word.startswith("--") and not known

    def _near_option(self, word: str) -> str:
        long = [known.removeprefix("--") for known in self._option_string_actions]
        name = word.partition("=")[0].removeprefix("--")
        return _near(name, long, "--") if word.startswith("--") else ""


def _near(wrong: str, known: Iterable[str], begins: str = "") -> str:
    """Return "; did you mean …?" when something known is near, else nothing. `begins`: what all names begin with."""
    names = list(known)
    near = difflib.get_close_matches(wrong, names, n=1)
    if _ELSEWHERE.get(wrong) in names:
        near = [_ELSEWHERE[wrong]]
    return f"; did you mean {begins + near[0]!r}?" if near else ""


class _CommandParser(_Parser):
    """Learns its arguments from its module when it is first used."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._module = ""
        self._is_complete = False

    def defer(self, module: str) -> None:
        """Name the module that knows the arguments."""
        self._module = module

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Load the module, then parse."""
        self.complete()
        return super().parse_known_args(args, namespace)

    def complete(self) -> None:
        """Load the module, and let it add its arguments."""
        if self._module:
            module = importlib.import_module(self._module)
            self._module = ""
            module.configure(self)
            self.set_defaults(run=module.run)
        if not self._is_complete:
            self._is_complete = True
            _add_global_flags(self, level=self.prog.count(" "))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; `run` is the command, `flags` maps settings to text.

    Without a word, and with `help`, the commands are listed. Ends the process with code 2 and a sentence when
    the arguments are wrong.
    """
    words = [*(sys.argv[1:] if argv is None else argv)]
    parser = build_parser()
    if not words:
        parser.print_help()
        parser.exit(2)
    if words[0] == "help":
        words = [*words[1:], "--help"]
    args = parser.parse_args(words)
    levels = [getattr(args, f"flags_{level}", {}) for level in range(_LEVELS)]
    args.flags = {name: text for flags in levels for name, text in flags.items()}
    return args


def build_parser() -> _Parser:
    """Return the parser of the whole command line."""
    parser = _Parser(prog="lbsync", description=_DESCRIPTION, epilog=_EPILOG)
    _add_global_flags(parser, level=0)
    parser.add_argument(
        "--version",
        action="version",
        version=f"lbsync {lbsync.__version__}",
        help="show the version",
    )
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    for name, (module, summary) in COMMANDS.items():
        commands.add_parser(name, help=summary).defer(f"lbsync.cli.{module}")
    return parser


def _add_global_flags(parser: argparse.ArgumentParser, *, level: int) -> None:
    """Add the flags that may stand before or after the command, or after its action."""
    # What a subparser sets overwrites what stood before it, so each level needs a name of its own.
    dest = f"flags_{level}"
    flags = parser.add_argument_group("settings (complete list: docs/settings.md)")
    flags.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS if level else None,
        help="settings file, instead of /etc/lbsync/lbsync.toml",
    )  # fmt: skip
    for option, name, metavar, text in (
        ("--source", "source", "SOURCE", "etcd, or file:PATH"),
        ("--prefix", "prefix", "PREFIX", "prefix of all keys in etcd"),
        ("--etcd-endpoints", "etcd.endpoints", "URL[,URL…]", "client URLs of the etcd members"),
        ("--state-dir", "state_dir", "DIR", "directory for generations and status"),
        ("--log-level", "log.level", "LEVEL", "debug, info, warning or error"),
        ("--log-format", "log.format", "FORMAT", "auto, console or json"),
    ):
        flags.add_argument(
            option, action=_SetOne, name=name, metavar=metavar, dest=dest,
            default={}, help=text,
        )  # fmt: skip
    flags.add_argument(
        "--set", action=_SetAny, metavar="NAME=VALUE", dest=dest, default={},
        help="any setting, as in --set agent.debounce=20ms; may be repeated",
    )  # fmt: skip


class _SetOne(argparse.Action):
    """Collects a flag that stands for one setting."""

    def __init__(self, option_strings: Sequence[str], dest: str, name: str, **options: Any) -> None:
        super().__init__(option_strings, dest, **options)
        self._name = name

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 (argparse calls it so)
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002 (argparse calls it so)
    ) -> None:
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), self._name: values})


class _SetAny(argparse.Action):
    """Collects `--set NAME=VALUE`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002 (argparse calls it so)
    ) -> None:
        name, equals, value = str(values).partition("=")
        if not equals:
            parser.error(f"--set {name}: write NAME=VALUE, as in --set agent.debounce=20ms")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), name: value})
