"""What `drain --fleet` and its like would do is shown host by host, and what would be left."""

import msgspec

from lbsync.cli.fleet.orders import plan
from lbsync.model.records import AgentRecord, SeenRecord
from lbsync.schema.fleet import Census

WELL = AgentRecord(5, 1, "ab", "", "", "2.6.12", state="confirmed")
DRAINED = msgspec.structs.replace(WELL, draining="kernel")
BY_HAND = msgspec.structs.replace(WELL, held={"removal": "x", "be_a/s": "weight is 3, wanted 1"})


def census(**live: AgentRecord | None) -> Census:
    return Census(
        {name.replace("_", "-"): r for name, r in live.items()}, {"lb-9": SeenRecord("")}, {}, ()
    )


def test_a_drain_tells_which_hosts_are_left() -> None:
    rows, remark = plan("drain", ("lb-1", "lb-9"), census(lb_1=WELL, lb_2=WELL, lb_3=DRAINED))
    assert rows == [
        ("lb-1", "takes part", "answers 503 to health checks"),
        ("lb-9", "does not report", "cannot be reached"),
    ]
    assert remark == "1 host would be left: lb-2"
    _, remark = plan("drain", ("lb-1",), census(lb_1=WELL, lb_3=DRAINED, lb_4=None))
    assert remark.startswith("no host would be left")


def test_what_stays_as_it_is_is_told() -> None:
    hosts = census(lb_1=WELL, lb_2=DRAINED)
    assert [row[2] for row in plan("drain", ("lb-1", "lb-2"), hosts)[0]] == [
        "answers 503 to health checks", "stays so",
    ]  # fmt: skip
    rows, remark = plan("undrain", ("lb-1", "lb-2"), hosts)
    assert [row[1:] for row in rows] == [
        ("takes part", "stays so"), ("drained: kernel", "answers 200 to health checks"),
    ]  # fmt: skip
    assert remark == ""
    rows, _ = plan("release", ("lb-1", "lb-2"), census(lb_1=BY_HAND, lb_2=WELL))
    assert [row[2] for row in rows] == ["puts back be_a/s", "nothing is set by hand"]
