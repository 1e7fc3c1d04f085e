"""Whatever stands in a settings file or a variable: settings, or sentences."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.errors import SettingsError
from lbsync.settings import Duration, load
from lbsync.settings.load import load as load_settings
from lbsync.settings.read import NAMES, variable

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
sections = st.sampled_from(sorted({section for section, _ in NAMES} | {"outputs", "x"}))
fields = st.sampled_from(sorted({field for _, field in NAMES} | {"template", "path", "y"}))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{msgspec.json.encode(k).decode()} = {_toml(v)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None or isinstance(value, float):
        return "1.5"
    return msgspec.json.encode(value).decode()


@given(st.dictionaries(sections, st.dictionaries(fields, values, max_size=4) | values, max_size=4))
def test_any_file_gives_settings_or_sentences(table: dict[str, Any]) -> None:
    text = "\n".join(f"{_toml(key)} = {_toml(value)}" for key, value in table.items())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "f.toml"
        file.write_text(text, encoding="utf-8")
        try:
            load(file, environ={})
        except SettingsError as error:
            assert error.problems
            assert all(problem.startswith(str(file)) for problem in error.problems)


@given(
    st.dictionaries(
        st.sampled_from([variable(name) for name in NAMES])
        | st.from_regex(r"LBSYNC_[A-Z_]{1,9}\Z"),
        st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=30),
        max_size=5,
    ).filter(lambda found: "LBSYNC_CONFIG" not in found)
)
def test_any_environment_gives_settings_or_sentences(environ: dict[str, str]) -> None:
    try:
        load_settings(environ=environ)
    except SettingsError as error:
        assert error.problems


@given(st.integers(1, 2**31 - 1))
def test_a_duration_reads_back_as_it_was_written(milliseconds: int) -> None:
    assert Duration.parse(str(Duration(milliseconds))) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "0s", "-1s", "1.5s", "1 s", "1us", "25d", "1s\n", "१s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        Duration.parse(text)
