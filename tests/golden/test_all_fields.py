"""A field that is new is written in `all-fields`, and shows in what is made of it.

So nobody can add one to a record and forget its template, or leave it out of what the reviews read.
"""

import copy
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.cli.configuration.plan import make_builder, plan_with
from lbsync.schema.decode import RECORD_OF
from lbsync.settings import load
from lbsync.settings.haproxy import Haproxy, Proxy
from tests.builders import a_snapshot
from tests.contract_fields import fields

HERE = Path(__file__).parent
KEYS: dict[str, Any] = yaml.safe_load((HERE / "all-fields.yaml").read_text())
SETTINGS: dict[str, dict[str, Any]] = tomllib.loads((HERE / "all-fields.toml").read_text())

#: Kind of key and path of each field.
FIELDS = [(kind, path) for kind, record in RECORD_OF.items() for path, _, _ in fields(record)]
#: Who wrote a key is for people and publishers; HAProxy is not told.
NOT_PRINTED = {
    ("services", "owner"),
    ("services", "source"),
    ("endpoints", "source"),
    ("routes", "source"),
}
#: How the agent finds, reloads and judges the process; the configuration has nothing of it.
OF_THE_AGENT = {
    "binary",
    "master_socket",
    "reload",
    "reload_command",
    "pid_file",
    "check_timeout",
    "reload_timeout",
}
NAMES = [
    (section, name)
    for section, kind in (("proxy", Proxy), ("haproxy", Haproxy))
    for name in kind.__struct_fields__
    if (section, name) not in {("haproxy", other) for other in OF_THE_AGENT}
]


def written(value: object, path: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each place where the field is written: the object that has it, and its name there."""
    if isinstance(value, list):
        for item in value:
            yield from written(item, path)
        return
    if not isinstance(value, dict):
        return
    first, _, rest = path.replace("[]", "").partition(".")
    if first in value:
        if rest:
            yield from written(value[first], rest)
        else:
            yield value, first


def places(keys: dict[str, Any], kind: str, path: str) -> list[tuple[dict[str, Any], str]]:
    return [
        found
        for key, value in keys.items()
        if key.startswith(f"{kind}/")
        for found in written(value, path)
    ]


def digest(settler: DesiredBuilder, keys: dict[str, Any]) -> str | None:
    """Of all files that are made; None where a key is refused."""
    plan = plan_with(settler, a_snapshot(keys), {})
    return None if plan.desired.problems else plan.rendered.digest


def settler_of(values: dict[str, dict[str, Any]], folder: Path) -> DesiredBuilder:
    lines = []
    for section, settings in values.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    config = folder / "all-fields.toml"
    config.write_text("\n".join(lines))
    newest = str(folder / "newest")
    flags = {"host": "lb-1", "claims.hosts": "*=*", "haproxy.binary": newest}
    return make_builder(load(config, flags=flags, environ={}))


class Whole(NamedTuple):
    """`all-fields` as it is written, and where its settings are read."""

    settler: DesiredBuilder
    digest: str
    folder: Path


@pytest.fixture(scope="module")
def whole(workshop: Path) -> Whole:
    settler = settler_of(SETTINGS, workshop)
    made = digest(settler, KEYS)
    assert made is not None
    return Whole(settler, made, workshop)


@pytest.mark.parametrize(("kind", "path"), FIELDS)
def test_each_field_is_written_and_is_missed_where_it_is_not(
    kind: str, path: str, whole: Whole
) -> None:
    count = len(places(KEYS, kind, path))
    assert count, f"write {path} into a {kind} key of all-fields.yaml, then: make golden"
    if (kind, path) in NOT_PRINTED:
        return
    for number in range(count):
        keys = copy.deepcopy(KEYS)
        holder, name = places(keys, kind, path)[number]
        del holder[name]
        if digest(whole.settler, keys) != whole.digest:
            return
    pytest.fail(f"no template prints {path} of {kind}, or all-fields.yaml has its default")


@pytest.mark.parametrize(("section", "name"), NAMES)
def test_each_setting_is_written_and_is_missed_where_it_is_not(
    section: str, name: str, whole: Whole
) -> None:
    assert name in SETTINGS[section], (
        f"write {name} into [{section}] of all-fields.toml, then: make golden; "
        "or, where the configuration has nothing of it, into OF_THE_AGENT"
    )
    settings = copy.deepcopy(SETTINGS)
    del settings[section][name]
    without = digest(settler_of(settings, whole.folder), KEYS)
    assert without != whole.digest, f"no template prints {section}.{name}"
