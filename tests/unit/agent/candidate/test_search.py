"""One bad thing never stops the others, in every combination; the validator here is a small fake.

It keeps to the contract of the real one: it raises `Refused` with what it finds wrong, and may name a
section, or nothing, or only the first of several faults.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from lbsync.agent.candidate.search import CandidateSearch
from lbsync.agent.candidate.validate import Refused
from lbsync.agent.desired import template_context
from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.quarantine import Suspect
from lbsync.agent.desired.states import PassInput, RenderedState
from lbsync.agent.guard.guard import Guard
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.agent.render.renderer import OutputSpec, Renderer
from lbsync.clients.certificates import CertificateDirectory
from lbsync.errors import LbsyncError, TemplateError, TooCostly
from lbsync.model.permission import Permission
from lbsync.model.snapshot import Item, Snapshot
from lbsync.settings import Claims
from tests.builders import an_item, servers

#: For a day or two.
FOR_LONG = "{% for _ in range(99999) %}{% for _ in range(99999) %}{% endfor %}{% endfor %}"
ALL = (
    f"""\
{{{{ each("one.j2", services) }}}}
{{% for key in gets("/up/*") if key.Value == "slow" %}}{FOR_LONG}{{% endfor %}}
"""
    """\
{% for key in gets("/up/*") %}
key {{ key.Key }} {{ 1 // (0 if key.Value == "unprintable" else 1) }} {{ key.Value }}
{% endfor %}
{% for key in gets("/bent/*") %}
backend x{{ key.Key|replace("/", "-") }}
    line {{ key.Value|length }} of {{ key.Value|upper|reverse }} after
{% endfor %}
"""
)
#: A service is refused for what its owner says.
ONE = (
    f"""{{% if item.record.owner == "slow" %}}{FOR_LONG}{{% endif %}}
"""
    """{% if item.record.owner %}
service {{ item.id }} {{ 1 // (0 if item.record.owner == "unprintable" else 1) }} {{ item.record.owner }}
{% endif %}
"""
)

_PEM = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"
#: To look at they are certificates with a key; the validator alone tells.
GOOD, BAD = _PEM % b"good", _PEM % b"bad"

Fault = Literal["named", "unnamed", "unprintable", "route", "json"]
FAULTS: tuple[Fault, ...] = ("named", "unnamed", "unprintable", "route", "json")


class Bed:
    """A settler with its own small templates, and a store that is a dictionary."""

    def __init__(self, folder: Path, time_limit_s: float = 5.0, more: str = "") -> None:
        (folder / "templates").mkdir()
        (folder / "templates/all.j2").write_text(more + ALL)
        (folder / "templates/one.j2").write_text(ONE)
        self.certificates = folder / "certs"
        self.certificates.mkdir()
        outputs = [OutputSpec("all.j2", "haproxy.cfg")]
        renderer = Renderer([folder / "templates"], outputs, time_limit_s=time_limit_s)
        self.settler = DesiredBuilder(
            renderer, frozenset(), Permission(Claims()), Guard(100, 600.0),
            CertificateDirectory(self.certificates), raw_keys=True, contract=True,
        )  # fmt: skip
        self.sieve = CandidateSearch(self.settler, lambda: None)
        self.items: dict[str, Item] = {}
        self.revision = 0
        self.accepted: Entries = {}
        self.judged = 0
        self.order: Callable[[list[Finding]], list[Finding]] = list
        self.told = 1
        """So many of all that is wrong are told at once; HAProxy gives up at 50."""

    def put(self, values: Mapping[str, object]) -> None:
        """One transaction."""
        self.revision += 1
        for key, value in values.items():
            old = self.items.get(key)
            created = old.create_revision if old else self.revision
            self.items[key] = an_item(key, value, self.revision, created)

    def run(self) -> RenderedState:
        """One pass whose outcome is accepted."""
        snapshot = Snapshot(self.revision, 1, dict(self.items))
        question = PassInput(snapshot, self.accepted, False, lambda *_: True)
        with capture_logs():
            plan = self.sieve.run(question, self.judge, self.try_out)
        self.accepted, self.settler.good_raw = plan.entries, plan.raw
        self.settler.certificates.last = template_context.certificates_in(plan.rendered)
        return plan

    def try_out(self, plan: RenderedState) -> None:
        """Judge without an answer."""
        self.judge(plan)

    def judge(self, plan: RenderedState) -> RenderedState:
        """Refuse what `_wrong` finds; not all that is wrong is told."""
        self.judged += 1
        if found := self.order(list(_wrong(plan))):
            raise Refused(found[: self.told])
        return plan


def _wrong(plan: RenderedState) -> Iterator[Finding]:
    owners = {service.id: str(service.record.owner) for service in plan.desired.services}
    for service in plan.desired.services:
        fault, _, other = owners[service.id].partition(" ")
        if fault == "named":
            yield Finding("haproxy.cfg", 7, service.backends[0].name, "refused by name")
        if fault == "unnamed" or (fault == "if-old" and owners.get(other) == "old"):
            yield Finding("", 0, "", f"something is wrong: {service.id}")
    for key, value in plan.raw.items():
        if value == b"refused":
            yield Finding("", 0, "", f"something is wrong: {key}")
    yield from _wrong_lines(plan)
    if plan.raw.get("up/first") == b"good" and "up/needed" not in plan.raw:
        yield Finding("", 0, "", "something is missing")
    for file in plan.rendered.files:
        if file.data == BAD:
            yield Finding("", 0, "", f"unable to load certificate from file '{file.path}'")


def _wrong_lines(plan: RenderedState) -> Iterator[Finding]:
    text = next(file.data for file in plan.rendered.files if file.path == "haproxy.cfg").decode()
    for number, line in enumerate(text.split("\n"), 1):
        if line.endswith(":99999") or ("line" in line and "!" in line):
            yield Finding("haproxy.cfg", number, "", "invalid port")


def _service(name: str, owner: str, fault: Fault | None = None) -> dict[str, object]:
    route = {"groups": {"nosuch" if fault == "route" else "blue": 1}}
    endpoints = b"{" if fault == "json" else servers(80, 81)
    return {
        f"services/a/{name}": {"mode": "http", "hosts": [f"{name}.example"], "owner": owner},
        f"endpoints/a/{name}/blue": endpoints,
        f"routes/a/{name}": route,
    }


@pytest.fixture(name="bed")
def a_bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def owners(plan: RenderedState) -> dict[str, object]:
    """What each service is served as."""
    return {service.name: service.record.owner for service in plan.desired.services}


NAMES = ["s0", "s1", "s2", "s3", "s4"]
REFUSED: tuple[Fault, ...] = ("named", "unnamed", "unprintable")


class Mess(msgspec.Struct, frozen=True):
    """What goes wrong together."""

    faults: dict[str, set[Fault]]
    """By service."""
    before: set[str]
    """Services that were served before."""
    keys: dict[str, str]
    """Bad values of keys below `up/`."""
    keys_before: set[str]
    gone: bool
    """A key that another needs is deleted."""
    certificates: set[str]
    backwards: bool
    """Of several faults the last is the one that is told."""

    def put(self, bed: Bed) -> None:
        """Write all of it."""
        for name in NAMES:
            mine = self.faults.get(name, set())
            owner = next((fault for fault in REFUSED if fault in mine), "new")
            unread: list[Fault] = [fault for fault in ("route", "json") if fault in mine]
            bed.put(_service(name, owner, unread[0] if unread else None))
        bed.put({f"up/{key}": self.keys.get(key, "new").encode() for key in "xyz"})
        if self.gone:
            del bed.items["up/needed"]
        for name in ("good.pem", *self.certificates):
            is_bad = name in self.certificates
            (bed.certificates / name).write_bytes(BAD if is_bad else GOOD)

    def owner(self, name: str) -> str | None:
        """The version of a service that is to be served; None: none."""
        if self.faults.get(name, set()) & set(REFUSED):
            return "old" if name in self.before else None
        return "new"

    def value(self, key: str) -> bytes | None:
        """The value that templates are to see."""
        if key in self.keys:
            return b"old" if key in self.keys_before else None
        return b"new"


messes = st.builds(
    Mess,
    faults=st.dictionaries(
        st.sampled_from(NAMES), st.sets(st.sampled_from(FAULTS), min_size=1), max_size=4
    ),
    before=st.sets(st.sampled_from(NAMES)),
    keys=st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["refused", "unprintable"])),
    keys_before=st.sets(st.sampled_from("xyz")),
    gone=st.booleans(),
    certificates=st.sets(st.sampled_from(["m.pem", "n.pem"])),
    backwards=st.booleans(),
)


@given(messes)
@settings(max_examples=80)
def test_of_many_faults_each_holds_back_its_own_and_all_others_go_on(mess: Mess) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bed = Bed(Path(folder))
        if mess.backwards:
            bed.order = lambda found: found[::-1]
        for name in sorted(mess.before):
            bed.put(_service(name, "old"))
        bed.put({f"up/{key}": b"old" for key in sorted(mess.keys_before)})
        bed.put({"up/needed": b"good", "up/first": b"good"})
        bed.run()

        mess.put(bed)
        for _ in range(2):
            plan = bed.run()
            found = owners(plan)
            assert {name: found.get(name) for name in NAMES} == {n: mess.owner(n) for n in NAMES}
            assert {k: plan.raw.get(f"up/{k}") for k in "xyz"} == {k: mess.value(k) for k in "xyz"}
            assert plan.raw["up/needed"] == b"good"
            assert [f.name for f in template_context.certificates_in(plan.rendered)] == ["good.pem"]
            told = " ".join(f"{p.key} {p.reason}" for p in plan.desired.problems)
            assert all(f"/a/{name}" in told for name in mess.faults)
            assert all(f"up/{key}" in told for key in mess.keys)
            assert all(name in told for name in mess.certificates)

        bed.put({key: value for name in NAMES for key, value in _service(name, "cured").items()})
        bed.put({f"up/{key}": b"cured" for key in "xyz"} | {"up/needed": b"good"})
        cured = bed.run()
        assert set(owners(cured).values()) == {"cured"}
        assert {cured.raw[f"up/{key}"] for key in "xyz"} == {b"cured"}


def test_a_bad_route_and_a_refusal_of_one_service_stop_nobody_else(bed: Bed) -> None:
    bed.put(_service("s", "old"))
    bed.run()
    bed.put(_service("s", "named", "route") | _service("new", "new"))

    plan = bed.run()

    assert owners(plan) == {"s": "old", "new": "new"}
    told = {problem.key: problem.reason for problem in plan.desired.problems}
    assert "refused by name" in told["services/a/s"]
    assert "nosuch has no endpoints key" in told["routes/a/s"]


def test_what_is_refused_only_since_another_is_held_back_is_held_back_too(bed: Bed) -> None:
    bed.put(_service("a", "old") | _service("b", "old2"))
    bed.run()
    bed.put(_service("a", "named") | _service("b", "if-old a/a") | _service("c", "new"))

    assert owners(bed.run()) == {"a": "old", "b": "old2", "c": "new"}


def _at(name: str, where: dict[str, object], owner: str) -> dict[str, object]:
    return {**_service(name, owner), f"services/a/{name}": {**where, "owner": owner}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"mode": "http", "hosts": ["x.x"]}, {"mode": "http", "hosts": ["y.x"]}),
        ({"mode": "tcp", "listen": 9000}, {"mode": "tcp", "listen": 9001}),
    ],
)
@pytest.mark.parametrize("bad", ["named", "json"])
def test_who_would_take_the_place_of_one_that_is_held_back_keeps_its_own(
    bed: Bed, one: dict[str, object], other: dict[str, object], bad: str
) -> None:
    bed.put(_at("a", one, "old"))
    bed.put(_at("b", other, "old"))
    bed.run()
    swapped = _at("a", other, bad)
    if bad == "json":
        swapped["services/a/a"] = b"{"
    bed.put({**swapped, **_at("b", one, "new"), **_service("c", "new")})

    for _ in range(2):
        plan = bed.run()
        assert owners(plan) == {"a": "old", "b": "old", "c": "new"}
        told = {problem.key: problem.reason for problem in plan.desired.problems}
        assert "until a/a, which is quarantined, is corrected" in told["services/a/b"]

    bed.put(_at("a", other, "cured"))
    assert owners(bed.run()) == {"a": "cured", "b": "new", "c": "new"}


def test_a_claim_on_a_place_of_one_held_back_does_not_hold_up_the_rest_of_the_change(
    bed: Bed,
) -> None:
    bed.put(_at("a", {"mode": "http", "hosts": ["x.x"]}, "old"))
    bed.put(_at("b", {"mode": "http", "hosts": ["y.x"]}, "old"))
    bed.run()
    bed.put({"services/a/a": b"{", **_at("b", {"mode": "http", "hosts": ["x.x", "y.x"]}, "new")})

    plan = bed.run()
    assert owners(plan) == {"a": "old", "b": "new"}
    told = {problem.key: problem.reason for problem in plan.desired.problems}
    assert told["services/a/b"].endswith(
        "belongs to a/a, which was created first; choose another host or path"
    )


@pytest.mark.parametrize("kind", ["named", "unnamed", "unprintable"])
def test_five_hundred_bad_services_cost_a_bounded_number_of_trials(bed: Bed, kind: str) -> None:
    bed.put(_service("good", "old"))
    bed.run()
    bed.put({k: v for n in range(500) for k, v in _service(f"s{n}", kind).items()})
    bed.judged = 0

    plan = bed.run()

    assert owners(plan) == {"good": "old"}
    assert bed.judged <= 100


def test_when_hardly_anything_was_tried_the_rest_is_tried_soon(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbsync.agent.candidate.culprits._TRY_UNTRIED_S", 0.0)
    bed.put({k: v for n in range(64) for k, v in _service(f"s{n:02}", "unnamed").items()})
    bed.put(_service("good", "new"))

    for _ in range(20):
        if owners(bed.run()) == {"good": "new"}:
            break
    else:
        pytest.fail("the good one was never served")


def test_a_hundred_bad_keys_whose_lines_are_named_do_not_delay_a_good_one(bed: Bed) -> None:
    bed.told = 50
    bed.put({"up/old": b"10.0.0.1:80"})
    bed.run()
    bad = {f"up/bad{n}": b"10.0.0.1:99999" for n in range(120)}
    bed.put({**bad, "up/old": b"10.0.0.2:99999", "up/new": b"10.0.0.1:80"})
    bed.judged = 0

    for _ in range(2):  # the second time by a new agent
        plan = bed.run()
        assert dict(plan.raw) == {"up/old": b"10.0.0.1:80", "up/new": b"10.0.0.1:80"}
        assert bed.judged <= 5
        bed.judged = 0
        bed.settler.quarantine.entries.clear()


def test_a_hundred_bad_keys_of_a_flat_directory_whose_text_is_nowhere_do_not_delay_a_good_one(
    bed: Bed,
) -> None:
    bed.told = 50
    bed.put({"bent/old": b"1"})
    bed.run()
    bad = {f"bent/{n}": f"{n}!".encode() for n in range(120)}
    bed.put({**bad, "bent/old": b"2!", "bent/new": b"1"})
    bed.judged = 0

    plan = bed.run()

    assert {k: v for k, v in plan.raw.items() if k.startswith("bent/")} == {
        "bent/old": b"1", "bent/new": b"1",
    }  # fmt: skip
    assert bed.judged <= 5


def test_of_a_flat_directory_where_nothing_can_be_told_the_good_one_is_found_in_a_few_passes(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbsync.agent.candidate.culprits._TRY_UNTRIED_S", 0.0)
    bed.put({f"flat/{n}": b"refused" for n in range(100)} | {"flat/99x": b"good"})
    for _ in range(3):
        plan = bed.run()
    assert {k for k in plan.raw if k.startswith("flat/")} == {"flat/99x"}


def test_a_hundred_bad_ones_that_nothing_names_do_not_delay_another_writer(bed: Bed) -> None:
    bed.put({"svc/old/a": b"x"})
    bed.run()
    bad = {f"svc/evil/{n}": b"refused" for n in range(120)}
    bed.put({**bad, "svc/new/a": b"x", **_service("good", "new")})

    for _ in range(2):  # the second time by a new agent
        plan = bed.run()
        assert {k for k in plan.raw if k.startswith("svc/")} == {"svc/old/a", "svc/new/a"}
        assert owners(plan) == {"good": "new"}
        bed.settler.quarantine.entries.clear()


def test_bad_certificates_do_not_hold_back_a_service(bed: Bed) -> None:
    for number in range(100):
        (bed.certificates / f"c{number}.pem").write_bytes(BAD)
    bed.put(_service("good", "new"))
    bed.judged = 0

    assert owners(bed.run()) == {"good": "new"}
    assert bed.judged <= 100


def test_a_template_that_fails_for_everybody_is_no_services_fault(bed: Bed) -> None:
    bed.put({k: v for n in range(5) for k, v in _service(f"s{n}", "named").items()})

    with pytest.raises(Refused, match="refused by name"):
        bed.run()


def test_a_bar_is_known_by_what_is_stored(bed: Bed) -> None:
    """Not by what a stage of the pass made of that, so it stays while the store stays."""
    bed.put(_service("s", "old"))
    bed.run()
    bed.put(_service("s", "unnamed", "route"))
    bed.run()
    entry = bed.settler.quarantine.entries[Suspect("service", "a/s")]
    bed.put(_service("t", "new"))
    bed.judged = 0

    bed.run()

    assert bed.settler.quarantine.entries[Suspect("service", "a/s")] is entry
    assert bed.judged == 1
    assert msgspec.structs.asdict(entry)["identity"][0][0] == "endpoints/a/s/blue"


def test_a_key_whose_last_good_value_is_refused_too_is_left_out(bed: Bed) -> None:
    bed.put({"up/x": b"\xff", "up/y": b"good"})
    bed.settler.good_raw = {"up/x": b"\xfe"}

    plan = bed.run()

    assert plan.raw == {"up/y": b"good"}
    (problem,) = plan.desired.problems
    assert problem.key == "up/x"
    assert problem.reason.startswith("the value is not UTF-8")
    assert problem.reason.endswith("it is left out")


def test_what_lbsync_itself_writes_does_not_come_back_into_templates(bed: Bed) -> None:
    own = ("agents/lb-1", "quarantine/a/s", "publishers/p/leader", "deployers/d", "/agents/lb-2")
    bed.put({**dict.fromkeys(own, b"x"), "agent/mine": b"y", "db/bind": b"z"})

    assert set(bed.run().raw) == {"agent/mine", "db/bind"}


def test_a_key_in_an_odd_spelling_is_held_back_alone(bed: Bed) -> None:
    bed.put({"/up//x": b"\xff", "up/./y": b"\xff", "up/z": b"good", "up/w": b"1", "up//w": b"2"})

    plan = bed.run()

    assert plan.raw["up/z"] == b"good"
    assert {"/up//x", "up/./y"} <= {problem.key for problem in plan.desired.problems}


def test_a_fault_that_is_nobodys_is_raised(bed: Bed) -> None:
    bed.put(_service("s", "new"))

    def judge(plan: RenderedState) -> RenderedState:
        raise Refused([Finding("haproxy.cfg", 1, "global", "no such keyword")])

    bed.judge = judge  # type: ignore[method-assign]
    with pytest.raises(LbsyncError, match="no such keyword"):
        bed.run()


def test_a_service_whose_text_takes_too_long_is_held_back_alone(tmp_path: Path) -> None:
    bed = Bed(tmp_path, time_limit_s=0.2)
    for name in NAMES:
        bed.put(_service(name, "old"))
    bed.run()
    for name in NAMES:
        bed.put(_service(name, "slow" if name in ("s1", "s3") else "new"))
    assert owners(bed.run()) == {"s0": "new", "s1": "old", "s2": "new", "s3": "old", "s4": "new"}
    reason = bed.settler.quarantine.entries[Suspect("service", "a/s1")].reason
    assert "one.j2:1: it takes too long: stopped after 0.2 s of processor time" in reason
    began = time.thread_time()
    bed.put(_service("s0", "newer"))
    assert owners(bed.run())["s0"] == "newer"
    assert time.thread_time() - began < 0.2, "what is quarantined is tried again at once"
    bed.put(_service("s1", "cured"))
    assert owners(bed.run())["s1"] == "cured"


def test_many_services_that_take_too_long_cost_the_time_of_two(tmp_path: Path) -> None:
    bed = Bed(tmp_path, time_limit_s=0.64)
    bed.put(_service("good", "old"))
    bed.run()
    for number in range(20):
        bed.put(_service(f"s{number}", "slow"))
    bed.put(_service("good", "new"))
    began = time.thread_time()
    assert owners(bed.run()) == {"good": "new"}
    assert time.thread_time() - began < 6 * 0.64


def test_a_key_that_makes_a_template_take_too_long_is_held_back_alone(tmp_path: Path) -> None:
    bed = Bed(tmp_path, time_limit_s=0.2)
    bed.put({f"up/{key}": b"old" for key in "abcdef"})
    bed.run()
    bed.put({"up/a": b"new", "up/b": b"new", "up/c": b"slow", "up/d": b"new"})
    plan = bed.run()
    assert {key: plan.raw[f"up/{key}"] for key in "abcd"} == {
        "a": b"new", "b": b"new", "c": b"old", "d": b"new",
    }  # fmt: skip


def test_a_template_that_takes_too_long_whatever_it_is_given_is_nobodys_fault(
    tmp_path: Path,
) -> None:
    bed = Bed(tmp_path, time_limit_s=0.2, more=FOR_LONG)
    bed.put({"up/a": b"new", **_service("s1", "new")})
    with pytest.raises(TemplateError, match=r"all\.j2:1: it takes too long: .* allows 0\.2 s"):
        bed.run()
    began = time.thread_time()
    bed.put({"up/a": b"newer"})
    with pytest.raises(
        TooCostly, match="it is tried again in 2 min at the latest, and at once with"
    ):
        bed.run()
    assert time.thread_time() - began < 0.1, "each wake costs the time again"
