"""Writes the settings file that stands for a set-up of confd."""

import json
import re
import shlex
from collections.abc import Sequence

import msgspec

from lbsync.migration.confd_files import Backend, Resource
from lbsync.migration.jinja_writer import Marks
from lbsync.migration.remarks import Remarks

#: What only a shell understands; everything else is a program and its words.
_SHELL = re.compile(r"[|&;<>$`*?~()#\n]|\{(?!\{)|\|\|")
_GO_FIELD = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")
_HAPROXY_CFG = "haproxy.cfg"


class Converted(msgspec.Struct, frozen=True):
    """One resource, and where its template went."""

    resource: Resource
    template: str
    """The new file's name, relative to the directory of templates."""
    marks: Marks
    is_haproxy: bool
    """It is the configuration that HAProxy is started with."""
    remarks: Remarks


def write(backend: Backend, prefix: str, converted: Sequence[Converted]) -> str:
    """Return the text of lbsync.toml. `prefix` is "" or "/a/b"."""
    has_haproxy = any(each.is_haproxy for each in converted)
    parts = [
        "# Made from a set-up of confd. docs/settings.md explains every setting; `lbsync check` finds what is wrong.",
        'source = "etcd"',
        f"prefix = {_text(prefix + '/')}",
        "",
        *_etcd(backend),
        "[templates]",
        'directory = "templates"',
    ]
    if has_haproxy:
        parts += [
            "# The keys below the prefix keep their own layout; haproxy.cfg is made by a template of yours.",
            "packaged = false",
            "contract = false",
        ]
    for each in converted:
        parts += ["", *_output(each)]
    return "\n".join(parts) + "\n"


def _etcd(backend: Backend) -> list[str]:
    lines = ["[etcd]"]
    if backend.nodes:
        nodes = ", ".join(
            _text(node if "://" in node else f"http://{node}") for node in backend.nodes
        )
        lines.append(f"endpoints = [{nodes}]")
    for name in ("ca", "cert", "key", "user"):
        if value := getattr(backend, name):
            lines.append(f"{name} = {_text(value)}")
    if backend.user:
        lines.append('password_file = "/etc/lbsync/etcd-password"')
    return [*lines, ""]


def _output(each: Converted) -> list[str]:
    resource, remarks = each.resource, each.remarks
    lines = ["[[outputs]]", f"template = {_text(each.template)}"]
    if each.is_haproxy:
        lines += [f"path = {_text(_HAPROXY_CFG)}", 'quote = "haproxy"']
        remarks.tell(
            0,
            f"{resource.dest} becomes live/haproxy.cfg below state_dir: start HAProxy with that one",
        )
        for name, command in (("check_cmd", resource.check), ("reload_cmd", resource.reload)):
            if command:
                remarks.tell(
                    0,
                    f"{name} {command!r} is left out: the agent validates and reloads HAProxy itself",
                )
    else:
        style = "haproxy" if _is_about_haproxy(resource) else "none"
        lines += [f"path = {_text(resource.dest)}", f'quote = "{style}"']
        if style == "none":
            remarks.tell(
                0,
                'values are printed as they are stored, as confd did; quote = "strict" would refuse those that are '
                "more than a plain word",
            )
        lines += [
            f"{name} = {_text(value)}"
            for name in ("owner", "group")
            if (value := getattr(resource, name))
        ]
        lines += _mode(resource, remarks)
        lines += _command("check", resource.check, {"src": "{src}"}, remarks)
        lines += _command("reload", resource.reload, {"dest": "{dest}"}, remarks)
    (block_left, block_right), (comment_left, comment_right) = each.marks.block, each.marks.comment
    if each.marks != Marks():
        lines += [
            f"block_left = {_text(block_left)}",
            f"block_right = {_text(block_right)}",
            f"comment_left = {_text(comment_left)}",
            f"comment_right = {_text(comment_right)}",
        ]
    return lines


def _mode(resource: Resource, remarks: Remarks) -> list[str]:
    if not resource.mode:
        return []
    if re.fullmatch(r"0?[0-7]{3}", resource.mode):
        return [f"mode = {_text(resource.mode)}"]
    remarks.leave_open(0, f"mode {resource.mode!r} is no mode of three octal digits; left out")
    return []


def _command(name: str, line: str, known: dict[str, str], remarks: Remarks) -> list[str]:
    """Return a command as words; one that needs a shell is given to one."""
    if not line:
        return []
    unknown = [field for field in _GO_FIELD.findall(line) if field not in known]
    if unknown:
        offered = " and ".join(known.values())
        remarks.leave_open(
            0, f"{name}_cmd names {{{{.{unknown[0]}}}}}; `{name}` offers {offered} alone"
        )
        return []
    plain = _GO_FIELD.sub(lambda match: known[match[1]], line)
    needs_shell = _SHELL.search(_GO_FIELD.sub("", line)) is not None
    try:
        words = ["sh", "-c", plain] if needs_shell else shlex.split(plain)
    except ValueError:
        words = ["sh", "-c", plain]
    return [f"{name} = [{', '.join(map(_text, words))}]"]


def _is_about_haproxy(resource: Resource) -> bool:
    """Tell whether a file of several is HAProxy's, to be quoted by its rules."""
    return resource.dest.endswith(".cfg") and "haproxy" in resource.dest + resource.check


def _text(value: str) -> str:
    """Write a text as TOML does; its escapes are those of JSON."""
    return json.dumps(value, ensure_ascii=False)
