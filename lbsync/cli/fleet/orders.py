"""`--fleet` of drain, undrain and release: an order in etcd, after showing the plan."""

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Collection, Mapping
from types import MappingProxyType

from msgspec import UNSET

from lbsync import log
from lbsync.cli.context import add_hosts, source_opened, whoami
from lbsync.cli.fleet.wait import history_of
from lbsync.cli.progress import Progress
from lbsync.cli.terminal import Terminal, may_ask, said_yes
from lbsync.clients.source import Source
from lbsync.errors import Exit, Rejected, Unavailable
from lbsync.fleet.orders import COMMANDS, OrderPlaced
from lbsync.model.orders import Action
from lbsync.model.records import AgentRecord
from lbsync.schema import fleet
from lbsync.schema.fleet import Census
from lbsync.schema.reading import one_line
from lbsync.settings import Duration, Settings
from lbsync.timestamps import minute, seconds
from lbsync.values.plural import count

_DONE = {
    "drain": "drained", "undrain": "undrained", "release": "released", "rollback": "rolled back",
    "rollback-release": "following the source again",
}  # fmt: skip
_TELL_S = 1.0
_PLAN_IS_MEANT = "with --fleet: do not ask for confirmation"


def add_fleet(parser: argparse.ArgumentParser, *, yes: str = _PLAN_IS_MEANT) -> None:
    """Add what concerns hosts of the fleet instead of this one; `yes` explains `--yes`."""
    parser.add_argument(
        "--fleet", action="store_true",
        help="apply to hosts of the fleet, through an order in etcd to their agents",
    )  # fmt: skip
    add_hosts(parser, "with --fleet: only these (default: all that report)")
    parser.add_argument("--yes", action="store_true", help=yes)


def refuse_fleet_words(args: argparse.Namespace) -> None:
    """Raise `Rejected` for what means nothing on this host alone: somebody took it for another command."""
    if args.hosts:
        raise Rejected("--hosts: it names hosts of the fleet; say --fleet, too")


def order(
    settings: Settings,
    action: Action,
    args: argparse.Namespace,
    reason: str = "",
    *,
    digest: str = "",
) -> Exit:
    """Show the plan, order it where it is meant, and wait until every host has done it.

    `digest`: of the generation to go back to; empty: on each host the one it served before. Raises `Rejected`
    where it was not meant; `Unavailable`.
    """
    terminal = Terminal()
    with source_opened(settings) as source:
        history_of(source)
        census = fleet.census(source.snapshot())
        hosts = args.hosts or tuple(census.live)
        if not hosts:
            terminal.line("no agent reports, so nobody could obey; does any run?")
            return Exit.UNVERIFIED
        chosen = generations(hosts, census, digest) if action == "rollback" else {}
        if not args.yes:
            _make_sure(action, hosts, census, chosen)
        log.setup("warning", settings.log.format)  # the watch logs more than was asked for
        with (
            OrderPlaced(
                source, action, hosts, by=whoami(), reason=reason, generations=chosen
            ) as placed,
            source_opened(settings, below=fleet.AGENTS) as agents,
        ):
            missing = _wait(agents, placed, args.wait)
    done = [host for host in hosts if host not in missing]
    if done:
        terminal.line(f"{_DONE[action]}: {', '.join(done)}")
    for host, why in missing.items():
        terminal.line(f"{host} is not {_DONE[action]}: {one_line(why)}")
    return Exit.UNVERIFIED if missing else Exit.OK


def generations(hosts: Collection[str], census: Census, digest: str = "") -> dict[str, str]:
    """Return which generation each host is to go back to: `digest`, else the one it says it served before. Hosts
    that say of none are left out."""
    found: dict[str, str] = {}
    for host in hosts:
        record = census.live.get(host)
        earlier = record.earlier if record is not None else UNSET
        if digest:
            found[host] = digest
        elif earlier is not UNSET:
            found[host] = earlier.digest
    return found


