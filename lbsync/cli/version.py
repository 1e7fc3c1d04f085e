"""`lbsync version`."""

import argparse
import platform
from pathlib import Path

import lbsync
from lbsync.cli.terminal import Terminal, to_json
from lbsync.errors import Exit


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show which lbsync this is, and where it was installed."
    parser.add_argument("--output", choices=("text", "json"), default="text", help="text or JSON")


def run(args: argparse.Namespace) -> Exit:
    place = str(Path(lbsync.__file__).parent)
    python = platform.python_version()
    if args.output == "json":
        facts = {"version": lbsync.__version__, "python": python, "path": place}
        Terminal().block(to_json(facts))
    else:
        Terminal().line(f"lbsync {lbsync.__version__} (Python {python}, {place})")
    return Exit.OK
