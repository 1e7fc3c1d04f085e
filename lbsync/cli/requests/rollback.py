"""`lbsync rollback`."""

import argparse
import re
import time
from pathlib import Path

import msgspec

from lbsync import log
from lbsync.agent.agent import Agent
from lbsync.agent.control import Control
from lbsync.agent.generations.content import Content, content
from lbsync.agent.generations.read import find, previous
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.host_lock import HostLock
from lbsync.agent.privileges import drop_privileges
from lbsync.cli.context import add_output, invoker, settings_of, source_opened
from lbsync.cli.fleet.orders import add_fleet, order, refuse_fleet_words
from lbsync.cli.requests import request
from lbsync.cli.terminal import Terminal, may_ask, said_yes, to_json
from lbsync.errors import Exit, Rejected, Unavailable
from lbsync.settings import Settings
from lbsync.status import PROVED, wait_of
from lbsync.timestamps import minute
from lbsync.values.plural import first_few

_EPILOG = """\
examples:
  lbsync rollback --list           list the generations
  lbsync rollback                  the generation that was served before the current one
  lbsync rollback 41               a specific generation, by number or digest
  lbsync rollback --release        follow the source again
  lbsync rollback --fleet          every host, through an order in etcd; shows the plan first
  lbsync rollback --release --fleet --hosts lb-1,lb-2

The host stays at that generation until --release, even across restarts and whatever the source says. The
running agent carries this out; if no agent runs, this command does it itself.

On a terminal, the command shows what would change and asks first. Otherwise it proceeds without asking, unless
the generation would remove more servers than agent.guard_percent, or all of them: that needs --yes. With
--fleet, each host decides this for itself and refuses even with --yes; to serve such a generation, run 'lbsync
rollback' on the host.

exit codes: 0 it is served, as read back; 1 the state directory cannot be written; 4 settings are wrong; 5 there
is no such generation, or it was not confirmed at the prompt; 6 there is no state directory, the agent or
HAProxy does not answer, or did not confirm in time; 7 HAProxy refused it; 8 another process holds a lock; 9
with --release: the source is followed again, and its changes wait for a reload; with --fleet: not every host
has done it.
"""


_MOST_NAMES = 5
_DIGEST = re.compile(r"[0-9a-f]{6,64}\Z")
_FOLLOWING = PROVED - {"rolled-back"}


class Ended(msgspec.Struct, frozen=True):
    """Which generation is live after the command, and whether that was proved."""

    sentence: str
    confirmed: bool
    """HAProxy was proved to serve it."""
    digest: str = ""
    """Of the generation that is live now; empty where nothing was to be done."""
    revision: int = 0
    """Of the source, which that serves; 0 where unknown."""
    error: str = ""
    waits: str = ""
    """Why what is asked for is not served yet: a reload has to wait."""

    @property
    def code(self) -> Exit:
        """What the command ends with."""
        if not self.confirmed:
            return Exit.UNAVAILABLE
        return Exit.UNVERIFIED if self.waits else Exit.OK

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.sentence, self.error)))


