"""What most commands begin with: the settings that hold, and the source they name."""

import argparse
import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from lbsync.agent.desired.accepted import remembered
from lbsync.clients.etcd.options import EtcdOptions
from lbsync.clients.source import Source
from lbsync.clients.sources import open_source
from lbsync.settings import Etcd, Settings, load, password_of
from lbsync.settings.values import HostName


def settings_of(args: argparse.Namespace) -> Settings:
    """Return the settings that hold for this command line. Raises `SettingsError`."""
    return load(args.config, flags=args.flags)


def etcd_options(
    settings: Settings, *, below: str = "", quiet: Collection[str] = ()
) -> EtcdOptions:
    """Return what the settings say about etcd; see `source_of`. Raises `SettingsError`."""
    etcd = settings.etcd
    return EtcdOptions(
        endpoints=etcd.endpoints,
        prefix=f"{settings.prefix}{below}",
        ca=etcd.ca,
        cert=etcd.cert,
        key=etcd.key,
        user=etcd.user or None,
        password=_password_reader(etcd),
        timeout=etcd.timeout.seconds,
        resync=etcd.resync.seconds,
        quiet=frozenset(quiet),
    )


def source_of(settings: Settings, *, below: str = "", quiet: Collection[str] = ()) -> Source:
    """Return the source; nothing is connected yet. Raises `SettingsError`.

    `below`: read no more of etcd than this, which ends with `/`, under the prefix. `quiet`: see
    `EtcdOptions.quiet`.
    """
    options = etcd_options(settings, below=below, quiet=quiet)
    database = Path(settings.state_dir) / "accepted.db"
    return open_source(settings.source, options, lambda: remembered(database))


def _password_reader(etcd: Etcd) -> Callable[[], str] | None:
    """Return what reads the password at each login; None without a user.

    Raises `SettingsError` when it cannot be read now, so that a wrong path is told at the start.
    """
    if password_of(etcd) is None:
        return None
    return lambda: password_of(etcd) or ""


@contextlib.contextmanager
def opened(settings: Settings, *, below: str = "", quiet: Collection[str] = ()) -> Iterator[Source]:
    """Open the source for one command and close it afterwards; see `source_of`."""
    source = source_of(settings, below=below, quiet=quiet)
    try:
        yield source
    finally:
        source.close()


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add `--output`, for commands that a script may want to read."""
    parser.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="text for people (default), or JSON",
    )


def add_hosts(parser: argparse.ArgumentParser, text: str) -> None:
    """Add `--hosts`, for commands about some hosts of the fleet; `text` explains it."""
    parser.add_argument("--hosts", type=_hosts, default=(), metavar="HOST[,HOST…]", help=text)


def _hosts(text: str) -> tuple[str, ...]:
    try:
        found = tuple(dict.fromkeys(HostName.parse(host.strip()) for host in text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} names no host: write them as in lb-1,lb-2")
    return found
