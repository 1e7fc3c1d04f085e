"""Where the state is kept can be told although other settings are wrong."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from lbsync.settings import find_state_dir


def found(
    file: Path,
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> str:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(find_state_dir(file, flags=flags or {}, environ=environ or {}))


def test_what_is_wrong_elsewhere_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "lbsync.toml"
    text = 'state_dir = "/srv/a"\nnonsense = 1\n[agent]\nfoo = 1\n'
    assert found(file, text) == "/srv/a"
    assert found(file, text, {"LBSYNC_NONSENSE": "1"}) == "/srv/a"


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "lbsync.toml"
    text, environ = 'state_dir = "a"', {"LBSYNC_STATE_DIR": "/srv/b"}
    assert found(file, text) == str(tmp_path / "a")
    assert found(file, text, environ) == "/srv/b"
    assert found(file, text, environ, {"state_dir": "/srv/c"}) == "/srv/c"
    assert found(file, "") == "/var/lib/lbsync"


@pytest.mark.parametrize("text", ["a = [", b"\xff", "state_dir = 5", 'state_dir = ""'])
def test_where_the_file_does_not_tell_it_is_the_default(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "lbsync.toml"
    assert found(file, text) == "/var/lib/lbsync"
    assert found(file, text, {"LBSYNC_STATE_DIR": "/srv/b"}) == "/srv/b"


def test_a_file_that_is_not_there_is_no_hindrance(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    assert find_state_dir(absent, flags={}, environ={}) == "/var/lib/lbsync"
    assert find_state_dir(None, flags={}, environ={"LBSYNC_CONFIG": str(absent)})
