"""What `drain --fleet` and its like would do is shown host by host, and what would be left."""

import msgspec

from lbsync.cli.fleet.orders import generations, plan
from lbsync.model.records import AgentRecord, EarlierGeneration, SeenRecord
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


def test_a_rollback_tells_what_each_host_would_serve() -> None:
    earlier = EarlierGeneration(3, "abcdef12", 40, "2026-11-28T12:00:00Z")
    there = msgspec.structs.replace(WELL, generation=4, digest="12345678", earlier=earlier)
    back = msgspec.structs.replace(there, state="rolled-back")
    hosts = census(lb_1=there, lb_2=WELL, lb_3=None)
    names = ("lb-1", "lb-2", "lb-3")

    chosen = generations(names, hosts)
    rows, remark = plan("rollback", names, hosts, chosen)

    assert chosen == {"lb-1": "abcdef12"}
    assert rows == [
        ("lb-1", "confirmed: 4-12345678 of revision 5",
         "serves 3-abcdef12 of revision 40, last proved 2026-11-28 12:00 UTC"),
        ("lb-2", "confirmed: 1-ab of revision 5", "says of nothing that it served before"),
        ("lb-3", "does not report", "cannot be reached"),
    ]  # fmt: skip
    assert "until 'lbsync rollback --release --fleet'" in remark
    chosen = generations(names, hosts, "ffff0000")
    assert plan("rollback", names, hosts, chosen)[0][0][2] == "serves ffff0000, where it has that"
    rows, _ = plan("rollback-release", ("lb-1", "lb-2"), census(lb_1=back, lb_2=WELL))
    assert [row[2] for row in rows] == ["follows etcd again", "stays so"]
