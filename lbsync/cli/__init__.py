"""The `lbsync` command: one module per subcommand, wired here to the rooms below.

Subcommands are loaded when they are asked for: `lbsync --help` and `lbsync version` must not wait
for gRPC and Jinja2.
"""

from lbsync.cli.main import main

__all__ = ["main"]
