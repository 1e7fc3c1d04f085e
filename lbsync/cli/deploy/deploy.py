"""`lbsync deploy`: shows and controls deployments."""

import argparse
import sys
import time
from collections.abc import Callable

import msgspec

from lbsync.cli.context import add_output, service_id, settings_of, whoami
from lbsync.cli.deploy import following
from lbsync.cli.deploy.apply import configure_apply
from lbsync.cli.deploy.deploy_context import DeployContext, deploy_context
from lbsync.cli.deploy.promote import add_environment, promote
from lbsync.cli.deploy.remove import configure_remove
from lbsync.cli.deploy.strategy import add_strategy, strategy_of
from lbsync.cli.deploy.switch import begin
from lbsync.cli.terminal import Terminal, to_json
from lbsync.deployer import beginning, requests
from lbsync.deployer.beginning import Begun
from lbsync.deployer.commands import Command
from lbsync.deployer.ledger import new_id
from lbsync.errors import BadKey, Exit, Rejected
from lbsync.model.deploying import DeploymentRecord
from lbsync.schema import deploying
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import seconds

_EPILOG = f"""\
examples:
  lbsync deploy apply -f cart.yaml --wait    an app on Kubernetes
  lbsync deploy ls                       all apps: what is live, and what is in progress
  lbsync deploy show shop/cart
  lbsync deploy logs -f shop/cart
  lbsync deploy promote shop/cart        start the next step
  lbsync deploy promote shop/cart --to prod --wait   deploy the image that runs here in another environment
  lbsync deploy pause shop/cart          hold; a watched version is still reverted automatically
  lbsync deploy cancel shop/cart --wait
  lbsync deploy rollback shop/cart --wait   return to the previous version, also after the end
  lbsync deploy abandon shop/cart --wait    end it as it is, although a host has not reverted
  lbsync deploy history shop/cart

'lbsync switch' starts a deployment of plain servers. A deployment is given by its app (which means the newest
one), or by its app and ID: shop/cart 20260131-120000-abc123.

exit codes: 0 shown, or written; 5 there is no such app or deployment, or the command does not apply to its
phase; 6 etcd does not answer; 8 somebody else was faster;
with --wait and 'logs -f': {following.EXIT_CODES}.
"""
_COMMANDS: tuple[tuple[Command, str], ...] = (
    ("promote", "start the next step now"),
    ("pause", "hold the deployment until it is resumed"),
    ("resume", "continue after a pause, or after the process that carried it out has died"),
    ("cancel", "restore the previous state"),
    ("abandon", "end a deployment that is reverting, as it is, although a host does not confirm"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show deployments; promote, pause, resume, cancel or roll back one."
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))

    def add(
        name: str, text: str, run: Callable[..., Exit], *, of_one: bool = True
    ) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = actions.add_parser(
            name, help=text, description=f"{text.capitalize()}."
        )
        if of_one:
            one.add_argument("app", metavar="NAMESPACE/NAME", type=service_id)
        one.set_defaults(action=run)
        return one

    configure_apply(actions)
    add_output(add("ls", "list apps, what is live and what is in progress", _list, of_one=False))
    showing = add("show", "show the state of a deployment", _show)
    logs = add("logs", "show the events of a deployment", _logs)
    logs.add_argument(
        "-f", "--follow", action="store_true", help="follow the events until the deployment ends"
    )
    history = add("history", "list the deployments of an app", _history)
    for parser_of_one in (showing, logs):
        parser_of_one.add_argument("id", nargs="?", default="", metavar="ID")
    for shown in (showing, history):
        add_output(shown)
    for command, text in _COMMANDS:
        one = add(command, text, _command)
        one.add_argument("id", nargs="?", default="", metavar="ID")
        one.set_defaults(command=command, to="")
        following.add_wait(one)
        if command == "promote":
            add_environment(one)
    configure_remove(actions)
    back = add("rollback", "return the traffic to the previous version", _rollback)
    add_strategy(back)
    following.add_wait(back)


def run(args: argparse.Namespace) -> Exit:
    """Carry out the action."""
    with deploy_context(settings_of(args)) as context:
        code: Exit = args.action(args, context)
        return code


def _list(args: argparse.Namespace, context: DeployContext) -> Exit:
    apps, faults = context.ledger.apps()
    for fault in faults:
        Terminal(sys.stderr).line(f"not shown: {fault}")
    if args.output == "json":
        Terminal().block(to_json({str(app): record for app, record in apps.items()}))
        return Exit.OK
    rows = []
    for app, record in apps.items():
        live = record.live.group if isinstance(record.live, msgspec.Struct) else ""
        warm = ", ".join(f"{one.version.group} until {one.until[11:16]}" for one in record.warm)
        under_way = ""
        if record.active:
            under_way = _under_way(context, app, record.active)
        rows.append((str(app), live, warm, under_way))
    Terminal().table(("APP", "LIVE", "KEPT WARM", "UNDER WAY"), rows)
    return Exit.OK


