"""A host's word in a real etcd: there while it lives, whatever happens to etcd."""

import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from harness.etcd import Etcd, open_etcd
from harness.wait import wait_until
from lbsync.agent.report.fleet_reporter import FleetReporter
from lbsync.clients.source import Delete, Put
from lbsync.fleet.watching import question
from lbsync.schema import fleet as schema
from lbsync.schema.keys import FOREIGN
from lbsync.settings import Settings, load
from lbsync.status import Quarantined, Status

numbers = itertools.count(1)
LEAST = "2s"
"""The shortest lease that the settings allow."""


def settings(host: str = "lb-1", **flags: str) -> Settings:
    return load(
        flags={"host": host, "agent.report_ttl": LEAST, "agent.report_interval": "100ms", **flags},
        environ={},
    )


class Host:
    """The part of an agent that speaks to the fleet."""

    def __init__(
        self,
        etcd: Etcd,
        prefix: str,
        name: str = "lb-1",
        apart: str = "100ms",
        ttl: str = LEAST,
        **options: Any,
    ) -> None:
        self.wakes = 0
        self.key = f"agents/{name}"
        self.etcd, self.prefix = etcd, prefix
        self.status = Status("confirmed", name, 7, "", 1.0, revision=1, revision_seen=1)
        self.source = open_etcd(etcd.urls, prefix, quiet=FOREIGN, **{"timeout": 2.0, **options})
        self.source.start(self._wake)
        wait_until("the watch", lambda: self.source.health().ok)
        self._state = tempfile.TemporaryDirectory()
        self.fleet = FleetReporter(
            settings(
                name,
                state_dir=self._state.name,
                **{"agent.report_interval": apart, "agent.report_ttl": ttl},
            ),
            self.source,
        )
        self.fleet.start()

    def _wake(self) -> None:
        self.wakes += 1

    def note(self, *refused: str, **changes: object) -> None:
        """A pass has ended."""
        quarantined = tuple(
            Quarantined(f"services/{name}", "mode: wrong", name, 3.0) for name in refused
        )
        self.status = msgspec.structs.replace(self.status, quarantined=quarantined, **changes)
        self.fleet.note(self.status)

    def stored(self) -> dict[str, Any]:
        """All keys below the prefix as etcd has them, with what they hold."""
        lines = self.etcd.ctl("get", self.prefix, "--prefix").splitlines()
        pairs = zip(lines[::2], lines[1::2], strict=True)
        return {key.removeprefix(self.prefix): json.loads(value) for key, value in pairs}

    def told(self) -> Any:
        """What the host says of itself in etcd."""
        return self.stored().get(self.key)

    def acknowledged(self, field: str = "revision") -> int:
        """The revision that it last told who waits, beside the prefix."""
        lines = self.etcd.ctl("get", f"{self.prefix[:-1]}-health/lb-1/report").splitlines()
        return int(json.loads(lines[1])[field]) if lines else 0

    def wait_for(self, revision: int, timeout: float = 30.0) -> None:
        wait_until(
            f"revision {revision} to be told",
            lambda: (self.told() or {}).get("revision") == revision,
            timeout=timeout,
        )

    def close(self) -> None:
        self.fleet.close()
        self.source.close()
        self._state.cleanup()


