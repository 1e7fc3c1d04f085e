"""Settings: one TOML file, `LBSYNC_…` variables, flags; frozen, typed, all problems at once.

Nothing here is read at import; `load` is called once by the command line and the result is handed
down.
"""

from lbsync.settings.console import Console
from lbsync.settings.deployer import Deployer, Environment
from lbsync.settings.general import Agent, Etcd, Log
from lbsync.settings.haproxy import Haproxy, Proxy
from lbsync.settings.load import find_state_dir, first_line, load, password_of
from lbsync.settings.outputs import Output, Templates
from lbsync.settings.publisher import Publisher
from lbsync.settings.root import DEFAULT_FILE, Settings
from lbsync.values.addresses import (
    Bind,
    Endpoint,
    GelfTarget,
    HttpBind,
    IpAddress,
    LogTarget,
    NameServer,
    Network,
)
from lbsync.values.basic import Command, Duration, FileMode, FilePath
from lbsync.values.claims import Claims

__all__ = [
    "DEFAULT_FILE",
    "Agent",
    "Bind",
    "Claims",
    "Command",
    "Console",
    "Deployer",
    "Duration",
    "Endpoint",
    "Environment",
    "Etcd",
    "FileMode",
    "FilePath",
    "GelfTarget",
    "Haproxy",
    "HttpBind",
    "IpAddress",
    "Log",
    "LogTarget",
    "NameServer",
    "Network",
    "Output",
    "Proxy",
    "Publisher",
    "Settings",
    "Templates",
    "find_state_dir",
    "first_line",
    "load",
    "password_of",
]
