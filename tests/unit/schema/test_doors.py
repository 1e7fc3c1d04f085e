"""Whatever bytes somebody writes, the door says a problem of that key, and nothing else happens.

`python -m bench.doors 150000` does the same for longer.
"""

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.agent.desired.decode import read_entry
from lbsync.errors import BadKey
from lbsync.model.desired import Problem
from lbsync.model.snapshot import Item
from lbsync.schema import reading
from lbsync.schema.decode import decode
from lbsync.schema.keys import parse_key
from tests.doors import CONTRACT, knock, some_doors
from tests.hostile import document


@given(st.integers(0, 2**64))
def test_a_hostile_document_is_a_problem_of_its_key_at_every_door(seed: int) -> None:
    assert knock(document(random.Random(seed)), some_doors(seed)) == []


def deep(depth: int) -> bytes:
    return b'{"zz":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize("depth", [90, 400, 900, 990, 1000, 1100, 3000, 100_000])
def test_a_value_of_any_depth_is_a_problem_of_its_key_at_every_door(depth: int) -> None:
    assert knock(deep(depth)) == []
    for key in CONTRACT:
        assert isinstance(read_entry(Item(key, deep(depth), 1, 1)), Problem)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("routes/a/b", b'{"groups":{"a":-1},"groups":5}', "groups: it is given twice; keep one"),
        ("routes/a/b", b'{"groups":{"a":1},"groups":{"b":1}}', "groups: it is given twice"),
        ("routes/a/b", b'{"groups":{"a":1,"a":0}}', "a: it is given twice"),
        ("services/a/b", b'{"mode":"http","mode":"http","owner":"\\u0022\\u0022\\u0022\\u0022"}', "mode: it is given"),
        ("services/a/b", b'{"mode":"http","x` - at `$.hosts[0]":1}', "x` - at `$.hosts[0]: no such"),
        ("services/a/b", b'{"mode":"http","[...]":1}', "[...]: no such field"),
        ("services/a/b", b'{"mode":"a - at `$.paths`"}', "mode: 'a - at `$.paths`' is no choice"),
        ("services/a/b", b'{"mode":"tcp","listen":' + b"9" * 5000 + b"}", "listen: it is out of"),
        ("services/a/b", b'{"mode":"tcp","listen":NaN}', "no JSON object in UTF-8"),
        ("services/a/b", b'{"mode":"tcp","listen":1e400}', "listen: it is a number with a fraction"),
        ("services/a/b", b'{"mode":"http","owner":"\\ud800"}', "no JSON object in UTF-8"),
        ("services/a/b", b'{"mode":"http","\\ud800":1,"owner":5}', "no JSON object in UTF-8"),
        ("services/a/b", b'{"mode":7,"owner":"\xff"}', "no JSON"),
        ("services/a/b", b'{"mode":"http","' + b"x" * 99_999 + b'":1}', "no such field; take it out"),
    ],
)  # fmt: skip
def test_odd_json_is_told_by_what_is_wrong_with_it(key: str, value: bytes, said: str) -> None:
    parsed = parse_key(key)
    assert parsed is not None
    with pytest.raises(BadKey) as caught:
        decode(key, parsed, value)
    assert caught.value.key == key
    assert said in caught.value.reason
    assert len(caught.value.reason) < 600


names = st.sampled_from(["a", "b", 'a"', "b\\", "é", "\u0022", ""])
#: Objects as the pairs that are written, so that a name may come again.
written = st.recursive(
    names | st.integers() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(names, inner)).map(tuple),
)


def as_json(value: object, draw: st.DataObject) -> str:
    escaped = draw.draw(st.booleans())
    if isinstance(value, tuple):
        pairs = (
            f"{json.dumps(name, ensure_ascii=escaped)} :{as_json(v, draw)}" for name, v in value
        )
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(as_json(each, draw) for each in value) + "]"
    return json.dumps(value, ensure_ascii=escaped)


@settings(max_examples=40)
@given(written, st.data())
def test_names_given_twice_are_found_quickly_wherever_they_are(
    value: object, draw: st.DataObject
) -> None:
    text = as_json(value, draw).encode()
    try:
        reading.strict(text)
    except reading.Unreadable as error:
        with pytest.raises(reading.Unreadable, match=re.escape(str(error))):
            reading.refuse_repeated_names(text)
    else:
        reading.refuse_repeated_names(text)
