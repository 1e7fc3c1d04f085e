"""`lbsync drain`, and what it shares with `lbsync undrain`."""

import argparse
from pathlib import Path

from lbsync.agent.control import Control
from lbsync.agent.generations import host_map as stored_host_map
from lbsync.agent.generations.read import load
from lbsync.agent.generations.store import Store
from lbsync.agent.privileges import drop_privileges
from lbsync.agent.runtime import host_map
from lbsync.cli.context import settings_of
from lbsync.cli.fleet.orders import add_fleet, order, refuse_fleet_words
from lbsync.cli.requests import request
from lbsync.cli.terminal import Terminal
from lbsync.clients.haproxy import sockets
from lbsync.clients.haproxy.options import from_settings
from lbsync.errors import Exit, LbsyncError, Unavailable
from lbsync.settings import Duration, Settings
from lbsync.status import PROVED, Status

EXIT_CODES = """
exit codes: 0 done, as read back; 1 the state directory cannot be written; 4 settings are wrong; 6 there is no
state directory, or HAProxy could not be told: the request stands, and the command to send by hand is printed;
with --fleet: 5 the prompt was not confirmed, or the source is not etcd; 6 etcd does not answer; 9 not every
host has done it.
"""
_EPILOG = f"""\
examples:
  lbsync drain --reason "kernel update"
  lbsync drain && sleep 60 && reboot
  lbsync undrain
  lbsync drain --fleet --hosts lb-1,lb-2 --reason "kernel update"   through an order in etcd

The health path (setting proxy.health_path) then answers 503, so that the load balancer in front sends no new
clients. Requests that still arrive are served as before. The drain lasts until 'undrain', even across restarts.
The agent carries it out; if no agent runs, or if it fails, this command tells HAProxy itself.
{EXIT_CODES}"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Take this host out of the load balancer in front, without dropping requests."
    )
    parser.epilog = _EPILOG
    parser.add_argument("--reason", default="by hand", help="shown by 'lbsync status'")
    add_fleet(parser)
    request.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Write the request and see to it that it is obeyed."""
    settings = settings_of(args)
    if args.fleet:
        return order(settings, "drain", args, args.reason or "by hand")
    refuse_fleet_words(args)
    become(settings)
    request.make(Path(settings.state_dir), "drain", args.reason or "by hand")
    how = await_drain(settings, args.wait)
    Terminal().line(
        f"drained{how}: the health path answers 503 since now; everything else is served"
    )
    return Exit.OK


def become(settings: Settings) -> None:
    """Go on as the agent's user, with the right to HAProxy's sockets."""
    haproxy = settings.haproxy
    drop_privileges(Path(settings.state_dir), sockets=(haproxy.stats_socket, haproxy.master_socket))


def await_drain(settings: Settings, wait: Duration) -> str:
    """Wait until HAProxy was proved to be drained, or not, as the request says; return who did it.

    Raises `Unavailable` when nobody could, with what is left to do by hand.
    """
    state = Path(settings.state_dir)
    wanted = Control(state).get("drain")
    reason = wanted.value if wanted else ""
    if not (why := request.missing(state)):
        try:
            request.until(state, lambda now: _is_done(now, reason), wait, _has_failed)
            return ""
        except Unavailable as error:
            why = str(error)
    _tell_haproxy(settings, draining=wanted is not None)
    return f" by this command, as {why}"


def _is_done(now: Status, reason: str) -> bool:
    return now.draining == reason and now.state in PROVED


def _has_failed(now: Status) -> bool:
    return now.state in ("failing", "unconfirmed")


def _tell_haproxy(settings: Settings, *, draining: bool) -> None:
    """Put it into the live generation, then into the running HAProxy, and read it back."""
    state, options = Path(settings.state_dir), from_settings(settings)
    live = Store(state, settings.agent.keep_generations).live()
    try:
        if live is None:
            raise Unavailable("no generation is live")
        if not draining and not live.meta.confirmed_at:
            raise Unavailable(f"generation {live.name} was never proved to serve anybody")
        stored_host_map.update(live, load(live), host_map.content(draining))
        host_map.set_draining(sockets.worker(options), draining=draining)
    except LbsyncError as error:
        socket = options.stats_socket or options.master_socket
        line = ("" if options.stats_socket else "@1 ") + host_map.command(draining)
        raise Unavailable(
            f"the request stands for the agent, but nobody obeys it yet: {error}; with the right to "
            f"HAProxy's socket: echo '{line}' | socat - {socket}"
        ) from error
