"""`lbsync version`."""

import argparse
import platform
from pathlib import Path

import msgspec

import lbsync
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.haproxy import binary, capabilities, known_faults, sockets
from lbsync.clients.haproxy.capabilities import Ability
from lbsync.clients.haproxy.options import HaproxyOptions, from_settings
from lbsync.errors import Exit, LbsyncError, SettingsError, Unavailable
from lbsync.settings import load


class HaproxyFacts(msgspec.Struct, frozen=True):
    """The HAProxy of this host."""

    detail: str
    """Which one it is, or why none can be told."""
    version: str = ""
    """Empty: not known."""
    runs: bool = False
    """It was asked itself; else the program was."""
    abilities: tuple[Ability, ...] = ()
    """What it can do, and what lbsync therefore does."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show which lbsync this is, where it was installed, and what the HAProxy of this host can do."
    parser.add_argument("--output", choices=("text", "json"), default="text", help="text or JSON")


def run(args: argparse.Namespace) -> Exit:
    place = str(Path(lbsync.__file__).parent)
    python = platform.python_version()
    try:
        haproxy = of_host(from_settings(load(args.config, flags=args.flags)))
    except SettingsError as error:
        haproxy = HaproxyFacts(f"not looked for: {error}")
    if args.output == "json":
        facts = {"version": lbsync.__version__, "python": python, "path": place, "haproxy": haproxy}
        Terminal().block(to_json(facts))
        return Exit.OK
    terminal = Terminal()
    terminal.line(f"lbsync {lbsync.__version__} (Python {python}, {place})")
    terminal.line(f"HAProxy {haproxy.detail}")
    for ability in haproxy.abilities:
        terminal.line(f"  {'can   ' if ability.has else 'cannot'}  {ability}")
    return Exit.OK


def of_host(options: HaproxyOptions) -> HaproxyFacts:
    """Ask the HAProxy that runs; where none answers, tell it from the program's release."""
    worker = sockets.worker(options)
    try:
        info = worker.show_info(retry_s=0)
        version = known_faults.parsed(info["Version"])
        if version is not None:
            can = capabilities.ask(worker, version)
            said = info["Version"]
            return HaproxyFacts(f"{said}, worker {info['Pid']}", said, True, can.abilities())
    except Unavailable as error:
        silent = str(error)
    else:
        silent = f"it calls itself release {info['Version']!r}"
    try:
        can = capabilities.of_release(binary.version(options.binary))
    except LbsyncError as error:
        return HaproxyFacts(f"not found: {error}")
    detail = f"{can.name}, by {options.binary}; what runs could not be asked: {silent}"
    return HaproxyFacts(detail, can.name, False, can.abilities())
