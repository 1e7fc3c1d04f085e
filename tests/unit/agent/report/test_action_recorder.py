"""What somebody has one host do is in the history of the fleet, once."""

from pathlib import Path

from lbsync.agent.control import Control, Request
from lbsync.agent.report.action_recorder import ActionRecorder
from lbsync.model.orders import HistoryRecord
from lbsync.schema.orders import history
from tests.fakes import FakeSource

AT = "2026-01-01T00:00:00Z"


def kept(source: FakeSource) -> list[HistoryRecord]:
    return history(source.below("history/"))


def started(source: FakeSource, directory: Path) -> tuple[Control, ActionRecorder]:
    control, recorder = Control(directory), ActionRecorder(source, "lb-1")
    control.on_action = recorder.note
    return control, recorder


def test_a_drain_its_end_and_a_release_are_noted_with_who_asked(tmp_path: Path) -> None:
    source = FakeSource()
    control, recorder = started(source, tmp_path)
    control.set("drain", Request("kernel", AT, "ann (uid 7)"))
    control.asked()
    source.break_off()
    recorder.write()
    source.mend()
    recorder.write()
    assert kept(source) == [
        HistoryRecord(AT, "ann (uid 7) on lb-1", "drain", "lb-1", "kernel", "lb-1")
    ]

    control, recorder = started(source, tmp_path)  # the agent was restarted
    control.asked()
    recorder.write()
    assert len(kept(source)) == 1

    control.withdraw("drain", "bob (uid 8)")
    control.asked()
    control.set("release", Request("all", AT))
    control.carried_out("release")
    recorder.write()
    told = {each.action: each for each in kept(source)}
    assert told.keys() == {"drain", "undrain", "release"}
    assert told["undrain"].by == "bob (uid 8) on lb-1"
    assert told["release"].by == "somebody on lb-1"


def test_what_was_ordered_is_in_the_history_already(tmp_path: Path) -> None:
    source = FakeSource()
    control, recorder = started(source, tmp_path)
    control.set("drain", Request("kernel", AT, "ann on pc", ordered=True))
    control.asked()
    control.withdraw("drain", "ann on pc", ordered=True)
    control.asked()
    recorder.write()
    assert kept(source) == []
