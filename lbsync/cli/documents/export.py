"""`lbsync export`: prints keys as documents for `lbsync apply`."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from lbsync.cli.context import settings_of, source_opened
from lbsync.cli.service.writing import demand_contract
from lbsync.cli.terminal import Terminal
from lbsync.clients.files.contents import dump_yaml
from lbsync.errors import Exit, Rejected
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import reading
from lbsync.schema.applying import in_order
from lbsync.schema.keys import ServiceId, parse_key
from lbsync.schema.service_document import is_same
from lbsync.values.names import is_name

_EPILOG = """\
examples:
  lbsync export > all.yaml             all services, and settings/global
  lbsync export shop                   all services of a namespace
  lbsync export shop/cart -o json
  lbsync export shop | ssh other lbsync apply -f -

Applying an unmodified export changes nothing. The output is also valid for the source file:FILE, so 'lbsync
render --source file:all.yaml' shows the resulting configuration. The field `source`, which names a key's owner,
is included.

exit codes: 0 printed; 4 settings are wrong, or templates.contract is false; 5 there is no such service, or a
key was omitted because it is not a JSON object; 6 the source does not answer.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print services, and settings/global, as documents that 'apply' takes."
    parser.epilog = _EPILOG
    parser.add_argument(
        "what",
        nargs="?",
        metavar="NAMESPACE[/NAME]",
        type=_what,
        help="only these services (default: all)",
    )
    parser.add_argument(
        "-o", "--output", choices=("yaml", "json"), default="yaml", help="yaml (default), or json"
    )


def run(args: argparse.Namespace) -> Exit:
    """Print them. Raises `Rejected` if nothing of that name is stored."""
    settings = settings_of(args)
    demand_contract(settings)
    with source_opened(settings) as source:
        items = _chosen(source.snapshot(), args.what or "")
    if args.what and not items:
        raise Rejected(f"{args.what}: there is no such service; 'lbsync service ls' shows all")
    exported = text_of(items, args.output)
    for key, why in exported.left_out.items():
        Terminal(sys.stderr).line(f"lbsync: {key}: left out: {why}")
    terminal = Terminal()
    for text in exported.texts:
        terminal.write(text)
    return Exit.REJECTED if exported.left_out else Exit.OK


class Exported(msgspec.Struct, frozen=True):
    """Documents as text."""

    texts: Iterator[str]
    """Together the whole of it; the first lines come at once."""
    left_out: dict[str, str]
    """Key to why it is not in it."""


def text_of(items: Sequence[Item], form: str) -> Exported:
    """Return stored keys as documents, in YAML or JSON, in which a terminal finds nothing to obey."""
    values: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for item in items:
        try:
            values[item.key] = _object(item)
        except reading.Unreadable as error:
            left_out[item.key] = str(error)
    if form == "yaml":
        return Exported(_documents(values), left_out)
    readable = json.dumps(values, ensure_ascii=False)
    text = json.dumps(values, indent=2, ensure_ascii=not readable.isprintable())
    return Exported(iter([f"{text}\n"]), left_out)


def _chosen(snapshot: Snapshot, what: str) -> list[Item]:
    """Return what is stored of a namespace, of a service, or of all, in the order of services."""
    namespace, _, name = what.partition("/")
    found = []
    for item in snapshot.items.values():
        try:
            key = parse_key(item.key)
        except ValueError:
            continue
        if key is None or (what and key.service is None):
            continue
        service = key.service
        if service and (namespace not in ("", service.ns) or name not in ("", service.name)):
            continue
        found.append(item)
    return sorted(found, key=lambda item: in_order(item.key))


def _object(item: Item) -> dict[str, Any]:
    found = reading.strict(item.value)
    if not isinstance(found, dict):
        raise reading.Unreadable("it is no JSON object")
    again = reading.total(lambda: msgspec.json.encode(found))
    if not is_same(item.value, again):
        raise reading.Unreadable("it has numbers that no document keeps as they are")
    return found


def _documents(values: dict[str, Any]) -> Iterator[str]:
    """Yield the text of each key, so that the first lines come at once."""
    for key, value in values.items():
        yield dump_yaml({key: value}, printable=True).decode()
    if not values:
        yield "{}\n"


def _what(text: str) -> str:
    if is_name(text):
        return text
    try:
        return str(ServiceId.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
