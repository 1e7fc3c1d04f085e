"""`lbsync publish`: wires settings, cluster, source, passes and loop together, and runs them."""

import argparse
import contextlib
import time

import msgspec

from lbsync import log, verdict
from lbsync.cli.context import add_output, settings_of, source_opened
from lbsync.cli.publish.changes import Said, show
from lbsync.cli.publish.daemon import QUIET, Service, publisher_of
from lbsync.cli.terminal import Terminal
from lbsync.errors import Conflict, Exit, Unavailable
from lbsync.loop import Loop, Notifier, Outcome, Waker
from lbsync.publisher.health import Health, serving
from lbsync.publisher.publisher import Publisher
from lbsync.publisher.report.outcome import published, what_changed
from lbsync.publisher.service_changes import ServiceChanges
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

exit codes of --once, and of --dry-run, the gravest that is true:
  6  Kubernetes or the store does not answer
  5  a Service is refused, held back, in conflict with a key of somebody else, or waits for objects
     that cannot be listed; the others are published
  8  another publisher leads, or somebody else wrote at the same time
  3  keys were written; with --dry-run: would be written
  0  all is in step
"""
_PATIENCE_S = 2.0
_MOST_NAMED = 3


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
        help="take the cluster's name over from another Kubernetes cluster that is no more",
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
        _forever(args, settings)
        return Exit.OK
    with (
        source_opened(settings, quiet=QUIET) as source,
        publisher_of(args, settings, source) as publisher,
    ):
        return _dry_run(args, publisher) if args.dry_run else _once(args, publisher)


def _forever(args: argparse.Namespace, settings: Settings) -> None:
    chosen = settings.publisher
    health = Health(chosen.heartbeat.seconds)
    with contextlib.closing(Service(args, settings)) as service:
        loop = Loop(
            service.run_pass,
            service.pace(),
            waker=Waker(),
            reload=service.reload,
            on_report=health.note,
            notifier=Notifier(),
            patience=_PATIENCE_S,
        )
        log.get().info(
            "the publisher begins",
            cluster=chosen.cluster,
            source=settings.source,
            prefix=settings.prefix,
        )
        with serving(chosen.health_bind, health):
            service.start(loop.wake)
            loop.run()
    log.get().info("the publisher ends; what is published stays")


def _once(args: argparse.Namespace, publisher: Publisher) -> Exit:
    outcome = _settled(args, publisher)
    if args.output == "json":
        Terminal().line(msgspec.json.encode(outcome).decode())
    else:
        Terminal().line(outcome.sentence)
    if outcome.error:
        log.get().warning(outcome.error)
    return outcome.exit_code


def _settled(args: argparse.Namespace, publisher: Publisher) -> Outcome:
    """Run passes until none is wanted that could not wait; a command has no other chance. Return the
    end of the last one, with what all of them wrote."""
    deadline = time.monotonic() + args.wait
    waker = Waker()
    publisher.start(waker.wake)
    _wait_for_lists(publisher, waker, deadline)
    publisher.look_around()
    done: list[ServiceChanges] = []
    while True:
        _wait_for_lists(publisher, waker, deadline)
        outcome = publisher.run_pass()
        if outcome.exit_code is Exit.CONFLICT and not outcome.retry:
            raise Conflict(outcome.error or f"{outcome.sentence}; it publishes what there is")
        done += publisher.written.done
        over = time.monotonic() >= deadline
        if over or not (outcome.retry or publisher.waiting):
            break
        waker.wait(0.2)
    changed = any(unit.changes for unit in done)
    waits = _waiting(publisher)
    codes = [
        outcome.exit_code,
        Exit.CHANGED if changed else Exit.OK,
        Exit.REJECTED if waits else Exit.OK,
    ]
    return msgspec.structs.replace(
        outcome,
        sentence=f"{what_changed(done, publisher.states)}; {published(publisher.summary)}",
        changed=changed,
        error=outcome.error or "; ".join(waits[:_MOST_NAMED]),
        exit_code=verdict.gravest(codes),
    )


def _waiting(publisher: Publisher) -> list[str]:
    """Return one sentence for each Service that waits and is not refused for it."""
    return [
        f"Service {name} waits for what it needs: {state.waits}"
        for name, state in sorted(publisher.states.items())
        if state.status == "waits" and not state.refused
    ]


def _dry_run(args: argparse.Namespace, publisher: Publisher) -> Exit:
    deadline = time.monotonic() + args.wait
    waker = Waker()
    publisher.start(waker.wake)
    _wait_for_lists(publisher, waker, deadline)
    publisher.look_around()
    units: list[ServiceChanges] = []
    while True:
        _wait_for_lists(publisher, waker, deadline)
        units = publisher.preview()
        if not publisher.waiting or time.monotonic() >= deadline:
            break
        waker.wait(0.2)
    found = publisher.summary
    troubles = [*filter(None, (found.hold,)), *publisher.unread, *found.refused, *found.conflicts]
    troubles += _waiting(publisher)
    warnings = {f"service {name}": state.warnings for name, state in publisher.states.items()}
    warnings |= {f"ingress {name}": told for name, told in publisher.ingresses.items()}
    said = Said(published(found), troubles, warnings)
    show(Terminal(), units, said, as_json=args.output == "json")
    changes = any(unit.changes for unit in units)
    return verdict.gravest(
        [Exit.REJECTED if troubles else Exit.OK, Exit.CHANGED if changes else Exit.OK]
    )


def _wait_for_lists(publisher: Publisher, waker: Waker, deadline: float) -> None:
    while publisher.missing:
        if time.monotonic() >= deadline:
            missing = ", ".join(publisher.missing)
            raise Unavailable(f"{missing}: not listed in time: {publisher.healthy}")
        waker.wait(min(0.5, max(0.0, deadline - time.monotonic())))
