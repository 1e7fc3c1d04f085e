"""Which services share a section of settings, and that nothing of theirs is lost or mixed up in it."""

import gc
import json
import re
from typing import Any

import pytest
from hypothesis import given

from lbsync.agent.desired import template_context
from lbsync.cli.configuration.plan import make_plan, texts
from lbsync.errors import BadKey, ItemsRefused, Rejected
from lbsync.model.desired import Profile
from lbsync.model.profiles import Profiles, by_service, in_common
from lbsync.model.records import ServiceRecord
from lbsync.schema.decode import decode
from lbsync.schema.keys import parse_key
from lbsync.settings import Settings
from tests.builders import a_snapshot
from tests.contract_strategies import of_record

RENDERER = template_context.make_renderer(Settings())
KEY = "services/a/b"


def record(**fields: Any) -> ServiceRecord:
    key = parse_key(KEY)
    assert key is not None
    found = decode(KEY, key, json.dumps({"mode": "http", **fields}).encode())
    assert isinstance(found, ServiceRecord)
    return found


def test_services_with_the_same_settings_share_one_and_it_stays_the_same_object() -> None:
    profiles = Profiles()
    one = profiles.of(record(hosts=["a.example"], maxconn=5, owner="ann"), "a/a", https=False)
    other = profiles.of(record(hosts=["b.example"], paths=["/b"]), "a/b", https=False)
    assert one is other
    assert one is not profiles.of(record(), "a/c", https=True)


def test_a_profile_that_nobody_stands_on_is_forgotten() -> None:
    profiles = Profiles()
    made = profiles.of(record(balance="leastconn"), "a/a", https=False)
    name = made.name
    del made
    gc.collect()
    assert name not in profiles._known


@pytest.mark.parametrize(
    "fields",
    [
        {"balance": "leastconn"},
        {"timeouts": {"server": "7s"}},
        {"check": {"path": "/health"}},
        {"check": {"path": "/health", "method": "HEAD"}},
        {"headers": {"request": {"set": {"x-a": "b"}}}},
        {"auth": {"users": {"ann": "$6$abcdefgh$" + "a" * 86}}},
        {"deny": ["10.0.0.0/8"]},
    ],
)
def test_other_settings_are_another_one(fields: dict[str, Any]) -> None:
    profiles = Profiles()
    plain = profiles.of(record(), "a/a", https=False)
    assert profiles.of(record(**fields), "a/a", https=False).name != plain.name


def test_requests_of_two_services_are_not_counted_together() -> None:
    limited = record(rate_limit={"requests": 9, "period": "1m"})
    profiles = Profiles()
    one, other = (profiles.of(limited, name, https=False) for name in ("a/a", "a/b"))
    assert one.table != other.table


def test_what_is_written_on_server_lines_makes_no_profile_of_its_own() -> None:
    profiles = Profiles()
    plain = profiles.of(record(), "a/a", https=False)
    for fields in (
        {"maxconn": 9},
        {"check": {"type": "none"}},
        {"check": {"interval": "5s", "fall": 9, "port": 81}},
        {"backend_tls": {"verify": "none"}},
        {"backend_protocol": "h2c"},
        {"redirect": {"https": False, "code": 308}},
    ):
        assert profiles.of(record(**fields), "a/b", https=False) is plain


def printed(profile: Profile) -> str:
    (text,) = RENDERER.fragments("profile.cfg.j2", [profile])
    return text


def printed_or_refused(profile: Profile) -> str:
    """Return why it cannot be printed, where that is so: a `}` alone is no word of a configuration."""
    try:
        return printed(profile)
    except Rejected as refusal:
        return str(refusal)


def accepted(document: dict[str, Any]) -> ServiceRecord:
    """What is left of a document without the fields that are refused."""
    fields = {"mode": "http", "hosts": ["a.example"], **document}
    while True:
        try:
            return record(**fields)
        except BadKey as error:
            named = re.split(r"[.\[:,]", error.reason)[0]
            fields = {k: v for k, v in fields.items() if k != named} if named in fields else {}


@given(of_record(ServiceRecord))
def test_what_is_taken_out_of_a_record_prints_nothing(document: dict[str, Any]) -> None:
    whole = accepted(document)
    for https in (True, False):
        shared = in_common(whole, https=https)
        both = [printed_or_refused(Profile("p_1", one, https)) for one in (whole, shared)]
        assert both[0] == both[1]
        assert in_common(shared, https=https) == shared


def test_each_backend_stands_on_its_profile_and_each_profile_is_there_once() -> None:
    values: dict[str, object] = {
        f"services/a/s{number}": {"mode": "http", "hosts": [f"h{number}.example"], "balance": how}
        for number, how in enumerate(("first", "random", "first"))
    }
    plan = make_plan(Settings(), a_snapshot(values))
    text = texts(plan.rendered)["haproxy.cfg"].decode()
    names = [backend.profile.name for backend in plan.desired.backends]
    assert names[0] == names[2] != names[1]
    for profile in plan.desired.profiles:
        assert text.count(f"\ndefaults {profile.name} from d_base\n") == 1
    for backend in plan.desired.backends:
        assert f"\nbackend {backend.name} from {backend.profile.name}\n" in text


def test_a_profile_that_cannot_be_printed_is_told_of_all_its_services() -> None:
    values: dict[str, object] = {
        f"services/a/s{number}": {"mode": "http", "hosts": [f"h{number}.example"], "balance": how}
        for number, how in enumerate(("first", "random", "first"))
    }
    services = make_plan(Settings(), a_snapshot(values)).desired.services
    name = services[0].backends[0].profile.name
    found = by_service(ItemsRefused({name: "no", "a/s1": "never"}), services)
    assert found.reasons == {"a/s0": "no", "a/s1": "never", "a/s2": "no"}
