"""What the pages and the API say of apps and their deployments."""

import re
from pathlib import Path

import pytest

from tests.console_client import ENDED, UNDER_WAY, ConsoleClient, a_deployment, a_fleet

_TAG = re.compile("<[^>]*>")
RUN = f"/deployments/shop/cart/{UNDER_WAY}"


@pytest.fixture
def console(tmp_path: Path) -> ConsoleClient:
    return ConsoleClient(tmp_path)


def words(text: str) -> str:
    """Return the text of a page."""
    return " ".join(_TAG.sub(" ", text).split())


def test_an_app_shows_what_is_live_who_gets_the_traffic_and_what_is_under_way(
    console: ConsoleClient,
) -> None:
    page = words(console.get("/apps/shop/cart").text)
    for said in (
        "shop/cart switching", "switch to green , begun", "by ann on lb-1",
        "awaited: somebody to promote it to step 2 of 3", "Live blue", "blue 90 % green 10 %",
    ):  # fmt: skip
        assert said in page
    listed = words(console.get("/apps").text)
    for said in ("2 apps", "shop/cart blue", "switch to green switching", "no server of blue is up",
                 "deployments/shop/new/20260103-100000-00000c"):  # fmt: skip
        assert said in listed
    assert "db/main" not in words(console.get("/apps?q=cart").text)


def test_a_deployment_shows_its_phases_and_events(console: ConsoleClient) -> None:
    page = console.get(RUN).text
    assert page.count('class="done"') == 4
    assert 'class="now" aria-current="step"' in page
    told = words(page)
    for said in (
        "switching step 1 of 3", "2 of 3 converged; lb-3 silent since 2026-01-02", "10 % 50 % 100 %",
        "staged 1 of 1 servers is up on 2 of 2 hosts", "queued switch to green, by ann on lb-1",
    ):  # fmt: skip
        assert said in told
    failed = words(console.get(f"/deployments/db/main/{ENDED}").text)
    assert "No server of blue is up, after 42 s." in failed


def test_a_history_says_who_what_and_how_long(console: ConsoleClient) -> None:
    page = words(console.get("/deployments").text)
    assert "shop/cart switch to blue deployed token ci from 10.0.0.1 42 s" in page
    rows = console.get("/api/deployments").json()["rows"]
    assert [(r["app"], r["phase"], r["seconds"]) for r in rows] == [
        ("shop/cart", "switching", 0.0),
        ("shop/cart", "deployed", 42.5),
        ("db/main", "failed", 42.5),
    ]


def test_a_key_that_no_deployer_writes_hides_nothing(console: ConsoleClient) -> None:
    first = a_deployment()[f"deployments/shop/cart/{ENDED}"]
    console.keep("deployments/shop/cart/a b", first | {"id": "a b"})
    console.keep("versions/nobody", {})
    for path in ("/apps", "/apps/shop/cart", "/api/deployments"):
        assert console.get(path).status_code == 200
    assert console.get("/api/apps").json()["unreadable"] == [
        "deployments/shop/new/20260103-100000-00000c", "deployments/shop/cart/a b",
    ]  # fmt: skip


def test_a_list_is_read_page_by_page_and_nothing_is_missed_when_something_new_begins(
    console: ConsoleClient,
) -> None:
    found, after = [], ""
    while True:
        page = console.get(f"/api/deployments?limit=1&after={after}").json()
        found += [(row["app"], row["id"]) for row in page["rows"]]
        newer = a_deployment()[f"deployments/shop/cart/{UNDER_WAY}"] | {
            "id": "20270101-000000-00000d"
        }
        console.keep(f"deployments/shop/cart/{newer['id']}", newer)
        if not (after := page["next"]):
            break
    assert found == [("shop/cart", UNDER_WAY), ("shop/cart", ENDED), ("db/main", ENDED)]
    assert console.get("/api/deployments?after=nonsense").status_code == 400
    assert console.get("/api/deployments?limit=0").status_code == 400


def test_what_a_client_has_already_is_not_sent_again(console: ConsoleClient) -> None:
    for path in (
        "/api/apps",
        "/api/apps/shop/cart",
        "/api/deployments",
        f"/api{RUN}",
        f"/api{RUN}/events",
    ):
        tag = console.get(path).headers["etag"]
        again = console.get(path, {"if-none-match": f'"other", W/{tag}'})
        assert (again.status_code, again.text, again.headers["etag"]) == (304, "", tag)
        assert console.get(path, {"if-none-match": '"other"'}).status_code == 200
    record = a_deployment()[f"deployments/shop/cart/{UNDER_WAY}"] | {"waits": "nothing"}
    console.keep(f"deployments/shop/cart/{UNDER_WAY}", record)
    assert console.get(f"/api{RUN}", {"if-none-match": tag}).json()["waits"] == "nothing"


def test_events_are_read_from_where_a_client_is(console: ConsoleClient) -> None:
    told = console.get(f"/api{RUN}/events?after=0&limit=1").json()
    assert [each["number"] for each in told["events"]] == [1]
    assert console.get(f"/api{RUN}/events?after=2").json() == {"events": [], "is_ended": False}
    assert console.get(f"/api/deployments/db/main/{ENDED}/events").json()["is_ended"] is True


@pytest.mark.parametrize(
    "path",
    [
        "/apps/shop/nobody",
        "/deployments/shop/cart/20260102-100000-ffffff",
        "/deployments/shop/cart/x",
    ],
)
def test_what_is_not_there_is_a_404_that_says_so(console: ConsoleClient, path: str) -> None:
    assert console.get(path).status_code == 404
    problem = console.get(f"/api{path}").json()
    assert problem["status"] == 404
    assert "shop/" in problem["detail"]


def test_deployments_that_cannot_be_read_are_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    console = ConsoleClient(tmp_path)
    console.deployments.close()
    console.deployments.break_off("etcd does not let the user console read /lbsync-deploy/")
    answer = console.get("/api/apps")
    assert (answer.status_code, answer.json()["title"]) == (503, "Deployments cannot be read")
    assert "/lbsync-deploy/" in answer.json()["detail"]
    assert console.get("/services").status_code == 200


def test_a_history_of_thousands_is_read_again_at_the_cost_of_what_changed(tmp_path: Path) -> None:
    one = a_deployment()[f"deployments/shop/cart/{ENDED}"]
    many = {
        f"deployments/shop/cart/20260101-{n:06}-00000a": one | {"id": f"20260101-{n:06}-00000a"}
        for n in range(2000)
    }
    console = ConsoleClient(tmp_path, a_fleet(), many)
    assert len(console.get("/api/deployments?limit=1000").json()["rows"]) == 1000
    assert "Older" in console.get("/deployments").text
