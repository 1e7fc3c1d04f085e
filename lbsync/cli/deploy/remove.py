"""`lbsync deploy remove`: removes an app, first its traffic, then its pods."""

import argparse
import time
from typing import Any

from lbsync.cli.context import service_id, whoami
from lbsync.cli.deploy import following
from lbsync.cli.deploy.deploy_context import DeployContext
from lbsync.cli.deploy.switch import begin
from lbsync.cli.terminal import Terminal, may_ask, said_yes
from lbsync.deployer.beginning import Begun
from lbsync.deployer.ledger import new_id
from lbsync.deployer.versions import removal
from lbsync.errors import Exit, Rejected
from lbsync.schema.keys import ServiceId

_EPILOG = """\
A route without a target is written first, so that requests get 503. Once every balancer has verified it and the
sessions have ended (drain_timeout of the app's strategy), Service, Deployments and pods are deleted, then the
route. Until the pods are deleted, 'lbsync deploy cancel' restores the previous state. The history of the app is
kept, and version numbers continue. Running the command again continues an interrupted removal.

exit codes: 0 removed; 3 --dry-run shows what would be removed; 5 the app was never deployed, or the prompt was not
confirmed; 6 etcd or the API server does not answer; 8 a deployment is in progress; 10 a balancer did not verify
the removal in time, and the previous state is restored; 12 somebody cancelled it.
"""


def configure_remove(actions: Any) -> None:
    """Add the action."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "remove",
        help="remove an app from Kubernetes",
        description="Remove an app from Kubernetes: first its traffic, then its pods.",
        epilog=_EPILOG,
    )
    parser.add_argument("app", metavar="NAMESPACE/NAME", type=service_id)
    parser.add_argument("--dry-run", action="store_true", help="show what would be removed")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.set_defaults(action=remove)


def remove(args: argparse.Namespace, context: DeployContext) -> Exit:
    """Ask, and take it away; where that is in progress already, go on with it."""
    app: ServiceId = args.app
    page = context.ledger.page(app)
    if (going := removal.under_way(page)) is not None:
        if args.dry_run:
            Terminal().line(f"{app}: its removal is under way, deployment {going.id}")
            return Exit.CHANGED
        return following.follow(context, app, going.id)
    record = removal.remove(page, Begun(new_id(), whoami(), time.time()))
    told = f"{app}: {removal.what_goes(page)} would go, with its Service and route"
    if args.dry_run:
        Terminal().line(f"{told}; nothing was done, because of --dry-run")
        return Exit.CHANGED
    if not args.yes:
        if not may_ask():
            raise Rejected(f"{told}; nothing was done: --yes if that is meant")
        Terminal().line(told)
        if not said_yes("take it away?"):
            raise Rejected("nothing was done")
    return begin(context, page, record, record.purpose, wait=True)
