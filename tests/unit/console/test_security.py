"""Who is let in, and to what."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.console.context import EVERYBODY
from lbsync.console.pages.login import local
from lbsync.console.security.limits import RateLimit
from lbsync.console.security.origin import is_known_host, is_own_page
from lbsync.console.security.sessions import Sessions
from lbsync.console.security.tokens import Tokens
from lbsync.errors import Rejected
from lbsync.settings import Bind
from lbsync.values.addresses import Network
from tests.console_client import ENDED, HOST, OWN, PAGE, ConsoleClient


@pytest.fixture
def console(tmp_path: Path) -> ConsoleClient:
    return ConsoleClient(tmp_path)


def test_every_answer_forbids_what_no_page_here_needs(console: ConsoleClient) -> None:
    for path in ("/", "/nowhere", "/api/fleet", "/static/console.css", "/login"):
        headers = console.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert ("no-store" in headers["cache-control"]) == (not path.startswith("/static/"))
        assert "server" not in headers


def test_without_tokens_this_host_itself_may_look_and_nothing_else(console: ConsoleClient) -> None:
    assert console.get("/").status_code == 200
    assert console.get("/confirm/4f2a").status_code == 403
    assert console.post("/confirm/4f2a").status_code == 403
    assert console.ask("POST", "/api/holds/4f2a/confirm", OWN).status_code == 403


def test_what_a_proxy_passes_on_is_somebody_elses_and_needs_a_token(console: ConsoleClient) -> None:
    answer = console.get("/api/fleet", PAGE | {"x-forwarded-for": "192.0.2.7"})
    assert answer.status_code == 503
    assert "lbsync token add NAME" in answer.json()["detail"]


@pytest.mark.parametrize(
    "settings",
    [
        {"bind": Bind("192.0.2.1:8480")}, {"names": ("console.example.com",)},
        {"trusted_proxies": (Network("10.0.0.0/8"),)},
    ],
)  # fmt: skip
def test_who_serves_others_lets_nobody_in_without_a_token(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    console = ConsoleClient(tmp_path, **settings)
    assert console.get("/").status_code == 503
    console.tokens.add("ann", "read")
    assert console.get("/api/fleet").status_code == 401
    assert console.get("/").headers["location"] == "/login?next=/"


def test_a_token_once_made_is_needed_also_when_its_file_is_gone(tmp_path: Path) -> None:
    console = ConsoleClient(tmp_path)
    console.tokens.add("ann", "read")
    assert console.get("/api/fleet").status_code == 401
    (tmp_path / "tokens.json").unlink()
    assert console.get("/api/fleet").status_code == 503


def test_a_bearer_is_let_in_by_a_token_and_by_nothing_else(console: ConsoleClient) -> None:
    token = console.tokens.add("ci", "read")
    for word, status in (
        (token, 200),
        (token[:-1], 401),
        ("", 401),
        (token + " x", 401),
    ):
        answer = console.ask("GET", "/api/fleet", {"authorization": f"Bearer {word}"})
        assert answer.status_code == status
    assert "Bearer" in console.ask("GET", "/api/fleet", {}).headers["www-authenticate"]


def test_a_login_ends_by_logging_out_and_with_its_token(console: ConsoleClient) -> None:
    ann, bob = console.log_in("read", "ann"), console.log_in("read", "bob")
    assert console.get("/", ann).status_code == 200
    assert console.post("/logout", ann | OWN).status_code == 303
    assert console.get("/", ann).status_code == 303
    assert console.get("/", bob).status_code == 200
    console.tokens.remove("bob")
    assert console.get("/api/fleet", bob).status_code in (401, 503)


def test_a_cookie_is_for_this_host_alone_and_for_no_script(console: ConsoleClient) -> None:
    token = console.tokens.add("ann", "read")
    cookie = console.post("/login", token=token).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "domain" not in cookie
    assert token not in cookie


def test_a_wrong_token_is_told_and_tried_ten_times_at_most(console: ConsoleClient) -> None:
    console.tokens.add("ann", "read")
    answers = [console.post("/login", token="lbsync_wrong") for _ in range(12)]
    assert answers[0].status_code == 401
    assert "This token is not known here" in answers[0].text
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
     {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"},
     {"origin": f"http://{HOST}", "sec-fetch-site": "cross-site"}, {"origin": "http://[::"}],
)  # fmt: skip
def test_a_page_of_somebody_else_changes_nothing(
    console: ConsoleClient, headers: dict[str, str]
) -> None:
    ann = console.log_in("admin", "ann")
    for path in ("/confirm/4f2a", "/api/holds/4f2a/confirm", "/logout"):
        answer = console.post(path, ann | headers)
        assert answer.status_code == 403
        assert "came from another page" in answer.text
    assert console.get("/", ann).status_code == 200
    assert not [key for key in console.source.snapshot().items if key.startswith("confirmations/")]


@pytest.mark.parametrize(
    ("host", "names", "is_local", "known"),
    [
        ("localhost:8480", (), True, True), ("127.0.0.1:8480", (), True, True), ("[::1]:8480", (), True, True),
        ("evil.example:8480", (), True, False), ("evil.example", ("console.example.com",), False, False),
        ("Console.Example.com.:443", ("console.example.com",), False, True), ("any.example", (), False, True),
        ("", (), False, False), ("[::", (), False, False), ("localhost.evil.example", (), True, False),
    ],
)  # fmt: skip
def test_only_its_own_names_are_answered(
    host: str, names: tuple[str, ...], is_local: bool, known: bool
) -> None:
    assert is_known_host(host, names, is_local=is_local) is known


def test_another_name_is_a_421_that_says_what_to_set(console: ConsoleClient) -> None:
    answer = console.get("/", PAGE | {"host": "evil.example"})
    assert answer.status_code == 421
    assert "[console] names" in answer.text


@given(st.dictionaries(st.sampled_from(["origin", "host", "sec-fetch-site"]), st.text(max_size=30)))
def test_any_header_may_be_sent(headers: dict[str, str]) -> None:
    own = is_own_page(headers)
    assert not own or headers.get("sec-fetch-site") == "same-origin" or "://" in headers["origin"]
    is_known_host(headers.get("host", ""), (), is_local=True)


@given(st.text(max_size=50))
def test_a_login_leads_to_a_page_of_this_console(path: str) -> None:
    assert local(path).startswith("/")
    assert not local(path).startswith(("//", "/\\"))


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/\tx", "", "/a\\b", "/\n/evil"],
)
def test_a_login_leads_nowhere_else(path: str) -> None:
    assert local(path) == "/"


def test_a_body_too_large_is_refused(console: ConsoleClient) -> None:
    console.tokens.add("ann", "read")
    assert console.post("/login", token="x" * 20_000).status_code == 413
    many = {f"f{n}": "x" for n in range(30)}
    assert console.ask("POST", "/login", PAGE | OWN, many).status_code == 400
    answer = console.ask(
        "POST", "/login", OWN | {"content-type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 415


def test_what_is_asked_too_often_is_told_to_wait() -> None:
    now = [0.0]
    limit = RateLimit(2.0, 3, lambda: now[0])
    assert [limit.wait("a") > 0 for _ in range(5)] == [False, False, False, True, True]
    assert limit.wait("b") == 0.0
    now[0] = 0.5
    assert limit.wait("a") == 0.0
    assert limit.wait("a") == pytest.approx(0.5)


def test_the_file_of_tokens_holds_no_token_and_is_read_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens, other = Tokens(path), Tokens(path)
    made = other.add("ann", "admin")
    assert made not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    found = tokens.find(made)
    assert found is not None
    assert (found.name, found.right, found.may("read"), found.may("admin")) == (
        "ann",
        "admin",
        True,
        True,
    )
    other.remove("ann")
    assert tokens.find(made) is None


def test_a_token_of_some_namespaces_sees_nothing_else(console: ConsoleClient) -> None:
    for headers in (
        console.log_in("read", "ann", "shop"),
        {"authorization": f"Bearer {console.tokens.add('ci', 'admin', ['shop'])}"},
    ):
        assert console.get("/services/shop/cart", headers).status_code == 200
        assert console.get("/api/services/shop/cart", headers).status_code == 200
        for path in ("/apps", "/deployments", "/api/apps", "/api/deployments"):
            told = console.get(path, headers).text
            assert ("db/main" in told, "shop/cart" in told) == (False, True)
        for path in ("/services", "/api/services", "/services?q=main"):
            told = console.get(path, headers).text
            assert "db/main" not in told
            assert ("cart.example.com" in told) == ("q=main" not in path)
        rows = console.get("/api/services", headers).json()
        assert (rows["all"], rows["found"]) == (2, 2)
        for path in (
            "/services/db/main", "/api/services/db/main", "/api/services/db/main/health",
            "/live/services/db/main", "/live/", "/hosts/lb-1", "/api/fleet", "/refused", "/history",
            "/publishers", "/lookup?url=cart.example.com", "/api/lookup?url=cart.example.com",
            "/confirm/4f2a", "/hosts/lb-1/drain", "/api/history", "/apps/db/main", "/api/apps/db/main",
            f"/deployments/db/main/{ENDED}", f"/api/deployments/db/main/{ENDED}",
            f"/api/deployments/db/main/{ENDED}/events",
        ):  # fmt: skip
            answer = console.get(path, headers)
            assert (path, answer.status_code) == (path, 403)
            assert "ask for one that is for more" in answer.text
        assert console.get("/", headers).headers["location"] == "/apps"
    assert console.ask("POST", "/api/holds/4f2a/confirm", headers).status_code == 403
    assert console.ask("POST", "/api/hosts/lb-1/drain", headers).status_code == 403
    # Others are shown all of it, also when the page was made for somebody else before.
    assert "db/main" in console.get("/services", console.log_in("read", "bob")).text


def test_only_these_are_shown_to_a_token_whatever_its_namespaces(console: ConsoleClient) -> None:
    shown = {
        path.partition("{")[0]
        for path, options in console.options()
        if EVERYBODY.items() <= options.items()
    }
    assert shown == {
        "/login", "/logout", "/healthz", "/static/", "/api/health", "/api/schema", "/api/schema/",
        "/api/schema/openapi.json", "/services", "/live/services", "/api/services",
        "/cluster", "/live/cluster", "/api/cluster",
        "/apps", "/live/apps", "/api/apps", "/deployments", "/live/deployments", "/api/deployments",
    }  # fmt: skip


def test_a_broken_file_of_tokens_leaves_those_that_were_known(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = Tokens(path)
    made = tokens.add("ann", "read")
    assert tokens.find(made)
    path.write_text('{"tokens": [{"name": 7}]}')
    os.utime(path, (1, 1))
    assert tokens.find(made)
    with pytest.raises(Rejected, match=r"tokens.json: is no file of tokens \(.*\); restore it"):
        tokens.add("bob", "read")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Ann B", "is no name for a token"),
        ("", "is no name"),
        ("ann", "there is a token ann already"),
    ],
)
def test_a_name_that_does_not_do_is_refused(tmp_path: Path, name: str, said: str) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    tokens.add("ann", "read")
    with pytest.raises(Rejected, match=said):
        tokens.add(name, "read")
    with pytest.raises(Rejected, match="there is no token"):
        tokens.remove("nobody")
    with pytest.raises(Rejected, match="'no such/thing' is no name for a namespace"):
        tokens.add("bob", "read", ["shop", "no such/thing"])


def test_logins_are_bounded_and_end_by_time(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    ann = tokens.find(tokens.add("ann", "read"))
    assert ann is not None
    now = [0.0]
    sessions = Sessions(tokens, 60.0, lambda: now[0])
    first = sessions.begin(ann)
    assert sessions.find(first) == ann
    for _ in range(10_000):
        sessions.begin(ann)
    assert sessions.find(first) is None
    last = sessions.begin(ann)
    now[0] = 61.0
    assert sessions.find(last) is None
