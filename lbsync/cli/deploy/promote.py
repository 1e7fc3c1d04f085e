"""`lbsync deploy promote --to ENV`: deploys what runs here in another environment, by the same digest."""

import argparse
import contextlib
import secrets
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from lbsync.cli.context import settings_of
from lbsync.cli.deploy import following
from lbsync.cli.deploy.deploy_context import DeployContext
from lbsync.cli.terminal import Terminal
from lbsync.decoders import decode
from lbsync.errors import Exit, Rejected, Unavailable
from lbsync.model.deploying import DeploymentRecord, EventRecord, Phase, VersionRecord
from lbsync.schema.keys import ServiceId
from lbsync.settings import Settings

if TYPE_CHECKING:
    from lbsync.clients.console_api import ConsoleApi

_AWAY_S = 60.0
"""For so long the other console may be away while its deployment is followed."""
_AGAIN_S = 1.0


class Begun(msgspec.Struct, frozen=True):
    """What the other console answers."""

    deployment: str
    said: str
    warnings: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """How a deployment stands."""

    phase: Phase
    is_ended: bool
    said: str = ""


class View(msgspec.Struct, frozen=True):
    """A deployment as the other console shows it."""

    row: Row
    notices: tuple[str, ...] = ()


def add_environment(parser: argparse.ArgumentParser) -> None:
    """Add `--to`."""
    parser.add_argument(
        "--to", metavar="ENV", default="",
        help="deploy the image that runs here, by the digest that its pods report (imageID), through the deployer in "
        "[deployer.environments.ENV]; with --wait, follow it until it ends",
    )  # fmt: skip


def promote(
    args: argparse.Namespace, context: DeployContext, record: DeploymentRecord | None
) -> Exit:
    """Have it deployed there. `record`: the deployment whose version is meant; None: what is live."""
    app: ServiceId = args.app
    with contextlib.closing(_environment(settings_of(args), args.to)) as there:
        version, image = _what_runs(context, app, record)
        terminal = Terminal()
        terminal.line(f"{app}: version {version.number} runs {image}, by the word of its pods")
        order = {"image": str(image)}
        begun = there.post(f"/api/apps/{app}/deployments", order, secrets.token_hex(16), Begun)
        for warning in begun.warnings:
            Terminal(sys.stderr).line(f"warning: {warning}")
        if not begun.deployment:
            terminal.line(f"{args.to}: {app}: {begun.said}")
            return Exit.OK
        terminal.line(f"{args.to}: {app}: deployment {begun.deployment} is begun")
        return _Followed(there, app, begun.deployment).follow() if args.wait else Exit.OK


def _environment(settings: Settings, name: str) -> "ConsoleApi":
    from lbsync.clients.console_api import ConsoleApi  # noqa: PLC0415 - costs 0.1 s

    known = settings.deployer.environments
    if name not in known:
        there = f"there are {', '.join(sorted(known))}" if known else "there is none"
        raise Rejected(
            f"there is no environment {name!r}: its url and token_file stand in [deployer.environments.{name}] of the "
            f"settings; {there}"
        )
    return ConsoleApi(name, known[name])


def _what_runs(
    context: DeployContext, app: ServiceId, record: DeploymentRecord | None
) -> tuple[VersionRecord, str]:
    """Return a version and its image. Raises `Rejected`."""
    if record is not None:
        if record.phase != "deployed":
            raise Rejected(f"{app}: deployment {record.id} is {record.phase}, not deployed")
        provider = context.tools.providers[record.provider]()
        return record.version, provider.image(app, record.version)
    page = context.ledger.page(app)
    live, wanted = page.versions().live, page.wanted
    if live is UNSET:
        raise Rejected(f"{app}: nothing of it is live; deploy it here first")
    provider = context.tools.providers["groups" if wanted is None else wanted.provider]()
    return live, provider.image(app, live)


class _Followed:
    """A deployment that another deployer carries out."""

    def __init__(self, there: "ConsoleApi", app: ServiceId, deployment: str) -> None:
        self._there, self._app, self._id = there, app, deployment
        self._path = f"/api/deployments/{app}/{deployment}"
        self._terminal = Terminal()
        self._last = -1
        self._heard = time.monotonic()

    def follow(self) -> Exit:
        """Show its events until it has ended; return the code for its end. Raises `Unavailable` once nobody has
        answered for a while; it goes on all the same."""
        try:
            while True:
                with self._patience():
                    for kind, name, text in self._there.events(f"{self._path}/events", self._last):
                        self._show(kind, name, text)
                    view = self._there.get(self._path, View)
                    if view.row.is_ended:
                        return self._ended(view)
                time.sleep(_AGAIN_S)
        except KeyboardInterrupt:
            Terminal(sys.stderr).line(
                f"{self._app}: deployment {self._id} goes on at {self._there.where}"
            )
            raise

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        try:
            yield
            self._heard = time.monotonic()
        except Unavailable as error:
            if time.monotonic() - self._heard >= _AWAY_S:
                raise Unavailable(f"{error}; deployment {self._id} goes on there") from error

    def _show(self, kind: str, name: str, text: str) -> None:
        self._heard = time.monotonic()
        if kind != "event" or not name.isdecimal():
            return
        self._last = int(name)
        found: dict[str, Any] = decode(text, dict[str, Any])
        told = {field: found[field] for field in ("at", "phase", "text", "by")}
        self._terminal.line(following.event_line(EventRecord(**told)))
        self._terminal.flush()

    def _ended(self, view: View) -> Exit:
        for notice in view.notices:
            self._terminal.line(f"to be known: {notice}")
        said = f": {view.row.said}" if view.row.said else ""
        self._terminal.line(f"{self._app}: deployment {self._id} is {view.row.phase}{said}")
        return following.CODES[view.row.phase]
