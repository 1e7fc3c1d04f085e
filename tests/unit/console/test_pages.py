"""What the pages and the API say."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.source import Health
from lbsync.console.board import Shown
from lbsync.console.facts.deployments import Deployments
from lbsync.console.facts.services import ServiceIndex
from lbsync.console.facts.state import StateBuilder
from lbsync.console.pages.table import PAGES, Question
from lbsync.console.problem import RequestProblem
from lbsync.console.rendering import Renderer
from tests.console_client import (
    ENDED,
    OWN,
    UNDER_WAY,
    ConsoleClient,
    a_deployment,
    a_fleet,
    an_agent,
    stored,
)

PATHS = (
    "/", "/hosts/lb-1", "/hosts/lb-2", "/hosts/lb-3", "/services", "/services?q=cart&order=trouble",
    "/services/shop/cart", "/services/db/main", "/services/shop/bad", "/refused", "/publishers",
    "/lookup?url=https://cart.example.com/api/x", "/apps", "/apps/shop/cart", "/apps/shop/bad", "/deployments",
    "/cluster",
    f"/deployments/shop/cart/{UNDER_WAY}", f"/deployments/db/main/{ENDED}",
)  # fmt: skip


class _Reader(HTMLParser):
    """Notes elements and attributes of a page, and whether it is well-formed as far as we use HTML."""

    VOID = frozenset({"meta", "link", "input", "br", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture
def console(tmp_path: Path) -> ConsoleClient:
    return ConsoleClient(tmp_path)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_whole_and_says_what_it_is(console: ConsoleClient, path: str) -> None:
    answer = console.get(path)
    assert answer.status_code == 200
    page = _Reader(answer.text)
    assert page.open == []
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    labels = {attributes.get("for") for tag, attributes in page.elements if tag == "label"}
    fields = {
        a["id"]
        for tag, a in page.elements
        if tag in ("input", "select") and a.get("type") != "hidden"
    }
    assert fields <= labels
    assert tags.count("caption") == tags.count("table")


def test_the_fleet_shows_who_needs_somebody_first(console: ConsoleClient) -> None:
    text = _Reader(console.get("/").text).text
    table = text[text.index("What to know") :]
    assert table.index("lb-3") < table.index("lb-2") < table.index("lb-1")
    assert "3 balancers: 1 critical, 1 with a warning." in text
    assert "gone since 2026-01-02T00:00:00Z" in text
    assert "shop/cart would lose 2 of 2 servers" in text
    assert "lbsync confirm --fleet 4f2a" in text


def test_a_host_tells_why_it_last_reloaded(console: ConsoleClient) -> None:
    text = " ".join(_Reader(console.get("/hosts/lb-2").text).text.split())
    assert "2 since the agent started; the last one for: frontend fe_db_main, line 4" in text


def test_a_service_shows_groups_shares_servers_and_every_balancer(console: ConsoleClient) -> None:
    text = " ".join(_Reader(console.get("/services/shop/cart").text).text.split())
    for said in ("blue 90 %", "green 10 %", "b1 10.0.0.7:80", "0 of 1 servers take requests",
                 "lb-1 served as written", "lb-2 the removal of servers is held", "lb-3 does not report"):  # fmt: skip
        assert said in text


def test_a_refused_key_is_shown_with_the_cure(console: ConsoleClient) -> None:
    text = console.get("/refused").text
    assert "services/shop/bad" in text
    assert "chek: no such field; did you mean check?" in text


def test_publishers_and_what_they_tell_owners_are_shown(console: ConsoleClient) -> None:
    text = console.get("/publishers").text
    assert "3 published, in step, led by pod-1/7; 1 refused" in text
    assert "service shop/mail" in text
    assert "hosts: no name" in text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://cart.example.com/api/x?y=1", "shop/cart answers, by its claim on cart.example.com with path /api."),
        ("CART.example.com.", "shop/cart answers, by its claim on cart.example.com with path /."),
        ("http://other.example.com/", "Nobody claims it: HAProxy answers 404."),
        ("https://cart.example.com/a/../b", "HAProxy answers 400, because the path has . or .."),
        ("tcp://any:5432", "db/main answers on port 5432."),
        ("tcp://any:1", "No tcp service listens on port 1."),
        ("ftp://x/", "is no URL: write one like https://shop.example.com/cart"),
    ],
)  # fmt: skip
def test_a_url_is_answered_by_its_service(console: ConsoleClient, url: str, said: str) -> None:
    assert (
        said in _Reader(console.ask("GET", f"/lookup?url={url}", {"accept": "text/html"}).text).text
    )


@pytest.mark.parametrize(
    "path", ["/hosts/lb-9", "/services/shop/nope", "/nowhere", "/static/x.css", "/live/hosts/x"]
)
def test_what_is_not_there_is_a_404_that_says_so(console: ConsoleClient, path: str) -> None:
    answer = console.get(path)
    assert answer.status_code == 404
    if not path.startswith("/live"):
        assert "<h1>" in answer.text


def test_a_fleet_of_nobody_says_how_to_begin(tmp_path: Path) -> None:
    empty = ConsoleClient(tmp_path, {})
    assert "No agent reports" in empty.get("/").text
    for path in ("/services", "/refused", "/publishers", "/lookup"):
        assert empty.get(path).status_code == 200


def test_etcd_away_is_said_with_the_age_of_what_is_shown(console: ConsoleClient) -> None:
    assert "etcd does not answer" not in console.get("/").text
    console.source.break_off("connection refused")
    text = console.get("/").text
    assert "etcd does not answer" in text
    assert "connection refused" in text
    assert re.search(r"grows old since\s+<time datetime=", text)
    assert "lb-1" in text


def test_search_and_pages_find_every_service_once(tmp_path: Path) -> None:
    many = {
        f"services/ns/s{n:03}": {"mode": "http", "hosts": [f"s{n}.example.com"]} for n in range(250)
    }
    console = ConsoleClient(tmp_path, many)
    seen = []
    for page in (1, 2, 3):
        found = console.get(f"/api/services?page={page}&per=100").json()
        assert found["all"] == 250
        seen += [row["service"] for row in found["rows"]]
    assert seen == sorted(many_name.removeprefix("services/") for many_name in many)
    assert console.get("/api/services?q=s24.example").json()["found"] == 1
    assert "page 3 of 3" in console.get("/services?page=99").text


def test_the_api_says_the_same_as_the_pages(console: ConsoleClient) -> None:
    fleet = console.get("/api/fleet").json()
    assert [host["host"] for host in fleet["hosts"]] == ["lb-3", "lb-2", "lb-1"]
    assert console.get("/api/hosts/lb-2").json()["reload_reason"] == "frontend fe_db_main, line 4"
    assert console.get("/api/services/shop/cart").json()["groups"][0]["row"]["share"] == 90.0
    assert console.get("/api/lookup?url=cart.example.com").json()["service"] == "shop/cart"
    assert console.get("/api/refused").json()["all"] == 1
    assert console.get("/api/publishers").json()["clusters"][0]["services"] == 3
    assert console.get("/api/health").json()["ok"] is True


def test_the_api_is_described(console: ConsoleClient) -> None:
    found = console.get("/api/schema/openapi.json").json()
    assert {"/api/fleet", "/api/services/{ns}/{name}", "/api/holds/{hold_id}/confirm"} <= set(
        found["paths"]
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/hosts/lb-9", 404), ("/api/nothing", 404), ("/api/services?page=x", 400),
     ("/api/lookup?url=ftp://x", 400), ("/api/services?order=odd", 400)],
)  # fmt: skip
def test_an_error_of_the_api_is_a_problem_document(
    console: ConsoleClient, path: str, status: int
) -> None:
    answer = console.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["title"]


def test_secrets_of_services_are_on_no_page(tmp_path: Path) -> None:
    secret = "$6$rounds=5000$abcdefgh$" + "x" * 86
    service = {
        "mode": "http", "hosts": ["a.example.com"], "auth": {"users": {"ann": secret}},
        "headers": {"request": {"set": {"Authorization": "Bearer topsecret"}}},
    }  # fmt: skip
    console = ConsoleClient(tmp_path, {"services/shop/web": service})
    for path in ("/services/shop/web", "/services", "/", "/api/services/shop/web", "/refused"):
        text = console.get(path).text
        assert "x" * 86 not in text
        assert "topsecret" not in text
    assert "required" in console.get("/services/shop/web").text


RENDERER = Renderer()
KNOWN = frozenset(
    re.findall(
        r"\w+",
        "a b br button caption code dd div dl dt form h1 h2 h3 input label li nav ol option p rect section "
        "select small span strong svg table tbody td th thead time tr ul",
    )
)
NASTY = st.one_of(
    st.sampled_from(
        ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "' onfocus='x",
         "</main></body>", "{{ 7*7 }}", "{% raw %}", "\u202e\u2028\x1b[2J", "&lt;b&gt;", "]]>", "../../etc"]
    ),
    st.text(max_size=40),
)  # fmt: skip


@given(
    text=NASTY,
    other=NASTY,
    key=st.sampled_from(
        ["quarantine/{}", "agents/{}", "publishers/{}/leader", "services/{}", "services/a/{}"]
    ),
)
def test_nothing_that_somebody_writes_becomes_part_of_a_page(
    text: str, other: str, key: str
) -> None:
    nasty = an_agent(
        state=text, digest=other, haproxy=text, lbsync=other, error=text, waits=other, draining=text,
        reload_reason=other, quarantined=[text, other], held={text: other, "removal": text},
        hold={"id": text, "services": {other: 0}, "since": text}, applied_at=other, started_at=text,
    )  # fmt: skip
    values = a_fleet() | {
        "agents/lb-1": nasty,
        "agents/lb-4/seen": {"at": text, "left": other},
        "services/shop/cart": {"mode": "http", "hosts": ["cart.example.com"], "owner": "o" + text.strip()[:9]},
        "quarantine/shop/cart": {"reason": text, "revision": 1, "host": "lb-1", "since": other},
        "publishers/prod/leader": {"identity": text, "since": other},
        "publishers/prod/heartbeat": {
            "identity": text, "synced_at": other, "services": 1, "notices": [text], "hold_sentence": other,
            "kubernetes": text, "unread": {text: other},
        },
        "publishers/prod/reports/service/shop/mail": {"since": text, "refused": other, "warnings": [text]},
        key.format(text): nasty,
    }  # fmt: skip
    try:
        values = {
            name: json.dumps(value).encode() for name, value in values.items() if name.encode()
        }
    except UnicodeEncodeError:
        return
    shown = Shown(
        ServiceIndex(StateBuilder(frozenset()).build(stored(values).snapshot())),
        Health(False, text, 1.0),
        deployments=Deployments(stored(_nasty_deployments(text, other)).snapshot()),
    )
    for page in PAGES:
        question = Question(
            {"host": "lb-1", "ns": "shop", "name": "cart", "deployment": UNDER_WAY},
            {"q": text, "url": other},
            1e9,
        )
        view = page.view(shown, question)
        assert msgspec.json.encode(view)
        html = RENDERER.plain(
            page.template,
            view=view,
            health=shown.health,
            revision=1,
            may=lambda *_: True,
            query=question.query,
        )
        read = _Reader(html)
        assert read.open == []
        for tag, attributes in read.elements:
            assert tag in KNOWN
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            for name in ("href", "action", "src"):
                if attributes.get(name) is not None:
                    assert re.match(r"/(?![/\\])", str(attributes[name]))


def _nasty_deployments(text: str, other: str) -> dict[str, Any]:
    """Deployments of which somebody wrote every text."""
    kept = a_deployment()
    # A group that is not a name is refused when the record is read.
    nasty = {"group": "green", "deployment": other, "document": {"image": text}}
    for name in (f"deployments/shop/cart/{UNDER_WAY}", f"deployments/shop/cart/{ENDED}"):
        version = nasty | {"group": "green"}  # any other makes the record unreadable
        kept[name] |= {
            "version": version, "old": version, "by": text, "reason": other, "waits": text, "paused": other,
            "created_at": text, "ended_at": other, "notices": [text, other], "revisions": {text: 1},
        }  # fmt: skip
    kept["versions/shop/cart"] |= {"live": nasty, "warm": [{"version": nasty, "until": other}]}
    kept[f"events/shop/cart/{UNDER_WAY}/000001"] |= {"text": text, "by": other, "at": text}
    return kept


@given(url=st.text(max_size=200))
def test_any_text_may_be_looked_up_and_searched(url: str) -> None:
    shown = Shown(
        ServiceIndex(StateBuilder(frozenset()).build(stored({}).snapshot())),
        Health(True, "", 1.0),
        deployments=Deployments(stored({}).snapshot()),
    )
    question = Question(
        {"host": url, "ns": url, "name": url, "deployment": url},
        {"q": url, "url": url, "page": url, "after": url},
        1e9,
    )
    for page in PAGES:
        try:
            view = page.view(shown, question)
        except RequestProblem as error:
            assert error.problem.status == 404
            continue
        assert RENDERER.plain(
            page.template,
            view=view,
            health=shown.health,
            revision=1,
            may=lambda *_: False,
            query=question.query,
        )


def test_a_confirmation_needs_the_right_of_an_admin(console: ConsoleClient) -> None:
    reader = console.log_in("read", "bob")
    assert console.get("/confirm/4f2a", reader).status_code == 403
    assert console.post("/confirm/4f2a", reader | OWN).status_code == 403
    assert "This is meant" not in console.get("/", reader).text
    assert not [key for key in console.source.snapshot().items if key.startswith("confirmations/")]


def test_a_confirmation_is_shown_first_and_then_written_with_who_did_it(
    console: ConsoleClient,
) -> None:
    operator = console.log_in("admin", "ann")
    assert 'href="/confirm/4f2a"' in console.get("/", operator).text
    plan = _Reader(console.get("/confirm/4f2a", operator).text).text
    assert "shop/cart" in plan
    answer = console.post("/confirm/4f2a", operator | OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?done=confirm")
    item = console.source.snapshot().items["confirmations/4f2a"]
    written = json.loads(item.value)
    assert written["services"] == {"shop/cart": 0}
    assert written["by"].startswith("token ann from ")
    assert "confirmations/4f2a" in console.source.snapshot().leased


def test_a_program_confirms_with_its_token(console: ConsoleClient) -> None:
    token = console.tokens.add("ci", "admin")
    answer = console.ask("POST", "/api/holds/4f2a/confirm", {"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["services"]) == (202, {"shop/cart": 0})
    gone = console.ask("POST", "/api/holds/none/confirm", {"authorization": f"Bearer {token}"})
    assert (gone.status_code, gone.json()["title"]) == (404, "Nobody holds this removal")


def test_an_order_is_explained_first_and_needs_a_host_that_would_do_it(
    console: ConsoleClient,
) -> None:
    operator, reader = console.log_in("admin", "ann"), console.log_in("read", "bob")
    assert 'href="/hosts/lb-1/drain"' in console.get("/hosts/lb-1", operator).text
    assert 'href="/hosts/lb-1/drain"' not in console.get("/hosts/lb-1", reader).text
    assert (
        "answers 503, so the load balancer in front"
        in console.get("/hosts/lb-1/drain", operator).text
    )
    assert console.get("/hosts/lb-1/drain", reader).status_code == 403
    assert console.get("/hosts/lb-3/drain", operator).status_code == 404
    assert console.get("/hosts/lb-1/explode", operator).status_code == 404
    assert console.get("/hosts/lb-1/rollback", operator).status_code == 404  # it tells of nothing
    assert not [key for key in console.source.snapshot().items if key.startswith("orders/")]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"[" * 5000, 422, "nested"),
        (b'{"reason": "\\ud800"}', 422, "the body"),
        (b'{"reasn": "x"}', 422, "reason"),
        (b'{"reason": 1}', 422, "reason"),
        (b"\xff", 422, "the body"),
        (b'{"reason": ', 422, "the body"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_by_its_field(
    console: ConsoleClient, body: bytes, status: int, words: str
) -> None:
    token = console.tokens.add("ci", "admin")
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    answer = console.send("POST", "/api/hosts/lb-1/undrain", headers, body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    headers["content-type"] = "text/plain"
    assert console.send("POST", "/api/hosts/lb-1/undrain", headers, body).status_code == 415


def test_a_rollback_says_to_what_before_it_is_ordered(tmp_path: Path) -> None:
    earlier = {"generation": 3, "digest": "abcdef12", "revision": 40, "proved_at": ""}
    host = an_agent(earlier=earlier, state="rolled-back")
    console = ConsoleClient(tmp_path, a_fleet() | {"agents/lb-1": host})
    operator = console.log_in("admin", "ann")
    page = console.get("/hosts/lb-1", operator).text
    assert 'href="/hosts/lb-1/rollback"' in page
    assert 'href="/hosts/lb-1/rollback-release"' in page
    plan = _Reader(console.get("/hosts/lb-1/rollback", operator).text)
    assert "abcdef12" in plan.text
    assert "revision 40" in plan.text
    given = {"type": "hidden", "name": "generation", "value": "abcdef12"}
    assert ("input", given) in plan.elements


def test_who_did_what_is_shown(console: ConsoleClient) -> None:
    operator = console.log_in("admin", "ann")
    assert "No entries yet" in console.get("/history", operator).text
    console.post("/confirm/4f2a", operator | OWN)
    text = _Reader(console.get("/history", operator).text).text
    for said in ("token ann from 127.0.0.1", "confirm --fleet", "4f2a", "1 service"):
        assert said in text
    assert console.get("/api/history", operator).json()["entries"][0]["action"] == "confirm --fleet"
