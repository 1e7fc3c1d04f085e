"""`lbsync console`: the fleet console."""

import argparse
import functools
from pathlib import Path

from lbsync import log
from lbsync.agent.privileges import drop_privileges
from lbsync.cli.context import settings_of, source_opened
from lbsync.errors import Exit, SettingsError
from lbsync.settings import Settings

_EPILOG = """\
examples:
  lbsync console                         what the systemd unit runs: http://127.0.0.1:8480/
  lbsync token add ann --right admin     a token for a user who may change things

Reads etcd and shows every balancer, service and publisher, live. Without a token, only clients on this host are
served, with read-only access. [console] in the settings configures TLS, names and addresses; see
docs/console.md.

signals: SIGHUP reads the certificate again; SIGTERM and SIGINT end it.

exit codes: 0 ended by a signal; 1 the address is in use, or a part of it failed so that only a new process helps;
4 settings are wrong, there is no token although other hosts are served, or Litestar is not installed; 5 the
token file cannot be read, or the source is not etcd.
"""
_MISSING = (
    "lbsync console needs Litestar and uvicorn, which are not installed here: "
    "install lbsync with its extra, as in pip install 'lbsync[console]'"
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve the fleet console, a live web page."
    parser.epilog = _EPILOG


def run(args: argparse.Namespace) -> Exit:
    settings = settings_of(args)
    log.setup(settings.log.level, settings.log.format)
    try:
        from lbsync.console import daemon  # noqa: PLC0415 - half a second, and an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "lbsync":
            raise
        raise SettingsError([_MISSING]) from error
    _become(settings)
    with source_opened(settings) as source:
        daemon.run(settings, functools.partial(settings_of, args), source)
    return Exit.OK


def _become(settings: Settings) -> None:
    """As root, go on as lbsync's user, where there is a state directory that tells which that is."""
    if Path(settings.state_dir).is_dir():
        drop_privileges(Path(settings.state_dir))
