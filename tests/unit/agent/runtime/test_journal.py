"""What is being changed is noted for whoever comes after."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.runtime.journal import Journal

ONE, TWO = ("be", "a", "weight"), ("be", "b", "state")


def test_the_next_agent_reads_what_this_one_noted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin("7")
    journal.note({ONE})
    journal.note({TWO})
    assert Journal(tmp_path).read("7") == {ONE, TWO}
    journal.begin("7", {TWO})
    assert Journal(tmp_path).read("7") == {TWO}
    journal.begin("7", {TWO})
    assert Journal(tmp_path).read("7") == {TWO}


def test_what_was_noted_of_another_worker_does_not_count(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin("7", {ONE})
    assert journal.read("8") == set()


def test_a_disk_that_does_not_take_it_stops_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "absent")
    journal.begin("7", {ONE})
    journal.note({TWO})
    assert journal.read("7") == set()


@given(st.binary())
def test_any_file_is_read(tmp_path_factory, data: bytes) -> None:  # type: ignore[no-untyped-def]
    directory = tmp_path_factory.mktemp("journal")
    (directory / "touched").write_bytes(b'7\n["be","a","weight"]\n' + data)
    assert ONE in Journal(directory).read("7")
