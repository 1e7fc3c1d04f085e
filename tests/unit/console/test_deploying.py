"""What may be asked of deployments over HTTP, and what becomes of it."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.console.payloads import pushed, repository
from lbsync.errors import Rejected
from lbsync.values.kubernetes import Image
from tests.console_client import ENDED, OWN, UNDER_WAY, ConsoleClient, a_deployment, a_fleet

DIGEST = f"sha256:{'ab' * 32}"
AN_APP = {
    "namespace": "shop", "name": "web", "service": {"hosts": ["web.example.com"]}, "port": 8080,
    "image": "registry.example.com/shop/web:1.0",
}  # fmt: skip
RUN = f"/api/deployments/shop/cart/{UNDER_WAY}"


def whole(values: dict[str, Any]) -> dict[str, Any]:
    """What deployers read of the fleet in the same store: by whole keys."""
    return {
        f"/lbsync/{key}": value for key, value in values.items() if not key.startswith("agents/")
    }


@pytest.fixture
def console(tmp_path: Path) -> ConsoleClient:
    """A console beside a deployer; nothing is under way."""
    kept = {"servers/one": {"holder": "console lb-1", "deployment": ""}}
    return ConsoleClient(tmp_path, a_fleet(), kept | whole(a_fleet()))


@pytest.fixture
def busy(tmp_path: Path) -> ConsoleClient:
    """One where a deployment is under way."""
    kept = {"servers/one": {"holder": "console lb-1", "deployment": ""}} | a_deployment()
    return ConsoleClient(tmp_path, a_fleet(), kept | whole(a_fleet()))


def ask(
    console: ConsoleClient, path: str, body: object = None, *, right: str = "deploy",
    namespaces: tuple[str, ...] = (), **headers: str,
) -> httpx.Response:  # fmt: skip
    """Send something as a program with a token of its own."""
    name = f"ci-{len(console.tokens)}"
    token = console.tokens.add(name, right, namespaces)  # type: ignore[arg-type]
    told = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    content = b"" if body is None else json.dumps(body).encode()
    return console.send("POST", path, told, content)


def kept(console: ConsoleClient, folder: str) -> dict[str, Any]:
    """Return what deployers would read below a folder."""
    items = console.deployments.snapshot().items
    return {key: json.loads(item.value) for key, item in items.items() if key.startswith(folder)}


def test_a_group_gets_the_traffic_by_a_deployment_that_says_who_asked(
    console: ConsoleClient,
) -> None:
    strategy = {"steps": [10, 50], "manual": True}
    answer = ask(
        console, "/api/apps/shop/cart/deployments", {"group": "green", "strategy": strategy}
    )
    assert answer.status_code == 202, answer.text
    begun = answer.json()
    assert answer.headers["location"] == f"/api/deployments/shop/cart/{begun['deployment']}"
    shown = console.get(answer.headers["location"], bearer(console)).json()
    assert (shown["row"]["by"], shown["steps"]) == ("token ci-0 from 127.0.0.1", [10, 50, 100])
    assert shown["row"]["version"]["group"] == "green"
    again = ask(console, "/api/apps/shop/cart/deployments", {"group": "green"})
    assert (again.status_code, begun["deployment"] in again.json()["detail"]) == (409, True)


def bearer(console: ConsoleClient) -> dict[str, str]:
    """Return the headers of somebody who may look."""
    return {"authorization": f"Bearer {console.tokens.add(f'r-{len(console.tokens)}', 'read')}"}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "there is none of them"),
        ({"group": "green", "image": "a:1"}, 422, "group and document or image"),
        ({"group": "red"}, 422, "it has no group 'red' that can be read; there are blue, green"),
        ({"gruop": "green"}, 422, "gruop: no such field; did you mean group?"),
        ({"group": "green", "strategy": {"steps": [50, 10]}}, 422, "strategy.steps"),
        ({"group": "green", "strategy": {"watch": "soon"}}, 422, "'soon' is no duration"),
        ({"image": "registry.example.com/shop/cart:2"}, 422, "it has no document yet"),
        ({"image": "no image!"}, 422, "is no image"),
        ({"deployment": "20260101-100000-ffffff"}, 422, "there is no deployment 20260101-100000-ffffff"),
        ({"document": {"namespace": "shop"}}, 422, "name"),
        ({"document": AN_APP}, 422, "the document is of shop/web, not of shop/cart"),
        ([], 422, "object"),
    ],
)  # fmt: skip
def test_what_cannot_be_deployed_is_told_with_field_and_cure(
    console: ConsoleClient, body: object, status: int, said: str
) -> None:
    answer = ask(console, "/api/apps/shop/cart/deployments", body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"], answer.json()["detail"]
    assert not kept(console, "deployments/")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(console: ConsoleClient) -> None:
    answer = ask(console, "/api/apps/shop/cart/deployments", {"group": "green", "dry_run": True})
    assert (answer.status_code, answer.json()["said"]) == (200, "switch to green")
    assert not kept(console, "deployments/")


def test_the_same_request_begins_one_deployment(console: ConsoleClient) -> None:
    token = {
        "authorization": f"Bearer {console.tokens.add('ci', 'deploy')}",
        "content-type": "application/json",
    }
    path, body = "/api/apps/shop/cart/deployments", b'{"group": "green"}'
    first, second = (
        console.send("POST", path, token | {"idempotency-key": "build 7"}, body) for _ in range(2)
    )
    assert first.json()["deployment"] == second.json()["deployment"] != ""
    assert (first.json()["is_repeat"], second.json()["is_repeat"]) == (False, True)
    other = console.send("POST", path, token | {"idempotency-key": "build 7"}, b'{"group": "blue"}')
    assert (other.status_code, "take a new key" in other.json()["detail"]) == (422, True)
    # Somebody else's key is another one.
    third = ask(console, path, {"group": "green"}, Idempotency_Key="build 7")
    assert third.status_code == 409
    assert (
        console.send("POST", path, token | {"idempotency-key": "x" * 300}, body).status_code == 400
    )


def test_nobody_begins_what_nobody_would_carry_out(tmp_path: Path) -> None:
    console = ConsoleClient(tmp_path, a_fleet(), whole(a_fleet()))
    answer = ask(console, "/api/apps/shop/cart/deployments", {"group": "green"})
    assert (answer.status_code, "nobody would carry it out" in answer.json()["detail"]) == (
        409,
        True,
    )


@pytest.mark.parametrize("command", ["pause", "promote", "cancel", "rollback"])
def test_a_deployment_under_way_does_as_it_is_told(busy: ConsoleClient, command: str) -> None:
    answer = ask(busy, f"{RUN}/{command}")
    assert answer.status_code == 202, answer.text
    record = kept(busy, "deployments/shop/cart/")[f"deployments/shop/cart/{UNDER_WAY}"]
    said = {
        "pause": record.get("paused"), "promote": record.get("promoted"), "cancel": record.get("wish"),
        "rollback": record.get("wish"),
    }  # fmt: skip
    who = "token ci-0 from 127.0.0.1"
    assert (
        said[command]
        == {"pause": who, "promote": 2, "cancel": "cancel", "rollback": "rollback"}[command]
    )
    assert kept(busy, f"events/shop/cart/{UNDER_WAY}/000003").popitem()[1]["by"] == who
    assert ask(busy, f"{RUN}/{command}").status_code == 422


def test_what_makes_no_sense_now_is_told(busy: ConsoleClient) -> None:
    assert ask(busy, f"{RUN}/resume").json()["detail"] == f"deployment {UNDER_WAY} is not paused"
    assert "has ended" in ask(busy, f"/api/deployments/shop/cart/{ENDED}/pause").json()["detail"]
    assert ask(busy, f"{RUN}/explode").status_code == 404
    assert ask(busy, "/api/deployments/shop/cart/20260101-100000-ffffff/pause").status_code == 422


def test_a_command_that_rests_on_something_old_is_refused(busy: ConsoleClient) -> None:
    tag = busy.get(RUN, bearer(busy)).headers["etag"]
    assert ask(busy, f"{RUN}/pause", If_Match='"1"').status_code == 412
    assert ask(busy, f"{RUN}/pause", If_Match=tag).status_code == 202
    assert ask(busy, f"{RUN}/resume", If_Match=tag).status_code == 412


def test_an_app_goes_back_to_the_version_before(
    console: ConsoleClient, busy: ConsoleClient
) -> None:
    assert ask(busy, "/api/apps/shop/cart/rollback").json()["deployment"] == UNDER_WAY
    assert "nothing is known" in ask(console, "/api/apps/shop/cart/rollback").json()["detail"]


AN_APP_THAT_RUNS = {
    "apps/shop/cart": {"provider": "kubernetes", "document": AN_APP | {"name": "cart"}},
    "versions/shop/cart": {"next": 4, "live": {"group": "v3", "number": 3, "document": AN_APP}},
}
CART = "/api/apps/shop/cart"


def delete(console: ConsoleClient, right: str = "admin", **headers: str) -> httpx.Response:
    """Ask that an app is taken away."""
    token = console.tokens.add(f"ops-{len(console.tokens)}", right)  # type: ignore[arg-type]
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return console.send("DELETE", CART, {"authorization": f"Bearer {token}"} | told, b"")


@pytest.fixture
def running(console: ConsoleClient) -> ConsoleClient:
    """A console beside a deployer and an app on Kubernetes."""
    for key, value in AN_APP_THAT_RUNS.items():
        console.keep(key, value)
    return console


def test_an_app_is_taken_away_once_by_whoever_may(running: ConsoleClient) -> None:
    assert delete(running, "deploy").status_code == 403
    answer = delete(running)
    assert answer.status_code == 202, answer.text
    begun = answer.json()
    assert answer.headers["location"] == f"/api/deployments/shop/cart/{begun['deployment']}"
    shown = running.get(answer.headers["location"], bearer(running)).json()
    assert (shown["row"]["purpose"], shown["row"]["by"]) == (
        "removal of v3",
        "token ops-1 from 127.0.0.1",
    )
    assert [each["phase"] for each in shown["phases"]][-1] == "removed"
    assert shown["can"] == ["pause", "cancel"]
    again = delete(running).json()
    assert (again["deployment"], again["is_repeat"]) == (begun["deployment"], True)
    busy = ask(running, f"{CART}/deployments", {"image": "registry.example.com/shop/cart:2"})
    assert (busy.status_code, "removal of v3) is under way" in busy.json()["detail"]) == (409, True)


def test_what_is_no_app_on_kubernetes_is_not_taken_away(busy: ConsoleClient) -> None:
    answer = delete(busy)
    assert (answer.status_code, "switch to green) is under way" in answer.json()["detail"]) == (
        409,
        True,
    )
    busy.deployments.delete("versions/shop/cart")
    answer = delete(busy)
    assert (answer.status_code, "no app of this name" in answer.json()["detail"]) == (422, True)


def test_an_app_that_has_changed_since_it_was_read_is_not_taken_away(
    running: ConsoleClient,
) -> None:
    tag = running.get(CART, bearer(running)).headers["etag"]
    assert delete(running, If_Match='"old"').status_code == 412
    assert not kept(running, "deployments/")
    assert delete(running, If_Match=tag).status_code == 202


def test_what_is_asked_once_more_with_its_key_is_done_once(running: ConsoleClient) -> None:
    token = running.tokens.add("ci", "admin")
    head = {"authorization": f"Bearer {token}"}
    tag = running.get(CART, head).headers["etag"]
    key = head | {"idempotency-key": "k1", "if-match": tag}
    first, second = (running.send("DELETE", CART, key, b"") for _ in range(2))
    assert first.json()["deployment"] == second.json()["deployment"] != ""
    run = first.headers["location"]
    tag = running.get(run, head).headers["etag"]
    key = head | {"idempotency-key": "k2", "if-match": tag}
    paused = [running.send("POST", f"{run}/pause", key, b"") for _ in range(2)]
    assert [each.status_code for each in paused] == [202, 202], paused[1].text
    other = running.send("POST", f"{run}/cancel", head | {"idempotency-key": "k2"}, b"")
    assert (other.status_code, "another request" in other.json()["detail"]) == (422, True)


def test_a_rollback_that_comes_twice_turns_nothing_round_again(busy: ConsoleClient) -> None:
    token = busy.tokens.add("ci", "deploy")
    key = {"authorization": f"Bearer {token}", "idempotency-key": "k1"}
    answers = [busy.send("POST", f"{CART}/rollback", key, b"") for _ in range(2)]
    assert [each.status_code for each in answers] == [202, 202]
    assert [each.json()["is_repeat"] for each in answers] == [False, True]


def test_the_button_that_takes_an_app_away_is_for_who_may(running: ConsoleClient) -> None:
    deployer, admin = running.log_in("deploy", "dora"), running.log_in("admin", "ann", "shop")
    assert "/remove" not in running.get("/apps/shop/cart", deployer).text
    assert running.get("/apps/shop/cart/remove", deployer).status_code == 403
    assert running.post("/apps/shop/cart/remove", deployer | OWN).status_code == 403
    assert 'href="/apps/shop/cart/remove"' in running.get("/apps/shop/cart", admin).text
    assert "is answered 503" in running.get("/apps/shop/cart/remove", admin).text
    evil = admin | {"origin": "http://evil.example"}
    assert running.post("/apps/shop/cart/remove", evil).status_code == 403
    assert not kept(running, "deployments/")
    led = running.post("/apps/shop/cart/remove", admin | OWN)
    assert led.status_code == 303
    shown = running.get(led.headers["location"], admin).text
    assert "<h1>Removal of v3" in shown
    assert "/cancel" in shown
    assert "/rollback" not in shown


def test_rights_and_namespaces_bound_who_deploys(busy: ConsoleClient) -> None:
    for path, body in (
        ("/api/apps/shop/cart/deployments", {"group": "green"}), (f"{RUN}/pause", None),
        ("/api/apps/shop/cart/rollback", None), ("/hooks/shop/cart", {"image": "a:1"}),
    ):  # fmt: skip
        assert ask(busy, path, body, right="read").status_code == 403
        assert ask(busy, path, body, namespaces=("db",)).status_code == 403
        assert (
            busy.send("POST", path, {"content-type": "application/json"}, b"{}").status_code == 401
        )
        ann = busy.log_in("deploy", f"ann-{len(busy.tokens)}")
        assert (
            busy.send("POST", path, ann | {"content-type": "text/plain"}, b"{}").status_code == 403
        )
    assert kept(busy, "deployments/") == kept_at_first()


def kept_at_first() -> dict[str, Any]:
    """What deployers kept before anybody asked."""
    return {key: value for key, value in a_deployment().items() if key.startswith("deployments/")}


def a_hook(
    console: ConsoleClient, body: object, *, query: str = "", **headers: str
) -> httpx.Response:
    """Send what a registry sends."""
    token = console.tokens.add(f"hub-{len(console.tokens)}", "deploy", ["shop"])
    return console.send(
        "POST", f"/hooks/shop/web?token={token}{query}", headers, json.dumps(body).encode()
    )


HUB = {"push_data": {"tag": "2.0", "pushed_at": 1}, "repository": {"repo_name": "acme/web"}}
GITHUB = {
    "action": "published",
    "package": {
        "package_type": "CONTAINER",
        "package_version": {
            "package_url": "ghcr.io/acme/web:2.0",
            "container_metadata": {"tag": {"name": "2.0", "digest": DIGEST}},
        },
    },
}


@pytest.mark.parametrize(
    ("body", "image"),
    [
        ({"image": "registry.example.com/a/web:2"}, "registry.example.com/a/web:2"),
        ({"image": "a/web", "digest": DIGEST}, f"a/web@{DIGEST}"),
        (HUB, "acme/web:2.0"),
        (GITHUB, f"ghcr.io/acme/web:2.0@{DIGEST}"),
        ({"registry_package": GITHUB["package"]}, f"ghcr.io/acme/web:2.0@{DIGEST}"),
    ],
)
def test_a_payload_names_an_image(body: object, image: str) -> None:
    assert pushed(json.dumps(body).encode()).image == image


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"zen": "Keep it simple", "hook_id": 1}, "GitHub asks"),
        (GITHUB | {"action": "deleted"}, "was deleted"),
        ({"package": {"package_type": "npm"}}, "of type npm"),
        ({"package": {"package_type": "container", "package_version": {}}}, "no tag"),
    ],
)
def test_what_nobody_deploys_is_passed_over(body: object, why: str) -> None:
    found = pushed(json.dumps(body).encode())
    assert found.image is None
    assert why in found.why


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["image", "digest", "push_data", "repository", "tag", "repo_name", "package", "action",
                         "package_version", "container_metadata", "package_url", "package_type", "name", "zen"]),
        inner, max_size=4), max_leaves=12,
).map(lambda found: json.dumps(found).encode()))  # fmt: skip
def test_any_body_is_an_image_or_one_sentence(body: bytes) -> None:
    try:
        found = pushed(body)
    except Rejected as error:
        assert "\n" not in str(error)
    else:
        assert found.image is None or Image.parse(str(found.image))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("nginx:1", "docker.io/library/nginx:2", True), ("acme/web", "index.docker.io/acme/web:1", True),
        ("acme/web", "ghcr.io/acme/web", False), ("acme/web", "acme/web2", False),
    ],
)  # fmt: skip
def test_one_repository_is_known_by_all_its_names(one: str, other: str, same: bool) -> None:
    assert (repository(Image.parse(one)) == repository(Image.parse(other))) is same


def test_what_somebody_wrote_in_place_of_the_image_refuses_a_pushed_one(
    console: ConsoleClient,
) -> None:
    console.keep(
        "apps/shop/web", {"provider": "kubernetes", "document": AN_APP | {"image": "no image\n"}}
    )
    answer = a_hook(console, HUB)
    assert (answer.status_code, "runs images of no image" in answer.text) == (422, True)


def test_a_pushed_image_that_the_app_does_not_run_is_refused(console: ConsoleClient) -> None:
    console.keep("apps/shop/web", {"provider": "kubernetes", "document": AN_APP})
    answer = a_hook(console, HUB)
    assert answer.status_code == 422
    assert (
        "runs images of registry.example.com/shop/web, and acme/web:2.0 is none"
        in answer.json()["detail"]
    )
    assert not kept(console, "deployments/")


def test_a_tag_that_is_not_meant_is_passed_over(console: ConsoleClient) -> None:
    answer = a_hook(console, HUB, query="&tags=v*")
    assert (answer.status_code, answer.json()["said"]) == (200, "the tag 2.0 is none of v*")


def test_a_signature_says_who_sends_it(console: ConsoleClient) -> None:
    key = console.tokens.add("github", "deploy", ["shop"], signs=True)
    console.tokens.add("other", "deploy", ["db"], signs=True)
    reader = console.tokens.add("reader", "read", signs=True)
    body = json.dumps(HUB).encode()

    def signed(key: str, body: bytes = body, path: str = "/hooks/shop/web") -> httpx.Response:
        signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        return console.send("POST", path, {"x-hub-signature-256": f"sha256={signature}"}, body)

    assert "it has no document yet" in signed(key).json()["detail"]
    assert signed(reader).status_code == 401
    assert signed(key, path="/hooks/db/main").status_code == 401
    assert signed("guessed").status_code == 401
    forged = {
        "x-hub-signature-256": f"sha256={hmac.new(key.encode(), b'{}', hashlib.sha256).hexdigest()}"
    }
    assert console.send("POST", "/hooks/shop/web", forged, body).status_code == 401
    # A signature opens hooks and nothing else.
    assert console.send("GET", "/api/fleet", forged, b"").status_code == 401
    assert console.send("POST", f"{RUN}/pause", forged, b"").status_code == 401


def test_an_unsigned_hook_is_let_in_by_no_other_way(console: ConsoleClient) -> None:
    assert console.send("POST", "/hooks/shop/web", {}, b"{}").status_code == 403
    console.tokens.add("ann", "deploy")
    assert console.send("POST", "/hooks/shop/web", {}, b"{}").status_code == 401
    assert console.send("POST", "/hooks/shop/web?token=", {}, b"{}").status_code == 401
    assert (
        console.send(
            "GET", "/api/fleet?token=" + console.tokens.add("b", "read"), {}, b""
        ).status_code
        == 401
    )


def test_a_body_of_a_megabyte_is_the_most(console: ConsoleClient) -> None:
    assert a_hook(console, {"image": "a:1", "x": "y" * (1 << 20)}).status_code == 413
    assert (
        ask(
            console, "/api/apps/shop/cart/deployments", {"document": {"x": "y" * 50_000}}
        ).status_code
        == 422
    )
    assert (
        ask(console, "/api/apps/shop/cart/deployments", {}, content_type="text/plain").status_code
        == 415
    )


def test_a_button_says_what_it_means_and_then_does_it(
    console: ConsoleClient, busy: ConsoleClient
) -> None:
    ann = console.log_in("deploy")
    assert 'href="/apps/shop/cart/deploy?group=green"' in console.get("/apps/shop/cart", ann).text
    page = console.get("/apps/shop/cart/deploy?group=green", ann).text
    assert '<option value="green" selected>green, 0 of 1 servers, 10 % now' in page
    key = page.partition('name="key" value="')[2].partition('"')[0]
    form = {"group": "green", "steps": "10%, 50", "watch": "5s", "manual": "yes", "key": key}
    first, again = (console.post("/apps/shop/cart/deploy", ann | OWN, **form) for _ in range(2))
    assert (first.status_code, first.headers["location"]) == (303, again.headers["location"])
    shown = console.get(f"/api{first.headers['location']}", ann).json()
    assert (shown["steps"], shown["row"]["by"]) == ([10, 50, 100], "token ann from 127.0.0.1")
    ann = busy.log_in("deploy", "ben")
    place = f"/deployments/shop/cart/{UNDER_WAY}"
    told = busy.get(place, ann).text
    assert all(
        f'href="{place}/{each}"' in told for each in ("pause", "promote", "cancel", "rollback")
    )
    assert f'href="{place}/resume"' not in told
    assert "gets all its traffic back at once" in busy.get(f"{place}/rollback", ann).text
    assert busy.post(f"{place}/pause", ann | OWN).headers["location"] == place
    assert "Paused by token ben" in busy.get(place, ann).text


def test_buttons_are_for_who_may_press_them(busy: ConsoleClient) -> None:
    place = f"/deployments/shop/cart/{UNDER_WAY}"
    for reader in (busy.log_in("read", "bob"), busy.log_in("deploy", "carl", "db")):
        assert "/pause" not in busy.get(place, reader).text
        assert busy.get(f"{place}/pause", reader).status_code == 403
        assert busy.post(f"{place}/pause", reader | OWN).status_code == 403
    ann = busy.log_in("deploy", "ann", "shop")
    for path in (f"{place}/cancel", "/apps/shop/cart/deploy", "/apps/shop/cart/rollback"):
        assert busy.post(path, ann | {"origin": "http://evil.example"}).status_code == 403
    assert kept(busy, "deployments/") == kept_at_first()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"group": "green", "steps": "ten"}, "write percent of the traffic, as in 10, 50"),
        ({"group": "green", "steps": "50 10"}, "strategy.steps"),
        ({"group": "green", "watch": "soon"}, "&#39;soon&#39; is no duration"),
        ({"group": "green", "preview": "yes"}, "services/shop/cart has no preview"),
        ({"steps": ""}, "there is none of them"),
    ],
)
def test_a_form_that_does_not_do_is_told(
    console: ConsoleClient, form: dict[str, str], said: str
) -> None:
    answer = console.post("/apps/shop/cart/deploy", console.log_in("deploy") | OWN, **form)
    assert (answer.status_code, said in answer.text) == (422, True), answer.text


def test_what_a_program_may_send_is_described_by_the_record_itself(console: ConsoleClient) -> None:
    paths = console.get("/api/schema/openapi.json").json()["paths"]
    body = paths["/api/apps/{ns}/{name}/deployments"]["post"]["requestBody"]["content"]
    order = body["application/json"]["schema"]["properties"]
    assert order["strategy"]["properties"]["watch"]["default"] == "30s"
    assert order["strategy"]["properties"]["steps"]["items"]["maximum"] == 100
    assert set(order) == {
        "group",
        "deployment",
        "document",
        "image",
        "strategy",
        "force",
        "dry_run",
    }
