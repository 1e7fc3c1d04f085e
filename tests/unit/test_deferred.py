"""Libraries that are loaded when they are first used."""

import importlib
import sys
from pathlib import Path

import pytest

from lbsync.deferred import Deferred

SPEAKER = """\
try:
    import colours_for_tests
except ImportError:
    colours_for_tests = None
"""


@pytest.fixture
def speaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A library that uses another one where that is installed, as it is here."""
    (tmp_path / "speaker_for_tests.py").write_text(SPEAKER)
    (tmp_path / "colours_for_tests.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("speaker_for_tests", "colours_for_tests"):
        monkeypatch.setitem(sys.modules, name, None)  # which is undone, whatever the test loads
        del sys.modules[name]
    return "speaker_for_tests"


def test_a_library_is_loaded_with_all_it_finds(speaker: str) -> None:
    deferred = Deferred(speaker)
    assert speaker not in sys.modules
    assert deferred.colours_for_tests is not None


def test_a_library_is_loaded_without_one_that_only_costs_and_others_still_find_that(
    speaker: str,
) -> None:
    deferred = Deferred(speaker, without=("colours_for_tests", "not_installed_anywhere"))
    assert deferred.colours_for_tests is None
    assert importlib.import_module("colours_for_tests").__name__ == "colours_for_tests"
    assert "not_installed_anywhere" not in sys.modules


def test_a_library_that_others_have_loaded_is_taken_as_it_is(speaker: str) -> None:
    importlib.import_module("colours_for_tests")
    deferred = Deferred(speaker, without=("colours_for_tests",))
    assert deferred.colours_for_tests is not None
