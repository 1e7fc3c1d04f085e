"""`lbsync deploy apply`: deploys an app on Kubernetes from its document."""

import argparse
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from lbsync.cli.context import settings_of, source_opened, whoami
from lbsync.cli.deploy import following
from lbsync.cli.deploy.deploy_context import DeployContext
from lbsync.cli.deploy.switch import begin, show_steps
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.files.input_documents import bytes_of
from lbsync.clients.source import Put
from lbsync.deployer.beginning import Begun
from lbsync.deployer.ledger import new_id
from lbsync.deployer.versions.expiry import end_old_versions
from lbsync.errors import Exit, LbsyncError
from lbsync.model.deploying import VersionRecord
from lbsync.schema.decode import encode
from lbsync.schema.deploying import app_key
from lbsync.schema.keys import ServiceId
from lbsync.values.plural import count

if TYPE_CHECKING:
    from lbsync.deployer.versions.next_version import Beginning

_DESCRIPTION = "Deploy an app on Kubernetes: start a new version beside the live one, verify it, then switch to it."
_EPILOG = f"""\
examples:
  lbsync deploy apply -f cart.yaml --dry-run
  lbsync deploy apply -f cart.yaml --wait
  lbsync deploy apply -f cart.yaml --image registry.example.com/shop/cart:1.8 --wait   in a pipeline

The document is explained in docs/deployer.md. All errors in it are reported together, and the API server and
the claims of other services are checked, before anything is written. A first deployment that fails leaves
nothing behind.

exit codes: {following.EXIT_CODES};
without --wait, 0 started; 3 --dry-run shows a change; 5 the document is refused, it equals the live version, or
there is no process to carry it out; 6 etcd or the API server does not answer; 8 another deployment of the app is
in progress.
"""
_ENDING_S = 60.0
_LOOK_S = 0.5


def configure_apply(actions: Any) -> None:
    """Add the action."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "apply", help="deploy an app on Kubernetes", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument(
        "-f", "--file", metavar="FILE", required=True, help="the app's document; - reads stdin"
    )
    parser.add_argument(
        "--image", default="", help="image to use instead of the one in the document"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be done")
    following.add_wait(parser)
    parser.set_defaults(action=apply)


def apply(args: argparse.Namespace, context: DeployContext) -> Exit:
    """Judge the document, begin its deployment, and with --wait carry it out."""
    from lbsync.deployer.kubernetes import document  # noqa: PLC0415 - other actions do not need it
    from lbsync.deployer.versions.next_version import deploy  # noqa: PLC0415 - costs 0.2 s

    app = document.read(bytes_of(args.file), args.image)
    page = context.ledger.page(app.id)
    begun = Begun(new_id(), whoami(), time.time())
    beginning = deploy(page, app, begun)
    provider = context.tools.providers["kubernetes"]()
    with source_opened(settings_of(args)) as source:
        snapshot = source.snapshot()
    wanted = beginning.record.version.document
    told = provider.check(app.id, wanted, snapshot, context.ledger.coming().documents)
    terminal = Terminal(sys.stderr)
    for warning in told:
        terminal.line(terminal.paint(f"warning: {warning}", "yellow"))
    if args.dry_run:
        _show(app.id, beginning)
        return Exit.CHANGED
    version = beginning.record.version
    code = begin(
        context, page, beginning.record, f"version {version.number}: {_what(version)}", wait=args.wait,
        versions=beginning.versions, extra=[Put(app_key(app.id), encode(beginning.app))],
        judge=partial(provider.refuse_claimed, app.id, wanted, snapshot),
    )  # fmt: skip
    if args.wait:
        _end_old_versions(context, app.id)
    return code


def _end_old_versions(context: DeployContext, app: ServiceId) -> None:
    """See to old versions whose time is up, also those of earlier commands: with no server running nobody else does.
    What comes of it does not change how the deployment ended."""
    deadline = time.monotonic() + _ENDING_S
    tools, terminal = context.tools, Terminal(sys.stderr)
    try:
        while end_old_versions(tools.ledger, tools.providers, app, tools.ttl):
            if time.monotonic() >= deadline:
                terminal.line(f"{app}: pods of an old version are still ending")
                return
            time.sleep(_LOOK_S)
    except LbsyncError as error:
        terminal.line(
            f"{app}: an old version could not be ended, the next deployment tries again: {error}"
        )


def _what(version: VersionRecord) -> str:
    plain = version.document
    image = plain.get("image", "a template of its own")
    return f"{count(plain.get('replicas', 1), 'pod')} of {image}"


def _show(app: ServiceId, beginning: "Beginning") -> None:
    record, terminal = beginning.record, Terminal()
    before = "" if record.old is UNSET else to_json(record.old.document)
    was = "nothing" if record.old is UNSET else f"version {record.old.number}"
    version = record.version
    terminal.diff(before, to_json(version.document), was, f"version {version.number}")
    terminal.line(f"{app}: Deployment {app.ns}/{app.name}-{version.number}, {_what(version)}")
    show_steps(app, record)
