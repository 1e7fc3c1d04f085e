"""`lbsync publish`: as a service, once, or as a dry run."""

import argparse
from contextlib import AbstractContextManager

import msgspec

from lbsync import log, verdict
from lbsync.cli.context import add_output, settings_of, source_opened
from lbsync.cli.publish.changes import Said, show
from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Source
from lbsync.errors import Exit
from lbsync.publisher import daemon, once
from lbsync.publisher.publisher import Publisher
from lbsync.publisher.report.outcome import published
from lbsync.settings import Settings

_EPILOG = """\
examples:
  lbsync publish --cluster prod                  what the systemd unit and the Deployment run
  lbsync publish --dry-run                       show what would be written
  lbsync publish --once                          one pass, for scripts
  lbsync explain service shop/cart               show what was published and why

Several publishers with one --cluster elect a leader, and only that one writes. Different clusters
publish side by side below one prefix. docs/kubernetes.md explains which Services are published, and how.

signals: SIGTERM and SIGINT finish the running pass and hand over to another publisher at once. SIGHUP
reads settings and kubeconfig again and restarts with them (if they are wrong, the old ones stay in
force). Credentials that change in their files are read again without a signal.

exit codes of --once and --dry-run; if several apply, the most serious is returned:
  6  Kubernetes or the store does not answer
  5  a Service is refused, held, in conflict with a key of somebody else, or waits for objects
     that cannot be listed; the others are published
  8  another publisher leads, or somebody else wrote at the same time
  3  keys were written; with --dry-run: would be written
  0  everything is published
"""
#: What agents write, often and of no concern here.
_QUIET = ("agents", "quarantine", "deployers")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Publish the Services of a Kubernetes cluster: watch, translate, write."
    parser.epilog = _EPILOG
    parser.add_argument("--cluster", metavar="NAME", help="overrides [publisher] cluster")
    parser.add_argument("--kubeconfig", metavar="FILE", help="overrides [publisher] kubeconfig")
    parser.add_argument("--once", action="store_true", help="run one pass and report its result")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be written; write nothing"
    )
    parser.add_argument(
        "--adopt", action="store_true",
        help="take over the name of a Kubernetes cluster that no longer exists",
    )  # fmt: skip
    parser.add_argument(
        "--wait", type=float, default=30.0, metavar="SECONDS",
        help="with --once and --dry-run: how long to wait for Kubernetes (default 30)",
    )  # fmt: skip
    add_output(parser)


def run(args: argparse.Namespace) -> Exit:
    """Publish until a signal, once, or not at all."""
    for name in ("cluster", "kubeconfig"):
        if getattr(args, name) is not None:
            args.flags[f"publisher.{name}"] = getattr(args, name)
    settings = settings_of(args)
    log.setup(settings.log.level, settings.log.format)
    if not args.dry_run and not args.once:
        daemon.run(settings, lambda: settings_of(args), _opened, adopt=args.adopt)
        return Exit.OK
    with (
        _opened(settings) as source,
        daemon.publisher_of(settings, source, adopt=args.adopt) as publisher,
    ):
        return _dry_run(args, publisher) if args.dry_run else _once(args, publisher)


def _opened(settings: Settings) -> AbstractContextManager[Source]:
    return source_opened(settings, quiet=_QUIET)


def _once(args: argparse.Namespace, publisher: Publisher) -> Exit:
    outcome = once.settle(publisher, args.wait)
    if args.output == "json":
        Terminal().line(msgspec.json.encode(outcome).decode())
    else:
        Terminal().line(outcome.sentence)
    if outcome.error:
        log.get().warning(outcome.error)
    return outcome.exit_code


def _dry_run(args: argparse.Namespace, publisher: Publisher) -> Exit:
    units = once.preview(publisher, args.wait)
    found = publisher.summary
    troubles = [*filter(None, (found.hold,)), *publisher.unread, *found.refused, *found.conflicts]
    troubles += once.waiting(publisher)
    warnings = {f"service {name}": state.warnings for name, state in publisher.states.items()}
    warnings |= {f"ingress {name}": told for name, told in publisher.ingresses.items()}
    said = Said(published(found), troubles, warnings)
    show(Terminal(), units, said, as_json=args.output == "json")
    changes = any(unit.changes for unit in units)
    return verdict.gravest(
        [Exit.REJECTED if troubles else Exit.OK, Exit.CHANGED if changes else Exit.OK]
    )
