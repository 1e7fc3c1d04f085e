"""Converts a whole directory of confd."""

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from lbsync.errors import Rejected
from lbsync.migration import confd_files, go_parser, jinja_writer, settings_text
from lbsync.migration.confd_files import Backend, Resource
from lbsync.migration.go_ast import Text
from lbsync.migration.go_lexer import GoSyntaxError
from lbsync.migration.jinja_writer import Marks
from lbsync.migration.remarks import Remark, Remarks
from lbsync.migration.settings_text import Converted

_BACKENDS = frozenset({"etcd", "etcdv3", ""})


class Conversion(msgspec.Struct, frozen=True):
    """What a set-up of confd becomes."""

    files: Mapping[str, str]
    """Name relative to the directory of the settings → text."""
    remarks: tuple[Remark, ...]
    unread: tuple[str, ...]
    """What could not be read at all, a sentence each."""


def convert(directory: Path, prefix: str | None = None) -> Conversion:
    """Convert `directory`, which holds conf.d/ and templates/.

    `prefix`: confd's own `-prefix`, which takes the place of those in its files. Raises `Rejected` when there
    is nothing to convert.
    """
    files = sorted((directory / "conf.d").glob("*.toml"))
    if not files:
        raise Rejected(
            f"{directory}: no conf.d/*.toml in it; name the directory that confd calls confdir"
        )
    notes: list[Remarks] = []
    unread: list[str] = []
    backend = _backend(directory / "confd.toml", notes)
    resources: list[tuple[Resource, Remarks]] = []
    for file in files:
        notes.append(Remarks(file))
        try:
            resources.append((confd_files.read_resource(file, notes[-1]), notes[-1]))
        except Rejected as error:
            unread.append(str(error))
    whole = confd_files.clean_prefix(prefix) if prefix is not None else backend.prefix
    prefixes = [whole or resource.prefix for resource, _ in resources]
    common = _common(prefixes)
    texts: dict[str, str] = {}
    converted: list[Converted] = []
    main = _main(resources)
    for (resource, remarks), own in zip(resources, prefixes, strict=True):
        template = f"{PurePosixPath(resource.src).with_suffix('')}.j2"
        notes.append(Remarks(directory / "templates" / resource.src))
        try:
            text, marks = _template(notes[-1], own.removeprefix(common))
        except (Rejected, OSError, UnicodeDecodeError, RecursionError) as error:
            unread.append(_sentence(notes[-1].file, error))
            continue
        if texts.setdefault(f"templates/{template}", text) != text:
            unread.append(
                f"{resource.file}: {resource.src} is used below two prefixes; give each its own copy"
            )
            continue
        converted.append(Converted(resource, template, marks, resource is main, remarks))
    if main is None:
        notes[0].tell(
            0, "no resource makes haproxy.cfg: lbsync's packaged one stands beside these files"
        )
    texts["lbsync.toml"] = settings_text.write(backend, common, converted)
    told = tuple(remark for each in notes for remark in each.all)
    return Conversion(texts, told, tuple(unread))


def _sentence(file: Path, error: Exception) -> str:
    if isinstance(error, GoSyntaxError):
        return f"{file}:{error.line}: {error.reason}"
    if isinstance(error, RecursionError):
        return f"{file}: is nested too deeply to be converted; write it in smaller parts"
    if isinstance(error, UnicodeDecodeError):
        return f"{file}: is not UTF-8 at byte {error.start}"
    return (
        f"{file}: cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
    )


def _backend(file: Path, notes: list[Remarks]) -> Backend:
    notes.append(Remarks(file))
    if not file.exists():
        notes[-1].tell(0, "is not there: name the members of etcd in [etcd] endpoints")
        return Backend()
    backend = confd_files.read_backend(file, notes[-1])
    if backend.name not in _BACKENDS:
        notes[-1].leave_open(
            0, f"lbsync reads etcd (version 3) or files, not {backend.name}: copy the keys there"
        )
    elif backend.name == "etcd":
        notes[-1].tell(
            0,
            "keys of etcd's version 2 must be there by version 3: `etcdctl migrate`, or write them anew",
        )
    return backend


def _main(resources: Sequence[tuple[Resource, Remarks]]) -> Resource | None:
    """Return the one that makes HAProxy's configuration."""
    named = [each for each, _ in resources if posixpath.basename(each.dest) == "haproxy.cfg"]
    checked = [
        each for each, _ in resources if "haproxy" in each.check and each.dest.endswith(".cfg")
    ]
    return next(iter(named + checked), None)


def _common(prefixes: Sequence[str]) -> str:
    """Return what all prefixes begin with, whole names only."""
    if not prefixes:
        return ""
    common = posixpath.commonpath([prefix or "/" for prefix in prefixes])
    return "" if common == "/" else common


def _template(remarks: Remarks, below: str) -> tuple[str, Marks]:
    # Jinja makes one line feed of the others; read as they are, so that this can be told.
    source = remarks.file.read_bytes().decode()
    if "\r" in source:
        remarks.tell(0, "its lines end with CR LF; those of the result end with LF")
    nodes = go_parser.parse(source.replace("\r\n", "\n"))
    if any(isinstance(node, Text) and "\0" in node.text for node in nodes):
        raise Rejected(f"{remarks.file}: holds a zero byte")
    marks = jinja_writer.choose_marks(nodes)
    return jinja_writer.write(nodes, marks, remarks, below), marks
