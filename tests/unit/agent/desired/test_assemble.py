"""Who owns which host, and which backend takes which share."""

from collections.abc import Mapping
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.candidate.attribution import section_owners
from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.desired.decode import EntryChanges
from lbsync.model.desired import MOST_COOKIES, Desired, Service
from lbsync.model.slots import MAX_SLOTS, slot_counts
from tests.builders import a_shop, an_item, entries_of, servers
from tests.contract_strategies import PEM


def assemble(values: Mapping[str, object]) -> Desired:
    return Assembler([80, 443]).assemble(entries_of(values), 7, ())


def service(desired: Desired, name: str) -> Service:
    return next(s for s in desired.services if s.id == name)


def test_services_are_sorted_and_named_after_their_keys() -> None:
    desired = assemble(a_shop())
    assert [s.id for s in desired.services] == ["shop/cart", "shop/db", "shop/web"]
    assert [b.name for b in desired.backends] == [
        "be_shop_cart_default", "be_shop_db_default", "be_shop_web_default",
    ]  # fmt: skip
    assert service(desired, "shop/cart").routes == ("shop.example.com/cart/",)
    assert service(desired, "shop/db").frontend == "fe_shop_db"


def test_the_service_created_first_keeps_a_host() -> None:
    desired = assemble(
        {
            "services/z/first": {"mode": "http", "hosts": ["a.example", "b.example"]},
            "services/a/second": {"mode": "http", "hosts": ["b.example", "c.example"]},
        }
    )
    assert service(desired, "z/first").routes == ("a.example/", "b.example/")
    assert service(desired, "a/second").routes == ("c.example/",)
    (problem,) = desired.problems
    assert problem.service == "a/second"
    assert "b.example with path / belongs to z/first" in problem.reason


def test_paths_that_servers_read_alike_are_one_claim() -> None:
    odd = ["/a%20b/(x)", "/a%20b//%28%78)", "/a%20b/(x)%2F"]
    desired = assemble(
        {
            "services/a/first": {"mode": "http", "hosts": ["a.example"], "paths": ["/api", *odd]},
            "services/a/second": {"mode": "http", "hosts": ["a.example"], "paths": ["/%61pi"]},
        }
    )
    assert service(desired, "a/first").routes == ("a.example/api/", "a.example/a%20b/%28x%29/")
    assert service(desired, "a/second").routes == ()
    assert "a.example with path /api belongs to a/first" in desired.problems[0].reason


def test_a_tcp_port_has_one_owner_and_is_none_of_haproxys_own() -> None:
    desired = assemble(
        {
            "services/a/one": {"mode": "tcp", "listen": 9000},
            "services/a/two": {"mode": "tcp", "listen": 9000},
            "services/a/web": {"mode": "tcp", "listen": 80},
        }
    )
    assert [s.id for s in desired.services] == ["a/one"]
    assert "belongs to a/one" in desired.problems[0].reason
    assert "HAProxy's own" in desired.problems[1].reason


def test_www_claims_the_twin_unless_somebody_else_named_it() -> None:
    desired = assemble(
        {
            "services/a/one": {
                "mode": "http",
                "hosts": ["x.example"],
                "redirect": {"www": "strip"},
            },
            "services/a/two": {
                "mode": "http",
                "hosts": ["y.example"],
                "redirect": {"www": "strip"},
            },
            "services/a/own": {"mode": "http", "hosts": ["www.y.example"]},
        }
    )
    assert service(desired, "a/one").routes == ("x.example/", "www.x.example/")
    assert service(desired, "a/two").routes == ("y.example/",)
    assert not desired.problems


def test_without_a_route_every_group_that_has_servers_takes_the_same_share() -> None:
    values = {
        "services/a/b": {"mode": "http"},
        "endpoints/a/b/blue": servers(1),
        "endpoints/a/b/green": servers(2),
        "endpoints/a/b/none": servers(),
    }
    found = service(assemble(values), "a/b")
    assert found.slots == 2
    assert {(c.key, c.backend) for c in found.choices} == {
        ("a/b/0", "be_a_b_blue"), ("a/b/1", "be_a_b_green"),
    }  # fmt: skip
    assert len(found.backends) == 3


