"""Raw values from the file, the environment and flags, each with the place it came from."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from lbsync.errors import SettingsError
from lbsync.settings.root import DEFAULT_FILE, Settings

Name = tuple[str, str]
"""Section and field; the section is empty for fields of the top level."""

OUTPUTS: Name = ("", "outputs")
ENVIRONMENTS: Name = ("deployer", "environments")
TABLES: dict[Name, str] = {
    OUTPUTS: "outputs are tables",
    ENVIRONMENTS: "environments are tables",
}
"""Settings that are tables of their own, so that they stand in the file alone."""
CONFIG_VARIABLE = "LBSYNC_CONFIG"
#: Those that have a flag of their own, besides `--set`.
_FLAGS = frozenset(
    {
        ("", "source"),
        ("", "prefix"),
        ("", "state_dir"),
        ("etcd", "endpoints"),
        ("log", "level"),
        ("log", "format"),
    }
)
# Kubernetes writes such variables into every container for each Service of its namespace
# (documentation "Accessing the Service"); for one named `lbsync` they begin like ours.
_SERVICE_LINK = re.compile(
    r"LBSYNC(_[A-Z0-9]+)*?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_[A-Z]+(_[A-Z]+)?)?)\Z"
)
_LINK_VALUE = re.compile(r"((tcp|udp|sctp)(://.*)?|\d+|[0-9a-f.:]+)\Z", re.IGNORECASE)


class Given(msgspec.Struct, frozen=True):
    """One value as somebody wrote it."""

    value: object
    where: str
    """What a message begins with: file and field, variable, or flag."""
    base: Path
    """Where relative paths begin."""
    is_text: bool = False
    """True for variables and flags: lists, numbers and booleans arrive as text."""


class Layer(msgspec.Struct, frozen=True):
    """What one of the three places gave."""

    values: dict[Name, Given]
    problems: list[str]


def _names() -> dict[Name, None]:
    found: dict[Name, None] = {}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            for inner in msgspec.structs.fields(field.type):
                found[field.name, inner.name] = None
        else:
            found["", field.name] = None
    return found


NAMES = tuple(_names())
SECTIONS = tuple(dict.fromkeys(section for section, _ in NAMES if section))


def variable(name: Name) -> str:
    """Return the environment variable of a setting."""
    return "_".join(filter(None, ("LBSYNC", *name))).upper()


def flag(name: Name) -> str:
    """Return the command line's way to write a setting."""
    if name in _FLAGS:
        return "--" + "-".join(filter(None, name)).replace("_", "-")
    return f"--set {'.'.join(filter(None, name))}"


def guess(wrong: str, known: Iterable[str], otherwise: str, begins: str = "") -> str:
    """Return "did you mean …?" when something known is near, else `otherwise`. `begins`: what all names begin with,
    which makes none of them near."""
    rests = [name.removeprefix(begins) for name in known]
    near = difflib.get_close_matches(wrong.removeprefix(begins), rests, n=1)
    return f"did you mean {begins}{near[0]}?" if near else otherwise


def find_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the settings file; None when only the default is asked for and it does not exist."""
    named = config or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    default = Path(DEFAULT_FILE)
    return named or (default if default.exists() else None)


def from_file(path: Path) -> Layer:
    """Read the TOML file. Raises `SettingsError` when it cannot be read at all."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            [f"{path}: there is no such file; create it or name another"]
        ) from error
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{path}: this is no TOML: {error}"]) from error
    layer = Layer({}, [])
    base = path.absolute().parent
    for key, value in table.items():
        if key in SECTIONS:
            _take_section(layer, path, key, value)
        elif ("", key) in NAMES:
            layer.values["", key] = Given(value, f"{path}: {key}", base)
        else:
            known = [*SECTIONS, *(name for section, name in NAMES if not section)]
            cure = guess(key, known, f"the sections are {', '.join(SECTIONS)}")
            layer.problems.append(f"{path}: {key}: no such setting or section; {cure}")
    return layer


def _take_section(layer: Layer, path: Path, section: str, table: object) -> None:
    if not isinstance(table, dict):
        layer.problems.append(f"{path}: {section} is a section: write [{section}] on its own line")
        return
    known = [name for owner, name in NAMES if owner == section]
    for key, value in table.items():
        where = f"{path}: [{section}] {key}"
        if key in known:
            layer.values[section, key] = Given(value, where, path.absolute().parent)
        else:
            cure = guess(key, known, f"[{section}] has {', '.join(known)}")
            layer.problems.append(f"{where}: no such setting; {cure}")


def from_environ(environ: Mapping[str, str]) -> Layer:
    """Read `LBSYNC_<SECTION>_<FIELD>`; a variable nobody knows is a problem."""
    layer = Layer({}, [])
    known = {variable(name): name for name in NAMES if name not in TABLES}
    tables = {variable(name): told for name, told in TABLES.items()}
    for key in sorted(key for key in environ if key.startswith("LBSYNC_")):
        where = f"environment: {key}"
        if key in known:
            layer.values[known[key]] = Given(environ[key], where, Path.cwd(), is_text=True)
        elif key in tables:
            layer.problems.append(f"{where}: {tables[key]}: write them in the settings file")
        elif key != CONFIG_VARIABLE and not _is_service_link(key, environ[key]):
            otherwise = "unset it, or see docs/settings.md for the names there are"
            cure = guess(key, known, otherwise, "LBSYNC_")
            layer.problems.append(f"{where}: no such setting; {cure}")
    return layer


def _is_service_link(key: str, value: str) -> bool:
    return bool(_SERVICE_LINK.match(key) and _LINK_VALUE.match(value))


def from_flags(flags: Mapping[str, str]) -> Layer:
    """Read what the command line set: `agent.debounce` or `source` to text."""
    layer = Layer({}, [])
    for key, value in flags.items():
        section, _, field = key.rpartition(".")
        name = (section, field)
        if name in NAMES and name not in TABLES:
            layer.values[name] = Given(value, flag(name), Path(os.curdir).absolute(), is_text=True)
        else:
            known = [".".join(filter(None, name)) for name in NAMES if name not in TABLES]
            cure = guess(key, known, "write SECTION.FIELD=VALUE")
            layer.problems.append(f"--set {key}: no such setting; {cure}")
    return layer
