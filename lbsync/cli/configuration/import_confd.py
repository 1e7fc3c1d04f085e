"""`lbsync import-confd`."""

import argparse
from pathlib import Path

from lbsync import atomic
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit, Rejected, cannot
from lbsync.migration.convert import Conversion, convert

_EPILOG = """\
examples:
  lbsync import-confd /etc/confd                     show what would be written, and what needs manual work
  lbsync import-confd /etc/confd --output /etc/lbsync/imported
  lbsync render --dry-run --config /etc/lbsync/imported/lbsync.toml

A converted template prints exactly what confd printed from the same keys, except that values in haproxy.cfg are
quoted unless they are a plain word. Constructs without a counterpart are listed with file and line, and appear
in the result as `not_imported("…")`, which refuses to render.

exit codes: 0 everything is converted, 5 something needs manual work; the rest is converted and written.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Convert confd's conf.d/ and templates/ to settings and Jinja templates."
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
        help="the value of confd's -prefix; it replaces the prefixes in its files",
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
            raise Rejected(f"{path}: {cannot('be written', error)}") from error
