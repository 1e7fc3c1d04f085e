"""docs/etcd-contract.md says of each field what the records say, and its examples are accepted."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import NODEFAULT, UNSET, inspect

from lbsync.errors import BadKey
from lbsync.model.record import Record
from lbsync.model.records import EndpointsRecord, GlobalRecord, RouteRecord, ServiceRecord
from lbsync.schema.decode import RECORD_OF, decode, encode
from lbsync.schema.keys import parse_key
from tests.contract_fields import fields

PAGE = (Path(__file__).parents[3] / "docs" / "etcd-contract.md").read_text()
ROW = re.compile(
    r"^\| `([a-z0-9_.\[\]]+)` \| (.+?) \| (\S+) \| (.+?) \| (?:`(.+)` )?\|$", re.MULTILINE
)
KEYS = {
    "services/<ns>/<name>": "services/shop/cart",
    "endpoints/<ns>/<name>/<group>": "endpoints/shop/cart/blue",
    "routes/<ns>/<name>": "routes/shop/cart",
    "settings/global": "settings/global",
}
#: What else it takes for an example of one field to be a whole.
BASE: dict[str, dict[str, Any]] = {
    "services": {"mode": "http"}, "endpoints": {"servers": []}, "routes": {"groups": {"a": 1}},
    "settings": {},
}  # fmt: skip
BESIDE: dict[str, dict[str, Any]] = {
    "listen": {"mode": "tcp"},
    "check.path": {"check": {"type": "http"}},
    "hsts.preload": {"hsts": {"max_age": "365d", "subdomains": True}},
    "preview": {"preview": {"networks": ["10.0.0.0/8"]}},
    "sticky": {"sticky": {"cookie": "A"}},
    "cors": {"cors": {"origins": ["https://a.example"]}},
    "auth": {"auth": {"users": {"a": "$6$abcdefgh$" + "a" * 86}}},
    "rate_limit": {"rate_limit": {"requests": 1, "period": "1s"}},
    "rewrite.pattern": {"rewrite": {"replacement": "/"}},
    "rewrite.replacement": {"rewrite": {"pattern": "/(.*)(.*)"}},
    "backend_tls.h2": {"backend_tls": {"verify": "none"}},
}


def table(title: str) -> dict[str, tuple[str, str, str, str | None]]:
    """The rows below one heading: field to type, default, meaning, example."""
    part = PAGE.split(f"\n## `{title}`\n")[1].split("\n## ")[0]
    rows = [match.groups() for match in ROW.finditer(part)]
    assert len(rows) == sum(line.startswith("| `") for line in part.splitlines()), "an odd row"
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}


def shown(cls: type, field: inspect.Field) -> str:
    if field.required:
        return "required"
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    if default is NODEFAULT or default is UNSET:
        return "–"
    value = default.__class__ if isinstance(default, Record) else None
    return "`{}`" if value else f"`{as_json(default)}`"


def as_json(value: object) -> str:
    """As the encoder writes it: durations in their own notation."""
    if isinstance(value, tuple):
        return f"[{','.join(as_json(item) for item in value)}]"
    if isinstance(value, str) or type(value) not in (int, bool, dict):
        return json.dumps(str(value))
    return json.dumps(value)


@pytest.mark.parametrize("title", KEYS)
def test_each_field_has_its_row_and_the_default_that_holds(title: str) -> None:
    record = RECORD_OF[title.partition("/")[0]]
    rows = table(title)
    assert {path: row[1] for path, row in rows.items()} == {
        path: shown(cls, field) for path, cls, field in fields(record)
    }


EXAMPLES = [
    (title, path, row[3])
    for title in KEYS
    for path, row in table(title).items()
    if row[3] is not None and "[]" not in path
]


def merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}
    return other


@pytest.mark.parametrize(("title", "path", "example"), EXAMPLES, ids=lambda value: str(value)[:30])
def test_the_example_of_a_row_is_accepted(title: str, path: str, example: str) -> None:
    kind = title.partition("/")[0]
    document: dict[str, Any] = {**BASE[kind]}
    steps = path.split(".")
    for length in range(1, len(steps) + 1):
        document = merged(document, BESIDE.get(".".join(steps[:length]), {}))
    value: Any = json.loads(example)
    if path.startswith("backend_tls.") and path not in ("backend_tls.sni", "backend_tls.h2"):
        document["backend_tls"] = {}
    for step in reversed(steps):
        value = {step: value}
    key = KEYS[title]
    parsed = parse_key(key)
    assert parsed is not None
    record = decode(key, parsed, json.dumps(merged(document, value)).encode())
    assert isinstance(record, ServiceRecord | EndpointsRecord | RouteRecord | GlobalRecord)
    assert decode(key, parsed, encode(record)) == record


ERRORS = re.findall(r"^\| `([a-z/]+)` \| `(\{.*?\})` \| (.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("key", "value", "reason"), ERRORS)
def test_errors_read_as_the_page_says(key: str, value: str, reason: str) -> None:
    parsed = parse_key(key)
    assert parsed is not None
    with pytest.raises(BadKey) as refused:
        decode(key, parsed, value.encode())
    assert refused.value.reason == reason


def test_the_page_shows_errors_of_each_kind_of_key() -> None:
    assert len(ERRORS) >= 10
    assert {key.partition("/")[0] for key, _, _ in ERRORS} == {"services", "endpoints", "routes"}