class _Row(msgspec.Struct, frozen=True):
    """One generation in the list."""

    generation: Generation
    has: Content
    differs: str
    notes: list[str]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve an earlier generation until it is released."
    parser.epilog = _EPILOG
    what = parser.add_mutually_exclusive_group()
    what.add_argument("generation", nargs="?", metavar="GENERATION", help="number or digest")
    what.add_argument("--release", action="store_true", help="follow the source again")
    what.add_argument("--list", action="store_true", help="list the generations on this host")
    add_fleet(parser, yes="do not ask, whatever is removed; for scripts and emergencies")
    request.add_wait(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> Exit:
    """List, or write the request and wait."""
    settings = settings_of(args)
    log.setup(settings.log.level, settings.log.format)
    if args.fleet:
        return _on_fleet(args, settings)
    refuse_fleet_words(args)
    state = Path(settings.state_dir)
    store = Store(state, settings.agent.keep_generations)
    if args.list:
        return _list(store, state, args.output)
    drop_privileges(state, sockets=(settings.haproxy.stats_socket, settings.haproxy.master_socket))
    ended = _release(args, state) if args.release else _go_back(args, settings, store)
    Terminal().block(to_json(ended) if args.output == "json" else str(ended))
    return ended.code


def _on_fleet(args: argparse.Namespace, settings: Settings) -> Exit:
    """Order it. Raises `Rejected` for what only this host could mean."""
    if args.list:
        raise Rejected(
            "--list: it is about this host; 'lbsync rollback --fleet' shows what each would serve"
        )
    if args.release:
        return order(settings, "rollback-release", args)
    if args.generation and not _DIGEST.match(args.generation):
        raise Rejected(
            f"{args.generation!r}: hosts number their generations each for itself; with --fleet write how the "
            "digest begins, at least 6 of its characters"
        )
    return order(settings, "rollback", args, digest=args.generation or "")


def _go_back(args: argparse.Namespace, settings: Settings, store: Store) -> Ended:
    state = Path(settings.state_dir)
    wanted = find(store, args.generation) if args.generation else _previous(store)
    if not args.yes:
        _make_sure(wanted, store.live(), settings.agent.guard_percent)
    if request.alive(state) is None:
        with request.standing(state, "rollback", wanted.digest):
            return _do_it(settings, state, wanted)
    now = request.ask(
        state,
        "rollback",
        wanted.digest,
        lambda now: now.state == "rolled-back" and now.digest == wanted.digest,
        args.wait,
    )
    said = f"rolled back to generation {wanted.name}; it stays until 'lbsync rollback --release'"
    return Ended(said, True, now.digest, now.revision)


def _make_sure(wanted: Generation, live: Generation | None, percent: int) -> None:
    """Say what would change and ask, at a terminal; elsewhere refuse what the guard would hold.

    Raises `Rejected`.
    """
    parser = Parser()
    there, here = content(wanted, parser), content(live, parser)
    gone = sorted(here.services - there.services)
    said = f"generation {wanted.name} serves {there}"
    if changed := there.against(here):
        said += f"; against what is live: {changed}"
    if gone:
        said += f"; {first_few(gone, _MOST_NAMES)} would go"
    if may_ask():
        if not said_yes(f"{said}\nserve it, until 'lbsync rollback --release'?"):
            raise Rejected("nothing was done")
    elif there.loses(here, percent):
        raise Rejected(f"{said}, so nothing was done; --yes if that is meant")


def _previous(store: Store) -> Generation:
    found = previous(store)
    if found is None:
        raise Rejected("there is no earlier generation that was served; 'lbsync rollback --list'")
    return found


def _release(args: argparse.Namespace, state: Path) -> Ended:
    if not Control(state).withdraw("rollback", invoker()):
        return Ended("this host was not rolled back; it follows the source", True)
    if why := request.missing(state):
        then = "one starts" if why == request.NO_AGENT else "it goes on"
        return Ended(f"released, but {why}: HAProxy goes on as it is until {then}", False)
    try:
        now = request.until(state, lambda now: now.state in _FOLLOWING, args.wait)
    except Unavailable as error:
        raise Unavailable(f"released, but {error}") from error
    said = "released: this host follows the source again"
    if now.held:
        said += f"; a removal is held: {now.held}"
    if wait := wait_of(now, time.time()):
        said += f", when a reload may be: {wait}"
    return Ended(said, True, now.digest, now.revision, waits=wait)


def _do_it(settings: Settings, state: Path, wanted: Generation) -> Ended:
    """Be the agent for one pass, which obeys the request and asks no source."""
    with HostLock(state), source_opened(settings) as source:
        outcome = Agent(settings, source).run_pass()
    revision = wanted.meta.revision
    return Ended(outcome.sentence, outcome.confirmed, wanted.digest, revision, outcome.error)


def _list(store: Store, state: Path, output: str) -> Exit:
    """Print what is there. Raises `Unavailable` where there is no such state directory."""
    if not state.is_dir():
        raise Unavailable(f"{state}: no such directory; is this the host, and --state-dir right?")
    live, confirmed, pin = store.live(), store.confirmed(), Control(state).get("rollback")
    parser = Parser()
    running = content(live, parser)
    rows = []
    for generation in store.list():
        notes = {
            "live": live is not None and live.name == generation.name,
            "served": confirmed is not None and confirmed.name == generation.name,
            "rolled back to": pin is not None and generation.digest == pin.value,
        }
        has = content(generation, parser)
        is_live = live is not None and live.name == generation.name
        differs = "" if is_live else has.against(running) or "other lines"
        rows.append(_Row(generation, has, differs, [n for n, holds in notes.items() if holds]))
    if output == "json":
        Terminal().block(to_json([_facts(row) for row in rows]))
        return Exit.OK
    if not rows:
        Terminal().line(f"{state}: no generation is here yet; the agent's first pass makes one")
        return Exit.OK
    Terminal().table(
        (
            "GENERATION", "DIGEST", "SERVICES", "SERVERS", "AGAINST LIVE", "REVISION", "MADE",
            "LAST PROVED", "",
        ),
        (
            (
                str(row.generation.seq),
                row.generation.digest,
                str(len(row.has.services)),
                str(len(row.has.servers)),
                row.differs,
                str(row.generation.meta.revision),
                _time(row.generation.meta.created_at),
                _time(row.generation.meta.confirmed_at or 0.0),
                ", ".join(row.notes),
            )
            for row in rows
        ),
    )  # fmt: skip
    return Exit.OK


def _facts(row: _Row) -> dict[str, object]:
    meta = row.generation.meta
    return {
        "seq": row.generation.seq,
        "name": row.generation.name,
        "digest": meta.digest,
        "revision": meta.revision,
        "created_at": meta.created_at,
        "confirmed_at": meta.confirmed_at,
        "services": len(row.has.services),
        "servers": len(row.has.servers),
        "against_live": row.differs,
        "notes": row.notes,
    }


def _time(at: float) -> str:
    return minute(at) if at else "never"