def test_a_route_is_obeyed_and_one_taker_needs_no_slots() -> None:
    values = {
        "services/a/b": {"mode": "http"},
        "endpoints/a/b/blue": servers(1),
        "endpoints/a/b/green": servers(),
        "routes/a/b": {"groups": {"green": 1, "blue": 0}},
    }
    found = service(assemble(values), "a/b")
    assert found.slots == 0
    assert [(c.key, c.backend) for c in found.choices] == [("a/b", "be_a_b_green")]


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3), min_size=1).filter(
        lambda shares: any(shares.values())
    ),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2)),
)
def test_only_groups_with_a_share_get_traffic_whatever_is_there(
    shares: dict[str, int], there: dict[str, int]
) -> None:
    """Servers by group are `there`; a group can be missing, empty, or unknown to the route."""
    values = {
        "services/t/s": {"mode": "http"},
        "routes/t/s": {"groups": shares},
        **{f"endpoints/t/s/{group}": servers(*range(1, n + 1)) for group, n in there.items()},
    }
    found = service(assemble(values), "t/s")
    led_to = {backend.group for c in found.choices for backend in found.backends
              if backend.name == c.backend}  # fmt: skip
    named = {group for group, share in shares.items() if share}
    assert led_to
    assert led_to == (named & there.keys() or named)


def test_a_service_without_endpoints_still_has_a_backend() -> None:
    found = service(assemble({"services/a/b": {"mode": "http"}}), "a/b")
    assert [(b.name, b.servers) for b in found.backends] == [("be_a_b_default", ())]


def test_https_only_redirects_all_but_those_that_say_no() -> None:
    values = {
        "settings/global": {"https": "only"},
        "services/a/yes": {"mode": "http", "hosts": ["y"]},
        "services/a/no": {"mode": "http", "hosts": ["n"], "redirect": {"https": False}},
    }
    desired = assemble(values)
    assert service(desired, "a/yes").backends[0].https
    assert not service(desired, "a/no").backends[0].https


def test_what_did_not_change_is_the_same_object_again() -> None:
    assembler = Assembler()
    values = a_shop()
    first_entries = dict(entries_of(values))
    first = assembler.assemble(first_entries, 1, ())
    changed = {**values, "endpoints/shop/web/default": servers(8001)}
    second_entries = {
        **first_entries,
        "endpoints/shop/web/default": entries_of(changed)["endpoints/shop/web/default"],
    }
    second = assembler.assemble(second_entries, 2, ())
    assert service(second, "shop/cart") is service(first, "shop/cart")
    assert service(second, "shop/web") is not service(first, "shop/web")


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10_000), min_size=1))
def test_slots_follow_the_weights_and_leave_nobody_out(shares: dict[str, int]) -> None:
    counts = slot_counts(shares)
    total, weights = sum(counts.values()), sum(shares.values())
    assert counts.keys() == shares.keys()
    assert min(counts.values()) >= 1
    assert total <= MAX_SLOTS + len(shares)
    for group, share in shares.items():
        assert abs(Fraction(counts[group], total) - Fraction(share, weights)) <= Fraction(
            len(shares) + 1, MAX_SLOTS
        )


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["a/one", "a/two", "b/three", "b/new"]),
        st.sampled_from(
            ["hosts", "servers", "route", "www", "tcp", "paths", "group", "twin", "gone"]
        ),
        st.integers(0, 4),
    ),
    max_size=12,
)


def changed(values: dict[str, object], name: str, what: str, number: int) -> None:
    """Change one thing of one service."""
    key = f"services/{name}"
    old = values.get(key)
    record = {k: v for k, v in old.items() if k != "listen"} if isinstance(old, dict) else {}
    record["mode"] = "http"
    if what == "hosts":
        values[key] = {**record, "hosts": [f"h{n}.x" for n in range(number)]}
    elif what == "twin":
        values[key] = {**record, "hosts": [f"www.h{n}.x" for n in range(number)]}
    elif what == "gone":
        for gone in [each for each in values if each.split("/")[1:3] == name.split("/")]:
            del values[gone]
    elif what == "www":
        values[key] = {**record, "hosts": [f"h{number}.x"], "redirect": {"www": "strip"}}
    elif what == "paths":
        values[key] = {**record, "paths": [f"/p{number}"]}
    elif what == "tcp":
        values[key] = {"mode": "tcp", "listen": 9000 + number}
    elif what == "servers":
        values[f"endpoints/{name}/default"] = servers(*range(1, number + 1))
    elif what == "group":
        values[f"endpoints/{name}/g{number}"] = servers(7)
    else:
        values[f"routes/{name}"] = {"groups": {"default": 1, f"g{number}": number}}


