"""`lbsync deploy remove`: take an app away, requests first, then its pods."""

import argparse
import time
from typing import Any

import msgspec
from msgspec import UNSET

from lbsync.cli.context import service_id, settings_of, source_opened, whoami
from lbsync.cli.deploy.desk import Desk
from lbsync.cli.fleet.wait import until_verified
from lbsync.cli.terminal import Terminal, may_ask, said_yes
from lbsync.clients.source import Delete, Put, Source
from lbsync.deployer.beginning import refuse_second
from lbsync.deployer.ledger import Hold, released
from lbsync.deployer.page import Page
from lbsync.errors import Conflict, Exit, Rejected, Unavailable
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId, service_key
from lbsync.settings import Duration

_EPILOG = """\
The Service goes first, so that the publisher takes the app out of etcd; once every host has verified that, its pods
end, and the route goes. What was deployed is remembered, and versions are counted on.

exit codes: 0 it is gone; 3 --dry-run shows what would go; 5 it was never deployed, or nobody said yes; 6 etcd, the API
server or the publisher does not answer: say it again later; 8 a deployment of it is under way.
"""
_PUBLISHER_S = 30.0
_PODS_S = 600.0
_LOOK_S = 0.5


def configure_remove(actions: Any) -> None:
    """Add the action."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "remove",
        help="take an app away from Kubernetes",
        description="Take an app away from Kubernetes: requests first, then its pods.",
        epilog=_EPILOG,
    )
    parser.add_argument("app", metavar="NAMESPACE/NAME", type=service_id)
    parser.add_argument("--dry-run", action="store_true", help="show what would go")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(action=remove)


def remove(args: argparse.Namespace, desk: Desk) -> Exit:
    """Ask, and take it away."""
    app: ServiceId = args.app
    page = desk.ledger.page(app)
    refuse_second(page)
    wanted = page.wanted
    if wanted is None or wanted.provider != "kubernetes":
        raise Rejected(
            f"{app}: no app of this name was deployed on Kubernetes; 'lbsync deploy ls' shows what was, "
            "and 'lbsync service rm' removes a service of plain servers"
        )
    told = f"{app}: {_what(page)} would go, with its Service and route"
    if args.dry_run:
        Terminal().line(f"{told}; nothing was done, because of --dry-run")
        return Exit.CHANGED
    if not args.yes:
        if not may_ask():
            raise Rejected(f"{told}; nothing was done: --yes if that is meant")
        Terminal().line(told)
        if not said_yes("take it away?"):
            raise Rejected("nothing was done")
    with source_opened(settings_of(args)) as source:
        hold = _announced(desk, page)
        try:
            _take_away(args, desk, source, app)
            _forget(desk, app, hold)
        finally:
            released(hold)
    Terminal().line(f"{app}: it is gone")
    return Exit.OK


def _what(page: Page) -> str:
    versions = page.versions()
    live = [] if versions.live is UNSET else [versions.live]
    found = [*live, *(warm.version for warm in versions.warm)]
    named = ", ".join(f"version {version.number}" for version in found)
    return named or "what is left of it"


def _announced(desk: Desk, page: Page) -> Hold:
    """Take the app for this process, and say in the same step that its servers are meant to go."""
    app = page.keys.app
    hold, guards, ops = desk.ledger.hold(app, "", round(desk.tools.ttl))
    versions = deploying.versions_key(app)
    meant = desk.ledger.confirmation_put(app, 0, whoami())
    try:
        hold.revision = desk.ledger.commit([*guards, page.as_read(versions)], [*ops, meant])
    except Conflict as error:
        released(hold)
        raise Conflict(f"{app}: somebody else works on it; look and try again") from error
    except BaseException:
        released(hold)
        raise
    return hold


def _take_away(args: argparse.Namespace, desk: Desk, source: Source, app: ServiceId) -> None:
    """Have the Service removed, wait until no balancer leads to it, and have all else removed."""
    provider = desk.tools.providers["kubernetes"]()
    provider.unpublish(app)
    deadline = time.monotonic() + _PUBLISHER_S
    key = desk.ledger.keys(app).service
    while key in (stored := desk.ledger.store.read([key])).items:
        if time.monotonic() >= deadline:
            raise Unavailable(
                f"{app}: its Service is gone, but {service_key(app)} is still there: does the publisher run? Its pods "
                "were left; say this again later"
            )
        time.sleep(_LOOK_S)
    ended = until_verified(
        settings_of(args), source, stored.revision, timeout=Duration.parse("60s")
    )
    if ended.missing:
        Terminal().line(str(ended))
    deadline = time.monotonic() + _PODS_S
    while not provider.remove_app(app):
        if time.monotonic() >= deadline:
            raise Unavailable(f"{app}: some of its pods have not ended yet; say this again later")
        time.sleep(_LOOK_S)


def _forget(desk: Desk, app: ServiceId, hold: Hold) -> None:
    """Remove route and document; the count of versions stays."""
    page = desk.ledger.page(app)
    name = deploying.versions_key(app)
    after = msgspec.structs.replace(page.versions(), live=UNSET, warm=())
    desk.ledger.commit(
        [desk.ledger.fence(app, hold), page.as_read(name)],
        [
            Put(name, encode(after)),
            Delete(deploying.app_key(app)),
            Delete(page.keys.route),
            desk.ledger.history_put(whoami(), "deploy remove", app, ""),
        ],
    )
