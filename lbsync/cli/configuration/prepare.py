"""`lbsync prepare`: ensures that HAProxy can start, even without etcd and the agent."""

import argparse
from pathlib import Path

from lbsync import log
from lbsync.agent.apply.switch import locked
from lbsync.agent.generations import carried_state
from lbsync.agent.generations.store import Store
from lbsync.agent.privileges import drop_privileges, make_state_dir
from lbsync.cli.configuration.plan import make_plan, validated
from lbsync.cli.context import settings_of
from lbsync.cli.terminal import Terminal
from lbsync.clients.haproxy.options import from_settings
from lbsync.errors import Exit
from lbsync.model.snapshot import Snapshot
from lbsync.settings import Settings, find_state_dir

_DESCRIPTION = """\
Ensure that a live generation exists for HAProxy to start from. If one exists, nothing is done: wrong settings
or a concurrent reload do not matter then. If the live link is lost, the generation that was last verified as
served is made live again. On a new host, a first generation without services is rendered from the templates;
its health path answers 503 until the agent's first pass, so that the load balancer in front sends no requests.
etcd is not used.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = (
        "example, in haproxy.service (systemd/haproxy.service.d/lbsync.conf is the complete file):\n"
        "  ExecStartPre=-/usr/bin/lbsync prepare\n\n"
        "exit codes: 0 a generation is live; otherwise HAProxy has none to start from: 1 the state directory\n"
        "cannot be written, 4 settings or templates are wrong, 5 'haproxy -c' refuses the configuration, 6 'haproxy'\n"
        "cannot be run, 7 the live link or the reload lock cannot be created, 8 another process holds the lock.\n"
    )


def run(args: argparse.Namespace) -> Exit:
    """See to it that there is a live generation."""
    place = find_state_dir(args.config, flags=args.flags)
    if said := _is_live(Store(place, keep=1)):
        Terminal().line(said)
        return Exit.OK
    settings = settings_of(args)
    log.setup(settings.log.level, settings.log.format)
    make_state_dir(Path(settings.state_dir))
    drop_privileges(Path(settings.state_dir))
    store = Store(settings.state_dir, settings.agent.keep_generations)
    with locked(from_settings(settings).lock_path, settings.haproxy.reload_timeout.seconds):
        Terminal().line(prepare(settings, store))
    return Exit.OK


def _is_live(store: Store) -> str:
    """Return a sentence where there is a generation that HAProxy can start from; else nothing."""
    try:
        live = store.live()
        if live is not None and live.main_file.is_file():
            return f"generation {live.name} is live"
    except OSError:
        pass  # not readable for this user: what follows tells why
    return ""


def prepare(settings: Settings, store: Store) -> str:
    """Do what is missing; return a sentence. Raises `LbsyncError` when it cannot be done."""
    if said := _is_live(store):
        return said
    last = store.confirmed()
    if last is not None and last.main_file.exists():
        return f"generation {store.make_live(last).name} is live again"
    plan = make_plan(settings, Snapshot(0, 0, {}), draining=True)
    staged = store.stage(plan.rendered)
    try:
        verdict = validated(staged, plan.rendered, settings)
        carried_state.empty(staged, verdict.config, store.live_link)
        live = store.make_live(staged)
    finally:
        store.discard(staged)  # nothing is left of it once it went live
    return f"generation {live.name} is live: a first one, without services"
