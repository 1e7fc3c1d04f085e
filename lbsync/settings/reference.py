"""docs/settings.md, made from the structs themselves: `python -m lbsync.settings.reference`."""

import json
import sys
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from lbsync.settings.convert import bare, is_optional, meta
from lbsync.settings.deployer import Environment
from lbsync.settings.outputs import Output
from lbsync.settings.read import ENVIRONMENTS, OUTPUTS, SECTIONS, variable
from lbsync.settings.root import DEFAULT_FILE, Settings
from lbsync.values.basic import Command, FileMode

_KIND = {
    "Bind": "address:port",
    "Command": "command",
    "DeployerUrl": "URL",
    "Duration": "duration",
    "Endpoint": "URL",
    "FileMode": "octal mode",
    "FilePath": "path",
    "Host": "host",
    "GelfTarget": "URL",
    "HostClaim": "NAMESPACE=HOST",
    "HostName": "name",
    "HttpBind": "address:port or socket",
    "IpAddress": "IP address",
    "LabelValue": "label=value",
    "LogTarget": "log target",
    "MediaType": "media type",
    "Name": "name",
    "NameServer": "name server",
    "Network": "network",
    "Pause": "duration or 0",
    "PortClaim": "NAMESPACE=PORTS",
    "Prefix": "prefix",
    "Program": "path",
    "ServerClaim": "NAMESPACE=NETWORK",
    "SourceSpec": "source",
    "StoreCheck": "NAME=URL",
    "bool": "true or false",
    "int": "number",
    "str": "string",
}
_HEAD = """# Settings

<!-- Made by `python -m lbsync.settings.reference > docs/settings.md`; edit lbsync/settings instead. -->
"""
INTRODUCTION = f"""\
Settings come from one TOML file, `{DEFAULT_FILE}` unless `--config` or `LBSYNC_CONFIG` names another, then
from environment variables, then from flags; later ones override earlier ones. The default file may be absent; a
file that is named must exist.

* An environment variable is `LBSYNC_<SECTION>_<FIELD>`, for example `{variable(("agent", "debounce"))}=20ms`;
  top-level fields have no section: `{variable(("", "prefix"))}=/lbsync/`. Separate list items with commas.
* On the command line, any setting can be given as `--set agent.debounce=20ms`; some have their own flag, see
  `lbsync --help`.
* A duration is a number with a unit: `50ms`, `2s`, `5m`, `1h`, `1d`. A number without a unit is refused.
* A relative path in the file is relative to the file's directory; elsewhere, to the working directory.
* `""` means "none" if the type below says "or none" or the default is `""`.
* In the descriptions below, a value followed by a colon gives the reason for the default.
* Unknown keys, sections and `LBSYNC_…` variables are errors. `lbsync check` reports all errors together.
"""


def _literal(value: Any) -> str:
    """Return a default as TOML writes it."""
    if value is None:
        return '""'
    if isinstance(value, (tuple, Command)):
        return "[" + ", ".join(_literal(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if type(value) is int:
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)


def _kind(kind: Any) -> str:
    inner = bare(kind)
    if typing.get_origin(inner) is tuple:
        return f"list of {_kind(typing.get_args(inner)[0])}"
    if typing.get_origin(inner) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(inner))
    return _KIND[inner.__name__]


def _range(kind: Any) -> str:
    note = meta(kind)
    extra = note.extra or {}
    low, high = extra.get("min", note.ge), extra.get("max", note.le)
    return f" Range: {low} to {high}." if low is not None and high is not None else ""


class Field(NamedTuple):
    """One setting; the texts are Markdown."""

    name: str
    kind: str
    default: str
    meaning: str


class Section(NamedTuple):
    """What stands under one heading of the file."""

    title: str
    intro: str
    fields: list[Field]


def _fields(owner: type[msgspec.Struct], skip: tuple[str, ...] = ()) -> Iterator[Field]:
    for field in msgspec.structs.fields(owner):
        if field.name in skip:
            continue
        default = "required" if field.required else f"`{_literal(field.default)}`"
        if isinstance(field.default, FileMode):
            default = f'`"{field.default}"`'
        kind = _kind(field.type) + (" or none" if is_optional(field.type) else "")
        text = f"{meta(field.type).description}{_range(field.type)}"
        yield Field(field.name, kind, default, text)


def _table(fields: list[Field]) -> list[str]:
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, kind, default, meaning in fields:
        text = meaning.replace("|", "\\|")
        lines.append(f"| `{name}` | {kind} | {default} | {text} |")
    return lines


def _intro(owner: type[msgspec.Struct]) -> str:
    return " ".join((owner.__doc__ or "").split())


def sections() -> Iterator[Section]:
    """Yield all settings, in the order of the page."""
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    top = [*_fields(Settings, skip=(*SECTIONS, OUTPUTS[1]))]
    yield Section("Top level", _intro(Settings), top)
    for name in SECTIONS:
        own = [*_fields(types[name], skip=(ENVIRONMENTS[1],))]
        yield Section(f"[{name}]", _intro(types[name]), own)
        if name == "templates":
            text = f"{_intro(Output)} Repeat the section for each file. Only available in the TOML file."
            yield Section("[[outputs]]", text, [*_fields(Output)])
        if name == ENVIRONMENTS[0]:
            text = f"{_intro(Environment)} Repeat the section for each environment. Only available in the TOML file."
            yield Section("[deployer.environments.NAME]", text, [*_fields(Environment)])


def render() -> str:
    """Return the whole page."""
    lines = [_HEAD, INTRODUCTION]
    for title, intro, fields in sections():
        lines += [f"## {title}", "", intro, "", *_table(fields), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render())