@given(CHANGES)
def test_what_is_nudged_or_assembled_step_by_step_is_what_would_be_assembled_anew(
    changes: list[tuple[str, str, int]],
) -> None:
    values: dict[str, object] = {
        "services/a/one": {"mode": "http", "hosts": ["one.x"]},
        "endpoints/a/one/default": servers(1, 2),
        "services/a/two": {"mode": "http", "hosts": ["two.x"]},
        "endpoints/a/two/default": servers(3),
        "services/b/three": {"mode": "http", "hosts": ["h1.x"]},
    }
    assembler, slow, entries = Assembler([80]), Assembler([80]), dict(entries_of(values))
    slow.assemble(entries, 1, ())
    last = assembler.assemble(entries, 1, ()).services
    known = {found.id: found for found in last}
    for name, what, number in changes:
        changed(values, name, what, number)
        created = {key: entry.item.create_revision for key, entry in entries.items()}
        fresh = {key: entry for key, entry in entries.items() if key in values}
        for key, entry in entries_of(values).items():
            if key not in entries or entries[key].item.value != entry.item.value:
                item = an_item(key, entry.item.value, 99, created.get(key, 50 + len(entries)))
                fresh[key] = msgspec.structs.replace(entry, item=item)
        news = [entry for key, entry in fresh.items() if entries.get(key) is not entry]
        gone = tuple(entry for key, entry in entries.items() if key not in fresh)
        nudged = assembler.update(EntryChanges(tuple(news), gone))
        entries = fresh
        found = slow.assemble(entries, 1, ())
        if nudged is None:
            known = {each.id: each for each in assembler.assemble(entries, 1, ()).services}
        else:
            known |= {each.id: each for each in nudged.changed}
            for lost in nudged.gone:
                del known[lost]
        anew = Assembler([80]).assemble(entries, 1, ())
        assert [s.id for s in found.services] == [s.id for s in anew.services]
        assert found.problems == anew.problems
        assert [s.routes for s in found.services] == [s.routes for s in anew.services]
        wanted = {s.id: s for s in anew.services}
        assert {k: msgspec.to_builtins(v, enc_hook=str) for k, v in known.items()} == {
            k: msgspec.to_builtins(v, enc_hook=str) for k, v in wanted.items()
        }


def test_groups_share_what_stands_with_the_first_of_them() -> None:
    values = {
        "services/a/b": {"mode": "http"},
        "endpoints/a/b/blue": servers(1),
        "endpoints/a/b/green": {"servers": [{"name": "s", "address": "db.example.com", "port": 1}]},
    }
    desired = assemble(values)
    blue, green = service(desired, "a/b").backends
    assert (blue.lead, green.lead) == ("be_a_b_blue", "be_a_b_blue")
    assert blue.users == green.users == "ul_a_b_blue"
    assert (blue.by_name, green.by_name, desired.by_name) == (False, True, True)
    assert [s.name for s in section_owners(desired)["ul_a_b_blue"]] == ["a/b"]


def test_authorities_of_services_are_files_named_by_their_content() -> None:
    tls = {"sni": "a.example", "ca": PEM}
    values = {name: {"mode": "http", "hosts": [name[-1]], "backend_tls": tls}
              for name in ("services/a/x", "services/a/y")}  # fmt: skip
    ((path, data),) = assemble(values).authorities.items()
    assert path.startswith("ca/")
    assert data == PEM.encode()


def test_a_cookie_leads_to_the_groups_that_take_traffic_and_no_other() -> None:
    values: dict[str, object] = {
        "services/a/b": {"mode": "http", "sticky": {"cookie": "SRV"}},
        **{f"endpoints/a/b/{group}": servers(1) for group in ("blue", "green", "grey")},
        "routes/a/b": {"groups": {"green": 1, "blue": 1, "grey": 0}},
    }
    found = service(assemble(values), "a/b")
    assert [(c.key, c.backend) for c in found.cookie_choices] == [
        ("blue/SRV/a/b", "be_a_b_blue"), ("green/SRV/a/b", "be_a_b_green"),
    ]  # fmt: skip
    whole = service(assemble({**values, "routes/a/b": {"groups": {"blue": 1}}}), "a/b")
    assert not whole.cookie_choices, "there is nothing to choose"


def test_cookies_of_many_names_are_those_that_most_services_use() -> None:
    names = ["used", *(f"c{number}" for number in range(MOST_COOKIES)), "used"]
    values = {
        f"services/a/s{number}": {
            "mode": "http",
            "hosts": [f"{number}.example"],
            "sticky": {"cookie": name},
        }
        for number, name in enumerate(names)
    }
    found = assemble(values).sticky_cookies
    assert len(found) == MOST_COOKIES
    assert "used" in found


def test_the_host_of_a_preview_is_claimed_like_any_other_and_leads_no_traffic_here() -> None:
    preview = {"networks": ["10.0.0.0/9"], "hosts": {"green": "b.example"}}
    found = service(
        assemble(
            {
                "services/a/first": {"mode": "http", "hosts": ["a.example"], "preview": preview},
                "endpoints/a/first/blue": servers(1),
                "services/b/second": {"mode": "http", "hosts": ["b.example", "c.example"]},
            }
        ),
        "a/first",
    )
    assert found.routes == ("a.example/", "b.example/")
    assert found.open_routes == ["a.example/"]
    assert found.preview_hosts == [("b.example/a/first", "green")]
    assert [(c.key, c.backend) for c in found.previews] == [("blue/a/first", "be_a_first_blue")]
    assert found.previewers == [f"a/first/4:0A{digit}" for digit in "01234567"]
