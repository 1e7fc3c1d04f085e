"""`lbsync render`."""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lbsync.agent.desired.states import RenderedState
from lbsync.agent.file_names import CERTIFICATES, MAIN_FILE
from lbsync.agent.generations.read import load
from lbsync.agent.generations.store import Store
from lbsync.atomic import replace_file
from lbsync.cli.configuration.plan import make_plan, show_diff, texts, validated, warn_of_problems
from lbsync.cli.context import add_output, settings_of, source_opened
from lbsync.cli.terminal import Terminal, to_json
from lbsync.errors import Exit, LbsyncError, Rejected, cannot
from lbsync.settings import Settings
from lbsync.verdict import gravest

_EPILOG = """\
examples:
  lbsync render --dry-run --source file:examples/shop        needs neither etcd nor HAProxy
  lbsync render --dry-run --all                              haproxy.cfg, maps and your own outputs
  lbsync render --dry-run --file maps/routes.map
  lbsync render --diff                                       compare with the live generation
  lbsync render --to /tmp/set                                write the files there

The configuration is printed to standard output, and problems with single keys to standard error; these keys
are omitted, as if they did not exist. This command never applies anything; that is the agent's task. Without
--dry-run, 'haproxy -c' also validates the files, in a temporary directory.

exit codes; if several apply, the most serious is returned: 3 with --diff: there is a difference, 4 templates,
5 a key is omitted, or 'haproxy -c' refuses the configuration, 6 source.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show the configuration for the desired state."
    parser.epilog = _EPILOG
    parser.add_argument("--dry-run", action="store_true", help="only render, do not run haproxy")
    parser.add_argument("--diff", action="store_true", help="compare with the live generation")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="show all files, not only haproxy.cfg")
    what.add_argument("--file", metavar="PATH", help="show this file of the set")
    what.add_argument("--to", type=Path, metavar="DIR", help="write the set below DIR")
    add_output(parser)


def run(args: argparse.Namespace) -> Exit:
    settings = settings_of(args)
    with source_opened(settings) as source:
        plan = make_plan(settings, source.snapshot())
    warn_of_problems(Terminal(sys.stderr), plan)
    if not args.dry_run:
        _validate(plan, settings)
    codes = [Exit.REJECTED] if plan.desired.problems or plan.hold else []
    if args.diff:
        return gravest([*codes, _diff(plan, settings)])
    files = {file.path: file.data for file in plan.rendered.files} | dict(plan.outside)
    if args.to:
        _write(args.to, files, plan)
    else:
        _show(args, files, plan)
    return gravest(codes)


def _validate(plan: RenderedState, settings: Settings) -> None:
    with tempfile.TemporaryDirectory(prefix="lbsync-render-") as folder:
        staged = Store(folder, keep=1).stage(plan.rendered)
        verdict = validated(staged, plan.rendered, settings)
    terminal = Terminal(sys.stderr)
    for warning in verdict.warnings:
        terminal.line(f"{terminal.paint('warning:', 'yellow')} haproxy -c: {warning}")


def _diff(plan: RenderedState, settings: Settings) -> Exit:
    live = Store(settings.state_dir, settings.agent.keep_generations).live()
    old = texts(load(live)) if live else {}
    count = show_diff(Terminal(), old, texts(plan.rendered), "live", "wanted")
    return Exit.CHANGED if count else Exit.OK


def _show(args: argparse.Namespace, files: Mapping[str, bytes], plan: RenderedState) -> None:
    terminal = Terminal()
    shown = {
        path: data.decode(errors="backslashreplace")
        for path, data in files.items()
        if not path.startswith(f"{CERTIFICATES}/")
    }
    if args.file and args.file not in shown:
        raise Rejected(f"--file {args.file}: the set has {', '.join(sorted(shown))}")
    if args.output == "json":
        chosen = {args.file: shown[args.file]} if args.file else shown
        facts = {
            "digest": plan.rendered.digest,
            "revision": plan.desired.revision,
            "problems": [
                {"key": problem.key, "service": problem.service, "reason": problem.reason}
                for problem in plan.desired.problems
            ],
            "files": chosen,
        }
        terminal.block(to_json(facts))
    elif args.all:
        for path in sorted(shown, key=lambda name: (name != MAIN_FILE, name)):
            terminal.line(terminal.paint(f"# ==== {path}", "bold"))
            terminal.write(shown[path])
    else:
        terminal.write(shown[args.file or MAIN_FILE])


def _write(folder: Path, files: Mapping[str, bytes], plan: RenderedState) -> None:
    modes = {file.path: file.mode for file in plan.rendered.files}
    for path, data in files.items():
        target = folder / path.removeprefix("/")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, data, modes.get(path, 0o644))
        except OSError as error:
            raise LbsyncError(f"{target}: {cannot('be written', error)}") from error
    Terminal().line(f"{len(files)} files written to {folder}, digest {plan.rendered.digest}")
