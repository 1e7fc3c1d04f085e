"""The `lbsync` command: one module per subcommand, connected here to the packages below.

Subcommands are loaded on demand, so that `lbsync --help` and `lbsync version` do not wait for gRPC and Jinja2.
"""

from lbsync.cli.main import main

__all__ = ["main"]
