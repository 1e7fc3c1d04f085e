"""Common to most commands: the effective settings, the source they name, and argument types."""

import argparse
import contextlib
import os
import pwd
import socket
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeVar

from lbsync.agent.desired.accepted_items import remembered
from lbsync.clients.source import Source
from lbsync.clients.sources import open_source
from lbsync.errors import Unavailable
from lbsync.schema.keys import ServiceId
from lbsync.settings import Duration, Etcd, Settings, load
from lbsync.values.basic import HostName

V = TypeVar("V")
_NO_LOGIN = str(2**32 - 1)
"""What the kernel says of a process that nobody's login began: audit's AUDIT_UID_UNSET."""


def settings_of(args: argparse.Namespace) -> Settings:
    """Return the settings that hold for this command line. Raises `SettingsError`."""
    return load(args.config, flags=args.flags)


@contextlib.contextmanager
def source_opened(
    settings: Settings,
    *,
    below: str = "",
    quiet: Collection[str] = (),
    answers: bool = False,
    deployments: bool = False,
) -> Iterator[Source]:
    """Open the source for one command and close it afterwards; see `open_source`."""
    accepted = Path(settings.state_dir) / "accepted.db"
    source = open_source(
        settings,
        below=below,
        quiet=quiet,
        known=lambda: remembered(accepted),
        answers=answers,
        deployments=deployments,
    )
    try:
        yield source
    except Unavailable as error:
        # Nobody has said where it is: a first try, or settings that were forgotten.
        is_default = source.shared and settings.etcd.endpoints == Etcd().endpoints
        if is_default and str(error).startswith("etcd does not answer"):
            raise Unavailable(
                f"{error}; name yours with [etcd] endpoints or --etcd-endpoints"
            ) from error
        raise
    finally:
        source.close()


def whoami() -> str:
    """Return who runs this command, and on which machine; for people."""
    return f"{invoker()} on {socket.gethostname()}"


def invoker() -> str:
    """Return who runs this command, for people: `ann (uid 1000)`.

    Who logged in, as the kernel keeps it over `sudo`, `su` and a change of the user (audit's login uid);
    else whom sudo names; else whose process it is.
    """
    uid = os.environ.get("SUDO_UID") or str(os.getuid())
    with contextlib.suppress(OSError):
        login = Path("/proc/self/loginuid").read_text().strip()
        uid = uid if login == _NO_LOGIN else login
    try:
        return f"{pwd.getpwuid(int(uid)).pw_name} (uid {uid})"
    except (KeyError, ValueError):
        return f"uid {uid}"


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


def value_of(parse: Callable[[str], V]) -> Callable[[str], V]:
    """Return what reads a value of the command line by a `parse` that raises ValueError, and tells its sentence."""

    def read(text: str) -> V:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


duration = value_of(Duration.parse)
"""Reads a time span of the command line."""
service_id = value_of(ServiceId.parse)
"""Reads `shop/cart` of the command line."""


def _hosts(text: str) -> tuple[str, ...]:
    try:
        found = tuple(dict.fromkeys(HostName.parse(host.strip()) for host in text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} names no host: write them as in lb-1,lb-2")
    return found
