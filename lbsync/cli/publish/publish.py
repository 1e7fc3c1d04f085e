"""`lbsync publish`: as a service, once, or only to look."""

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
  lbsync publish --dry-run                       what would be written?
  lbsync publish --once                          one pass, for scripts
  lbsync explain service shop/cart               why is it so, or not at all?

Several publishers with one --cluster elect a leader, and only that one writes. Different clusters
publish side by side below one prefix. Which Services, and how: docs/kubernetes.md.

signals: SIGTERM and SIGINT finish the running pass and hand over to another publisher at once. SIGHUP
reads settings and kubeconfig again and begins anew with them (wrong ones are refused, the old ones
stay). Credentials that change in their files are followed without it.

exit codes of --once and --dry-run; where several apply, the most serious counts:
  6  Kubernetes or the store does not answer
  5  a Service is refused, held, in conflict with a key of somebody else, or waits for objects
     that cannot be listed; the others are published
  8  another publisher leads, or somebody else wrote at the same time
  3  keys were written; with --dry-run: would be written
  0  all is in step
"""
#: What agents write, often and of no concern here.
_QUIET = ("agents", "quarantine", "deployers")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Publish the Services of a Kubernetes cluster: watch, translate, write."
    parser.epilog = _EPILOG
    parser.add_argument("--cluster", metavar="NAME", help="instead of [publisher] cluster")
    parser.add_argument("--kubeconfig", metavar="FILE", help="instead of [publisher] kubeconfig")
    parser.add_argument("--once", action="store_true", help="run one pass and say how it ended")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be written; write nothing"
    )
    parser.add_argument(
        "--adopt", action="store_true",
        help="take over the cluster's name from another Kubernetes cluster that is no more",
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
