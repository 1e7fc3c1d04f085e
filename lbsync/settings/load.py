"""From file, environment and flags to one `Settings`, or all that is wrong with them.

Precedence in one sentence: a default gives way to the file, the file to `LBSYNC_…` variables,
those to flags.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from lbsync.errors import SettingsError
from lbsync.settings.convert import convert
from lbsync.settings.deployer import Environment
from lbsync.settings.general import Etcd
from lbsync.settings.outputs import Output
from lbsync.settings.read import (
    ENVIRONMENTS,
    NAMES,
    OUTPUTS,
    SECTIONS,
    Given,
    Name,
    find_file,
    from_environ,
    from_file,
    from_flags,
    guess,
)
from lbsync.settings.root import Settings
from lbsync.settings.rules import contradictions
from lbsync.values.basic import NAME, FilePath, HostName

T = TypeVar("T", Output, Environment)


def load(
    config: Path | None = None,
    *,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings that hold.

    `config` names the file; without it `LBSYNC_CONFIG` does, and without that the default file is
    read if it exists. `flags` maps `section.field` (or a top-level field) to text. Raises
    `SettingsError` with every problem found.
    """
    environ = os.environ if environ is None else environ
    path = find_file(config, environ)
    given: dict[Name, Given] = {}
    problems: list[str] = []
    layers = [from_environ(environ), from_flags(flags or {})]
    if path is not None:
        try:
            layers.insert(0, from_file(path))
        except SettingsError as error:
            problems += error.problems
    for layer in layers:
        given |= layer.values
        problems += layer.problems
    values, broken = _convert_all(given, problems)
    settings = _assemble(values, problems)
    # A rule between fields would only repeat what is already said of a broken one.
    problems += [text for names, text in contradictions(settings, given) if not broken & names]
    if problems:
        raise SettingsError(problems)
    return settings


def find_state_dir(
    config: Path | None = None,
    *,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> FilePath:
    """Return where state is kept, as `load` would, whatever else is wrong with the settings.

    The default where the settings file alone could tell and cannot be read. Raises nothing.
    """
    environ = os.environ if environ is None else environ
    path = find_file(config, environ)
    layers = [from_flags(flags or {}), from_environ(environ)]
    if path is not None:
        with contextlib.suppress(SettingsError):
            layers.append(from_file(path))
    for layer in layers:
        with contextlib.suppress(KeyError, ValueError):
            place: FilePath = convert(layer.values["", "state_dir"], FilePath)
            return place
    return Settings().state_dir


def password_of(etcd: Etcd) -> str | None:
    """Return the first line of `password_file`; None without a user. Raises `SettingsError`."""
    if not etcd.user or etcd.password_file is None:
        return None
    place = f"[etcd] password_file: {etcd.password_file}"
    line = first_line(etcd.password_file, place)
    if not line:
        raise SettingsError([f"{place} has an empty first line; write the password there"])
    return line


def first_line(path: FilePath, place: str) -> str:
    """Return the first line of a file that holds a secret. `place`: setting and file, for the error. Raises
    `SettingsError`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"{place} cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{place} is no text in UTF-8"]) from error
    return text.partition("\n")[0].rstrip("\r")


def _convert_all(
    given: Mapping[Name, Given], problems: list[str]
) -> tuple[dict[Name, Any], set[Name]]:
    """Return the values that are right and the names of those that are not."""
    kinds = {
        (section, field.name): field.type
        for section, owner in _OWNERS.items()
        for field in msgspec.structs.fields(owner)
    }
    values: dict[Name, Any] = {}
    for name in NAMES:
        if name not in given:
            continue
        if name == OUTPUTS:
            values[name] = _outputs(given[name], problems)
            continue
        if name == ENVIRONMENTS:
            values[name] = _environments(given[name], problems)
            continue
        try:
            values[name] = convert(given[name], kinds[name])
        except ValueError as error:
            problems.append(f"{given[name].where}: {error}")
    return values, {name for name in given if name not in values}


def _assemble(values: Mapping[Name, Any], problems: list[str]) -> Settings:
    def fields(section: str) -> dict[str, Any]:
        return {field: value for (owner, field), value in values.items() if owner == section}

    sections: dict[str, Any] = {name: _OWNERS[name](**fields(name)) for name in SECTIONS}
    settings = Settings(**fields(""), **sections)
    if settings.host:
        return settings
    system = os.uname().nodename
    try:
        return msgspec.structs.replace(settings, host=HostName.parse(system))
    except ValueError as error:
        problems.append(f"host: the system's host name does not do: {error}")
        return settings


def _outputs(given: Given, problems: list[str]) -> tuple[Output, ...]:
    """Read the array of tables, field by field, so that each wrong one is reported."""
    raw = given.value
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        problems.append(f"{given.where}: write each output as a table that begins with [[outputs]]")
        return ()
    file = given.where.removesuffix(": outputs")
    found = (
        _table(Output, entry, f"{file}: [[outputs]] {n}", given.base, problems)
        for n, entry in enumerate(raw, 1)
    )
    return tuple(output for output in found if output is not None)


def _environments(given: Given, problems: list[str]) -> dict[str, Environment]:
    """Read the tables of other deployers by their names."""
    raw, title = given.value, "[deployer.environments.NAME]"
    if not isinstance(raw, dict) or not all(isinstance(entry, dict) for entry in raw.values()):
        problems.append(
            f"{given.where}: write each environment as a table that begins with {title}"
        )
        return {}
    file = given.where.removesuffix(": [deployer] environments")
    found: dict[str, Environment] = {}
    for name, entry in raw.items():
        where = f"{file}: [deployer.environments.{name}]"
        if not NAME.match(name):
            problems.append(
                f"{where}: the name does not do; use at most 63 lower-case letters, digits, - and ."
            )
        elif (one := _table(Environment, entry, where, given.base, problems)) is not None:
            found[name] = one
    return found


def _table(
    kind: type[T], entry: dict[str, object], title: str, base: Path, problems: list[str]
) -> T | None:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    before = len(problems)
    for key, value in entry.items():
        where = f"{title} {key}"
        if key not in fields:
            problems.append(f"{where}: no such setting; {guess(key, fields, ', '.join(fields))}")
            continue
        try:
            values[key] = convert(Given(value, where, base), fields[key].type)
        except ValueError as error:
            problems.append(f"{where}: {error}")
    for name, field in fields.items():
        if field.required and name not in entry:
            problems.append(f"{title} {name}: required, but missing")
    return kind(**values) if len(problems) == before else None


_OWNERS: dict[str, type[msgspec.Struct]] = {"": Settings} | {
    field.name: field.type for field in msgspec.structs.fields(Settings) if field.name in SECTIONS
}