def plan(
    action: Action,
    hosts: Collection[str],
    census: Census,
    chosen: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[tuple[str, ...]], str]:
    """Return a row for each host, and what to know of it as a whole; empty: nothing in particular. `chosen`: as
    `generations` has it."""
    rows: list[tuple[str, ...]] = []
    for host in hosts:
        record = census.live.get(host)
        if record is None:
            rows.append((host, "does not report", "cannot be reached"))
        elif action == "release":
            by_hand = [what for what in record.held if what != "removal"]
            will = (
                f"puts back {', '.join(map(one_line, by_hand))}"
                if by_hand
                else "nothing is set by hand"
            )
            rows.append((host, one_line(record.state), will))
        elif action in ("rollback", "rollback-release"):
            rows.append((host, _serves(record), _goes_to(action, record, chosen.get(host, ""))))
        else:
            is_drained = bool(record.draining)
            now = f"drained: {one_line(record.draining)}" if is_drained else "takes part"
            same = is_drained == (action == "drain")
            rows.append((host, now, "stays so" if same else _will(action)))
    if action == "rollback":
        return (
            rows,
            "they stay there, whatever etcd says, until 'lbsync rollback --release --fleet'",
        )
    if action != "drain":
        return rows, ""
    left = [
        host
        for host, record in census.live.items()
        if record is not None and not record.draining and host not in hosts
    ]
    if left:
        return rows, f"{count(len(left), 'host')} would be left: {', '.join(left)}"
    return rows, "no host would be left: the load balancer in front sends nobody new anywhere"


def _serves(record: AgentRecord) -> str:
    state, digest = one_line(record.state), one_line(record.digest)
    return f"{state}: {record.generation}-{digest} of revision {record.revision}"


def _goes_to(action: Action, record: AgentRecord, digest: str) -> str:
    if action == "rollback-release":
        return "follows etcd again" if record.state == "rolled-back" else "stays so"
    earlier = record.earlier
    if not digest:
        return "says of nothing that it served before"
    if earlier is UNSET or not earlier.digest.startswith(digest):
        return f"serves {digest}, where it has that"
    at = minute(seconds(earlier.proved_at)) if earlier.proved_at else "nobody knows when"
    return f"serves {earlier.generation}-{one_line(earlier.digest)} of revision {earlier.revision}, last proved {at}"


def _will(action: Action) -> str:
    return "answers 503 to health checks" if action == "drain" else "answers 200 to health checks"


def _make_sure(
    action: Action, hosts: Collection[str], census: Census, chosen: Mapping[str, str]
) -> None:
    """Show what would be done, and ask. Raises `Rejected`."""
    terminal = Terminal(sys.stderr)
    rows, remark = plan(action, hosts, census, chosen)
    terminal.table(("HOST", "NOW", "THEN"), rows)
    if remark:
        terminal.line(terminal.paint(remark, "yellow"))
    if not may_ask():
        raise Rejected("nothing was done; --yes if that plan is meant")
    if not said_yes(f"{COMMANDS[action]} on {count(len(hosts), 'host')}?"):
        raise Rejected("nothing was done")


def _wait(agents: Source, placed: OrderPlaced, wait: Duration) -> dict[str, str]:
    """Return which hosts have not done it when the time is up, or as soon as no more can come, and why.

    `agents`: what lies below `agents/`, not started yet.
    """
    news = threading.Event()
    deadline = time.monotonic() + wait.seconds
    agents.start(news.set)
    missing = dict.fromkeys(placed.hosts, "etcd did not tell")
    progress = Progress()
    while True:
        news.clear()
        with contextlib.suppress(Unavailable):  # it was not listed yet
            census = fleet.census(agents.snapshot(), root="")
            missing = placed.missing(census)
            offline = {host for host in placed.hosts if host not in census.live}
            if missing.keys() <= placed.failed(census).keys() | offline:
                break
        left = deadline - time.monotonic()
        if left <= 0:
            break
        first = min(missing)
        done = len(placed.hosts) - len(missing)
        progress.say(f"done by {done} of {len(placed.hosts)}; {first}: {one_line(missing[first])}")
        news.wait(min(left, _TELL_S))
    progress.over()
    return missing