Open = Callable[..., Host]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open hosts that are closed at the end; the same prefix for one `group` of them."""
    hosts: list[Host] = []
    prefix = f"/fleet{next(numbers)}/"

    def make(etcd: Etcd, *arguments: str, **options: Any) -> Host:
        hosts.append(Host(etcd, options.pop("prefix", prefix), *arguments, **options))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


def test_a_record_lives_as_long_as_its_host_and_is_taken_back_at_a_polite_end(
    etcd: Etcd, opened: Open
) -> None:
    polite, killed = opened(etcd, "lb-1"), opened(etcd, "lb-2")
    polite.note(revision=5, digest="ab")
    killed.note()
    wait_until("both", lambda: {"agents/lb-1", "agents/lb-2"} <= polite.stored().keys())
    assert polite.told()["digest"] == "ab"

    polite.fleet.close()
    assert polite.told() is None
    killed.source.close()  # renews no more, and has no time to say good-bye
    wait_until("the lease to end", lambda: killed.told() is None, timeout=60)


def test_a_burst_of_passes_is_few_writes_and_the_newest_stands(etcd: Etcd, opened: Open) -> None:
    host = opened(etcd)
    began = time.monotonic()
    for revision in range(1, 301):
        host.note(revision=revision, generation=revision)
        host.source.get(host.key)  # as slow as a pass would be at least
    lasted = time.monotonic() - began
    host.wait_for(300)
    item = host.source.get(host.key)
    assert item is not None
    writes = item.mod_revision - item.create_revision + 1
    assert writes <= lasted / 0.1 + 3


def test_changes_are_told_rarely_but_at_once_to_who_waits_for_one(etcd: Etcd, opened: Open) -> None:
    host = opened(etcd, apart="10m")

    def changed() -> int:
        """A key is written, and served."""
        revision = host.source.commit([], [Put("services/shop/web", b"{}")])
        wait_until("the mirror", lambda: host.source.revision >= revision)
        host.note(revision=revision, revision_seen=revision)
        return revision

    first = changed()
    host.wait_for(first)
    for _ in range(20):
        newest = changed()
    assert host.told()["revision"] == first
    with question(host.source, "a test", revision=newest):
        wait_until("it to be told", lambda: host.acknowledged() == newest)
        changed()
        coming = host.source.commit([], [Put("services/shop/web", b"{}")])
        assert host.acknowledged() == newest, "nobody waits for that"
        with question(host.source, "another", revision=coming):
            # Also what is served only after the question, and by a revision that others moved.
            host.source.commit([], [Put("agents/x", b"{}")])
            host.note(revision=coming, revision_seen=coming)
            wait_until("it to be told", lambda: host.acknowledged() == coming)
    assert host.told()["revision"] == first, "no other agent has heard any of it"


def test_who_asks_hears_from_a_host_itself_that_nothing_else_is_asked_for(
    etcd: Etcd, opened: Open
) -> None:
    host = opened(etcd, apart="10m")
    first = host.source.commit([], [Put("services/shop/web", b"{}")])
    wait_until("the write", lambda: host.source.revision >= first)
    host.note(revision=first, revision_seen=first)
    wait_until("its report", lambda: (host.told() or {}).get("revision") == first)
    host.source.commit([], [Put("services/shop/odd", b"{}")])
    undone = host.source.commit([], [Delete("services/shop/odd")])

    with question(host.source, "ann", revision=undone):
        wait_until("the question", lambda: host.source.revision > undone)
        assert host.acknowledged() == 0, "it has not looked at what was undone"
        host.note(revision=undone, revision_seen=undone)
        wait_until("the answer", lambda: host.acknowledged() == undone)
    foreign = host.source.commit([], [Put("agents/x", b"{}")])
    with question(host.source, "ann", revision=foreign):
        wait_until("the answer", lambda: host.acknowledged("up_to") >= foreign)
    assert host.told()["revision"] == first


def test_hosts_whose_work_rests_write_nothing(etcd: Etcd, opened: Open) -> None:
    hosts = [opened(etcd, f"lb-{number}", ttl="4s") for number in (1, 2)]
    start = hosts[0].source.commit([], [Put("services/shop/web", b"{}")])
    # A pass looks at what the mirror has.
    wait_until("the write", lambda: all(host.source.revision >= start for host in hosts))
    for host in hosts:
        host.note(revision=start, revision_seen=start)
    wait_until("their word", lambda: all((h.told() or {}).get("keys") == 1 for h in hosts))
    wait_until("the mirrors", lambda: hosts[0].source.revision == hosts[1].source.revision > start)
    before, until = hosts[0].source.commit([], []), time.monotonic() + 6.0

    def looked() -> bool:
        """As passes do that look in: all is as before, but for the times, and what others moved."""
        for host in hosts:
            seen = host.source.revision
            host.note(revision=seen, revision_seen=seen, verified_at=time.time())
        return time.monotonic() > until

    wait_until("more than a time to live", looked)
    assert hosts[0].source.commit([], []) == before
    told = hosts[0].told()
    assert (told["revision"], told["keys"]) == (start, 1)


def test_a_record_that_was_removed_or_whose_lease_was_lost_is_written_again(
    etcd: Etcd, opened: Open
) -> None:
    host = opened(etcd)
    host.note(revision=5)
    host.wait_for(5)
    etcd.delete(host.prefix + host.key)
    host.wait_for(5)

    lease = json.loads(etcd.ctl("get", host.prefix + host.key, "-w", "json"))["kvs"][0]["lease"]
    etcd.ctl("lease", "revoke", f"{lease:x}")
    host.wait_for(5)
    host.note(revision=6)
    host.wait_for(6)


def test_a_wiped_etcd_hears_everything_again(clusters: Callable[..., Etcd], opened: Open) -> None:
    etcd = clusters().start()
    host = opened(etcd)
    host.note("shop/bad", revision=5)
    wait_until("all keys", lambda: len(host.stored()) == 3)

    etcd.stop()
    etcd.node.wipe()
    etcd.start()
    wait_until("all keys again", lambda: len(host.stored()) == 3, timeout=60)
    host.wait_for(5)


def test_many_reasons_are_written_and_taken_back_and_the_same_one_is_not_written_again(
    etcd: Etcd, opened: Open
) -> None:
    host = opened(etcd)
    etcd.put(
        host.prefix + "quarantine/shop/old", '{"reason":"","revision":1,"host":"lb-1","since":""}'
    )
    bad = [f"shop/bad-{number}" for number in range(120)]
    host.note(*bad)
    kept = {host.key, f"{host.key}/seen"}
    wanted = {*kept, *(f"quarantine/{name}" for name in bad)}
    wait_until("all reasons", lambda: host.stored().keys() == wanted)

    before = host.stored()
    host.note(*bad, revision=6)
    host.wait_for(6)
    assert {k: v for k, v in host.stored().items() if k != host.key} == {
        k: v for k, v in before.items() if k != host.key
    }
    host.note(revision=7)
    wait_until("silence", lambda: host.stored().keys() == kept)


def test_the_reason_of_a_host_that_went_is_taken_over_by_another(etcd: Etcd, opened: Open) -> None:
    one, two = opened(etcd, "lb-1"), opened(etcd, "lb-2")
    key = "quarantine/shop/bad"
    one.note("shop/bad")
    wait_until("the reason", lambda: key in one.stored())
    two.note("shop/bad")
    wait_until("the second host", lambda: two.told() is not None)
    assert two.stored()[key]["host"] == "lb-1"

    one.note()
    wait_until("the other's reason", lambda: two.stored().get(key, {}).get("host") == "lb-2")
    two.fleet.close()
    wait_until("it to be removed for the dead", lambda: key not in one.stored())


def test_what_the_fleet_writes_wakes_nobody(etcd: Etcd, opened: Open) -> None:
    hosts = [opened(etcd, f"lb-{number}") for number in range(1, 6)]
    first = hosts[0]
    woken = first.wakes
    for revision in range(1, 6):
        for host in hosts:
            host.note(f"shop/bad-{revision}", revision=revision)
        for host in hosts:
            host.wait_for(revision)
    newest = first.source.commit([], [])
    assert first.wakes == woken

    first.source.commit([], [Put("services/shop/a", b"{}")])
    wait_until("the mirror", lambda: first.source.revision > newest)
    wait_until("a change that matters", lambda: first.wakes == woken + 1)


def test_without_the_right_to_write_it_is_said_once_and_tried_again(
    clusters: Callable[..., Etcd], opened: Open, tmp_path: Path
) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("secret")
    etcd = clusters().start()
    etcd.demand_password("lb", "secret", prefix="/lbsync/")
    etcd.ctl("role", "revoke-permission", "part", "/lbsync/", "--prefix=true")
    etcd.ctl("role", "grant-permission", "part", "read", "/lbsync/", "--prefix=true")
    with capture_logs() as logs:

        def said(words: str) -> list[str]:
            return [entry["event"] for entry in logs if words in entry["event"]]

        host = opened(etcd, prefix="/lbsync/", user="lb", password_file=str(password_file))
        for revision in range(1, 300):
            host.note("shop/bad", revision=revision)
        wait_until("both warnings", lambda: len(said("permission denied")) == 2)
        # No more than a host needs that nobody shall speak for: its own name, and reasons.
        for key, *flags in (
            ("/lbsync/agents/lb-1",),
            ("/lbsync/agents/lb-1/", "--prefix=true"),
            ("/lbsync/quarantine/", "--prefix=true"),
        ):
            etcd.ctl("role", "grant-permission", "part", "readwrite", key, *flags)
        wait_until("both recoveries", lambda: len(said("again")) == 2, timeout=60)
        assert len(said("permission denied")) == 2
    assert host.stored().keys() == {host.key, f"{host.key}/seen", "quarantine/shop/bad"}


def test_two_agents_under_one_name_are_found_out(etcd: Etcd, opened: Open) -> None:
    with capture_logs() as logs:
        one, two = opened(etcd, "lb-1"), opened(etcd, "lb-1")
        one.note(pid=7)
        wait_until("the first", lambda: one.told() is not None)
        two.note(pid=8)
        wait_until("the complaint", lambda: any("another agent" in e["event"] for e in logs))
        wait_until("the second's word", lambda: f"{two.key}/rival" in two.stored())
        one.note(pid=7, revision=6)
        one.wait_for(6)
        assert one.told()["pid"] == 7
        assert sum("another agent" in e["event"] for e in logs) == 1
        census = schema.census(two.source.snapshot())
        assert (list(census.live), list(census.rivals)) == (["lb-1"], ["lb-1"])
        one.close()
        wait_until("the second to take over", lambda: (one.told() or {}).get("pid") == 8)
        assert f"{two.key}/rival" not in two.stored()


def test_a_record_that_was_put_over_ours_is_put_right(etcd: Etcd, opened: Open) -> None:
    host = opened(etcd)
    host.note(revision=5)
    host.wait_for(5)
    forged = json.dumps({**host.told(), "revision": 99, "instance": "x"})
    etcd.put(host.prefix + host.key, forged)
    host.wait_for(5)
    assert schema.census(host.source.snapshot()).junk == ()


def test_a_write_of_its_own_whose_answer_was_lost_is_no_other_agent(
    etcd: Etcd, opened: Open
) -> None:
    host = opened(etcd)
    host.note(revision=5)
    host.wait_for(5)
    with capture_logs() as logs:
        lease = host.fleet._record._lease.current
        assert lease is not None
        late = json.dumps({**host.told(), "revision": 6}).encode()
        host.source.commit([], [Put(host.key, late, lease.id)])
        host.wait_for(6)
        host.wait_for(5)
    assert not any("another agent" in entry["event"] for entry in logs)


def test_an_agent_that_comes_back_after_a_crash_is_no_rival_of_itself(
    etcd: Etcd, opened: Open
) -> None:
    crashed = opened(etcd, ttl="60s")
    crashed.note(revision=5)
    crashed.wait_for(5)
    crashed.source.close()  # the record outlives it until the lease ends
    fresh = opened(etcd)
    fresh.fleet.current._presence.instance = crashed.fleet.current._presence.instance
    fresh.note(revision=6)
    fresh.wait_for(6)


def test_a_host_that_left_is_known_to_be_gone_until_it_reports_no_more(
    etcd: Etcd, opened: Open
) -> None:
    stays, leaves = opened(etcd, "lb-1"), opened(etcd, "lb-2")
    stays.note()
    leaves.note()
    wait_until("both", lambda: stays.told() and leaves.told())
    leaves.fleet.close()
    wait_until("the mirror", lambda: schema.census(stays.source.snapshot()).gone.get("lb-2"))
    census = schema.census(stays.source.snapshot())
    assert list(census.live) == ["lb-1"]
    assert census.gone["lb-2"].left
    stays.fleet.follow(settings(**{"agent.report": "false"}))
    wait_until("silence", lambda: not any("lb-1" in key for key in stays.stored()))


def test_the_settings_switch_it_off_and_on(etcd: Etcd, opened: Open) -> None:
    host = opened(etcd)
    host.note(revision=5)
    host.wait_for(5)
    host.fleet.follow(settings(**{"agent.report": "false"}))
    wait_until("silence", lambda: host.told() is None)
    host.fleet.follow(settings())
    host.wait_for(5)
