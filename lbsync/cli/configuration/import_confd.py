"""`lbsync import-confd`."""

import argparse
from pathlib import Path

from lbsync import atomic
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit, Rejected
from lbsync.migration.convert import Conversion, convert

_EPILOG = """\
examples:
  lbsync import-confd /etc/confd                     what would be written, and what needs a person
  lbsync import-confd /etc/confd --output /etc/lbsync/imported
  lbsync render --dry-run --config /etc/lbsync/imported/lbsync.toml

A converted template prints what confd printed from the same keys, byte for byte, except that values printed
into haproxy.cfg are quoted where they are more than a plain word. What has no counterpart is listed with file
and line, and stands in the result as `not_imported("…")`, which refuses to render.

exit codes: 0 all is converted, 5 a person must mend something; what could be converted is written all the same.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Turn confd's conf.d/ and templates/ into settings and Jinja templates."
    parser.epilog = _EPILOG
    parser.add_argument(
        "confdir", type=Path, metavar="CONFDIR", help="confd's directory, often /etc/confd"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write lbsync.toml and templates/ there"
    )
    parser.add_argument(
        "--confd-prefix",
        metavar="PREFIX",
        help="what confd is started with as -prefix; it replaces those in its files",
    )


def run(args: argparse.Namespace) -> Exit:
    conversion = convert(args.confdir, args.confd_prefix)
    terminal = Terminal()
    if args.output:
        _write(args.output, conversion)
    for name in sorted(conversion.files):
        terminal.line(
            f"{'wrote' if args.output else 'would write'} {args.output / name if args.output else name}"
        )
    told = [str(remark) for remark in conversion.remarks if not remark.is_open]
    to_do = [*conversion.unread, *(str(remark) for remark in conversion.remarks if remark.is_open)]
    _list(terminal, "to know:", told)
    _list(terminal, terminal.paint("to mend by hand:", "red"), to_do)
    if not args.output:
        terminal.line("nothing was written; --output DIR writes it")
    return Exit.REJECTED if to_do else Exit.OK


def _list(terminal: Terminal, title: str, lines: list[str]) -> None:
    if lines:
        terminal.line(title)
    for line in lines:
        terminal.line(f"  {line}")


def _write(directory: Path, conversion: Conversion) -> None:
    """Write all files. Raises `Rejected` before the first one when one of them is there already."""
    for name in conversion.files:
        if (directory / name).exists():
            raise Rejected(
                f"{directory / name} is there already; nothing was written: name an empty directory"
            )
    for name, text in conversion.files.items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.replace_file(path, text.encode())
        except OSError as error:
            raise Rejected(f"{path}: cannot be written ({error.strerror})") from error