def _under_way(context: DeployContext, app: ServiceId, deployment: str) -> str:
    """Return what is in progress; its id where its record is not there, or cannot be read."""
    try:
        active = context.ledger.deployment(app, deployment)
    except BadKey as fault:
        Terminal(sys.stderr).line(f"not shown: {fault}")
        return deployment
    return f"{_short(active)}: {_phase(active)}" if active else deployment


def _show(args: argparse.Namespace, context: DeployContext) -> Exit:
    record = _one(context, args.app, args.id)
    terminal = Terminal()
    if args.output == "json":
        terminal.block(to_json(record))
        return Exit.OK
    lock = context.ledger.lock(args.app)
    holder = lock.holder if lock is not None and not record.is_ended else ""
    rows = [
        ("deployment", record.id),
        ("what", f"{record.purpose}, by {record.by}, at {record.created_at}"),
        ("phase", _phase(record)),
        ("reason", record.reason),
        ("waits for", "" if record.is_ended else record.waits),
        ("paused by", record.paused),
        ("carried out by", holder or ("" if record.is_ended else "nobody: 'lbsync deploy resume … --wait'")),
        *(("to be known", notice) for notice in record.notices),
    ]  # fmt: skip
    for name, text in rows:
        if text:
            terminal.line(f"{name:<15}{text}")
    for event in context.ledger.events(args.app, record.id):
        terminal.line(following.event_line(event))
    return Exit.OK


def _logs(args: argparse.Namespace, context: DeployContext) -> Exit:
    record = _one(context, args.app, args.id)
    shown = 0
    while True:
        events = context.ledger.events(args.app, record.id)
        for event in events[shown:]:
            Terminal().line(following.event_line(event))
        Terminal().flush()
        shown = len(events)
        if not args.follow:
            return Exit.OK
        if record.is_ended:
            return following.CODES[record.phase]
        time.sleep(_LOOK_S)
        record = _one(context, args.app, record.id)


_LOOK_S = 0.25


def _history(args: argparse.Namespace, context: DeployContext) -> Exit:
    records = context.ledger.deployments(args.app)
    if args.output == "json":
        Terminal().block(to_json(records))
        return Exit.OK
    rows = [
        (one.id, one.action, one.version.group, _phase(one), _took(one), one.by, one.reason)
        for one in records
    ]
    Terminal().table(("ID", "WHAT", "GROUP", "PHASE", "TOOK", "BY", "REASON"), rows)
    return Exit.OK


def _command(args: argparse.Namespace, context: DeployContext) -> Exit:
    if args.to:
        return promote(args, context, _one(context, args.app, args.id) if args.id else None)
    record = _one(context, args.app, args.id)
    goes_on = args.command == "resume" and args.wait and not record.paused and not record.is_ended
    if not goes_on:
        record = requests.command(context.ledger, args.app, record.id, args.command, whoami())
    if args.wait:
        return following.follow(context, args.app, record.id)
    Terminal().line(f"{args.app}: {args.command} is written for deployment {record.id}")
    return Exit.OK


def _rollback(args: argparse.Namespace, context: DeployContext) -> Exit:
    """Turn back a deployment that is in progress, or begin one to the version before."""
    app = args.app
    page = context.ledger.page(app)
    versions = page.versions()
    if versions.active:
        requests.command(context.ledger, app, versions.active, "rollback", whoami())
        if args.wait:
            return following.follow(context, app, versions.active)
        Terminal().line(f"{app}: rollback is written for deployment {versions.active}")
        return Exit.OK
    begun = Begun(new_id(), whoami(), time.time())
    record = beginning.way_back(
        page, context.ledger.deployments(app), begun, lambda last: strategy_of(args, last)
    )
    return begin(context, page, record, f"rollback to {record.version.group}", wait=args.wait)


def _one(context: DeployContext, app: ServiceId, deployment: str) -> DeploymentRecord:
    """Return a deployment; without an id the newest one. Raises `Rejected` if there is none."""
    if deployment and not deploying.is_id(deployment):
        raise Rejected(f"{deployment!r} is no id of a deployment: 'lbsync deploy history {app}'")
    name, record = deployment, None
    if deployment:
        record = context.ledger.deployment(app, deployment)
    else:
        page = context.ledger.page(app)
        name = page.versions().active
        if name:
            record = page.deployment(name)
        elif records := context.ledger.deployments(app):
            return records[0]
        else:
            raise Rejected(f"{app}: it was never deployed; 'lbsync deploy ls' shows what was")
    if record is None:
        raise Rejected(f"{app}: there is no deployment {name}: 'lbsync deploy history {app}'")
    return record


def _short(record: DeploymentRecord) -> str:
    return record.purpose if record.is_removal else record.version.group


def _phase(record: DeploymentRecord) -> str:
    steps = len(record.strategy.shares)
    step = f" (step {record.step} of {steps})" if record.phase == "switching" and steps > 1 else ""
    return f"{record.phase}{step}{', paused' if record.paused else ''}"


def _took(record: DeploymentRecord) -> str:
    if not record.ended_at:
        return ""
    return f"{seconds(record.ended_at) - seconds(record.created_at):.1f} s"
