"""`lbsync switch`: moves all traffic of a service to another group, with the confirmation of every balancer."""

import argparse
import time

from lbsync.cli.context import service_id, settings_of, whoami
from lbsync.cli.deploy import following
from lbsync.cli.deploy.deploy_context import DeployContext, deploy_context
from lbsync.cli.deploy.strategy import add_strategy, strategy_of
from lbsync.cli.terminal import Terminal
from lbsync.deployer import beginning, requests
from lbsync.deployer.beginning import Begun
from lbsync.deployer.decision import before
from lbsync.deployer.ledger import Ops, new_id
from lbsync.deployer.page import Page
from lbsync.deployer.routing import step_route
from lbsync.errors import Exit, Rejected
from lbsync.model.deploying import DeploymentRecord, VersionsRecord
from lbsync.schema.keys import ServiceId

_EPILOG = f"""\
examples:
  lbsync switch shop/cart green --wait              all at once; watched for 30s and reverted automatically on errors
  lbsync switch shop/cart green --wait --watch 0 --drain-timeout 0
  lbsync switch shop/cart green --steps 5,25,100 --pause 2m --wait
  lbsync switch shop/cart green --steps 10,100 --manual      needs a running 'lbsync console'
  lbsync switch shop/cart green --dry-run

The group and its servers must already be in etcd ('lbsync service put --group'). The group gets no requests
until every balancer has found each of its servers up by its own check. The deployment is converged once every
balancer has verified the new route. Until then, and while the new group is watched, the old group stays
unchanged, and the traffic can return to it.

exit codes: {following.EXIT_CODES};
0 the group has all the traffic already, or, without --wait, the deployment has started; 3 --dry-run shows a change;
5 there is no such service or group, no route, or no process to carry it out; 6 etcd does not answer; 8 another
deployment is in progress, or a publisher owns the route.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Switch a service to another group in steps, each confirmed by every balancer."
    )
    parser.epilog = _EPILOG
    parser.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    parser.add_argument("group", metavar="GROUP", help="the group that is to receive the traffic")
    add_strategy(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be done")
    parser.add_argument("--force", action="store_true", help="even if a publisher owns the route")
    following.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Begin it, and with --wait carry it out."""
    settings = settings_of(args)
    strategy = strategy_of(args)
    with deploy_context(settings) as context:
        page = context.ledger.page(args.service)
        begun = Begun(new_id(), whoami(), time.time())
        record = beginning.switch(page, args.group, strategy, begun, force=args.force)
        if record is None:
            Terminal().line(f"{args.service}: {args.group} has all the traffic already")
            return Exit.OK
        if args.dry_run:
            show_steps(args.service, record)
            return Exit.CHANGED
        return begin(context, page, record, f"switch to {args.group}", wait=args.wait)


def begin(
    context: DeployContext,
    page: Page,
    record: DeploymentRecord,
    told: str,
    *,
    wait: bool,
    versions: VersionsRecord | None = None,
    extra: Ops = (),
    judge: requests.Judge | None = None,
) -> Exit:
    """Write a deployment, and carry it out where `wait` says so; the rest as in `requests.begin`. Raises
    `Rejected` where nobody would."""
    app = page.keys.app
    if not wait and not context.ledger.servers():
        raise Rejected(
            f"{app}: nothing was begun, as nobody would carry it out: say --wait, or have 'lbsync console' running"
        )
    if wait:
        context.start()
    ttl = context.tools.ttl if wait else 0.0
    hold = requests.begin(
        context.ledger, page, record, told, ttl=ttl, versions=versions, extra=extra, judge=judge
    )
    if wait:
        return following.follow(context, app, record.id, hold)
    Terminal().line(
        f"{app}: deployment {record.id} is begun; 'lbsync deploy logs -f {app}' follows it"
    )
    return Exit.OK


def show_steps(app: ServiceId, record: DeploymentRecord) -> None:
    """Show how it would get the traffic."""
    terminal = Terminal()
    shares, strategy = record.strategy.shares, record.strategy
    terminal.line(f"{app}: {record.version.group} is proved on every balancer, then gets traffic:")
    for number, percent in enumerate(shares, 1):
        route = step_route(before(record), record.version.group, percent)
        split = " ".join(f"{name}={share}" for name, share in route.groups.items())
        terminal.line(f"  step {number} of {len(shares)}: {percent}%  ({split})")
    terminal.line(
        f"each step is confirmed by {strategy.require} within {strategy.converge_timeout} and watched for "
        f"{strategy.watch}; nothing was written, because of --dry-run"
    )
