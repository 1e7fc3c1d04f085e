"""The fake API server answers as a real kube-apiserver 1.20.2 was recorded to answer.

The recording is replayed request by request, in its order; what a server draws by lot (uid, times,
addresses, node ports) is compared by its presence only.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from harness.fake_kube import FakeKube
from harness.fake_kube.place import User
from harness.fake_kube.resources import RESOURCES, Resource
from harness.fake_kube.versions import inward
from harness.wait import wait_until

FILE = Path(__file__).parents[2] / "data/kube-apiserver-1.20.2.jsonl"
RECORDED = [json.loads(line) for line in FILE.read_text().splitlines()]
DRAWN = {"uid", "creationTimestamp", "clusterIP", "clusterIPs", "nodePort"}
#: The real server notes each writer of a field here; the fake keeps that for itself.
LEFT_OUT = {"managedFields"}


def plain(value: Any) -> Any:
    """Return a body with what is drawn by lot replaced by a mark."""
    if isinstance(value, dict):
        return {
            key: "drawn" if key in DRAWN else plain(item)
            for key, item in value.items()
            if key not in LEFT_OUT
        }
    return [plain(item) for item in value] if isinstance(value, list) else value


def version_in(case: dict[str, Any]) -> int:
    """Return the version that the whole cluster had reached when this was answered; 0: no matter."""
    body = case["body"][0] if case["body"] and isinstance(case["body"], list) else {}
    if "current: " in str(body.get("message")):
        return int(body["message"].split("current: ")[1])
    version = int((body.get("metadata") or {}).get("resourceVersion", 0))
    wrote = case["method"] in ("POST", "PATCH", "PUT") and case["status"] < 300
    return version - 1 if wrote else version


class Replay:
    """The fake, brought along to where the recording has it."""

    def __init__(self, fake: FakeKube) -> None:
        self.fake = fake
        self.http = urllib3.PoolManager(retries=False)

    def prepare(self, number: int, case: dict[str, Any]) -> None:
        """Do what happened beside the recorded requests."""
        self.fake.storage.skip_to(version_in(case))
        if case["case"] == "delete":
            self.fake.storage.skip_to(2620)
        if case["case"].startswith("continue after compaction"):
            self.fake.storage.compact(2632)
        if case["case"].startswith("endpointslices v1beta1"):
            with self.fake.storage.changed:
                slices = next(r for r in RESOURCES if r.plural == "endpointslices")
                self.seed(slices, case["body"][0]["items"])

    def seed(self, resource: Resource, items: list[Any]) -> None:
        """Store objects with the versions they were recorded with."""
        objects = self.fake.storage._objects.setdefault(resource, {})
        for item in items:
            key = (item["metadata"]["namespace"], item["metadata"]["name"])
            objects[key] = inward(resource, "v1beta1", item)

    def send(self, case: dict[str, Any]) -> tuple[int, str, Any]:
        """Send the request; return status, content type and body or events."""
        headers = dict(case.get("request_headers") or {})
        body = case.get("request_body")
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        # The server's patience is not what is tested, and a tenth of a second is enough here.
        path = case["path"].replace("timeoutSeconds=70", "timeoutSeconds=0.3")
        for seconds in ("timeoutSeconds=1", "timeoutSeconds=2"):
            path = path.replace(seconds, "timeoutSeconds=0.1")
        answer = self.http.request(
            case["method"],
            self.fake.url + path,
            headers=headers,
            body=data if body is not None else None,
        )
        kind = answer.headers["Content-Type"]
        if "watch=1" in path and answer.status == 200:
            return answer.status, kind, [json.loads(line) for line in answer.data.splitlines()]
        text = answer.data.decode()
        return answer.status, kind, [json.loads(text)] if "json" in kind else text


@pytest.fixture(scope="module")
def answers() -> Iterator[list[tuple[int, str, Any]]]:
    """All answers of the fake, in order."""
    fake = FakeKube(minor=20, version=2595, oldest=1695).start()
    fake.anonymous = User("recorder")
    fake.users["unprivileged-token"] = User("lbsync", set())
    fake.namespace("golden")
    with fake.storage.changed:
        fake.storage.version = 2596
    replay = Replay(fake)
    got = []
    for number, case in enumerate(RECORDED):
        replay.prepare(number, case)
        if case["case"].startswith("watch with bookmarks"):
            change = {"metadata": {"labels": {"t": "1"}}}
            timer = threading.Timer(0.05, fake.patch, ("Service", "golden", "g1", change))
            timer.start()
            got.append(replay.send(case))
            timer.join()
        else:
            got.append(replay.send(case))
    yield got
    replay.http.clear()
    fake.stop()


def test_all_recorded_answers_are_here() -> None:
    assert len(RECORDED) == 44


@pytest.mark.parametrize("number", range(44), ids=lambda n: f"{n}-{RECORDED[n]['case'][:40]}")
def test_the_fake_answers_as_the_real_server_did(
    number: int, answers: list[tuple[int, str, Any]]
) -> None:
    case = RECORDED[number]
    code, kind, body = answers[number]
    assert (code, kind) == (case["status"], case["content_type"])
    if case["case"] == "discovery":
        compare_discovery(case["path"], body, case["body"])
    else:
        assert plain(body) == plain(case["body"])


def compare_discovery(path: str, body: Any, recorded: Any) -> None:
    """The fake serves less than the real server, and what it serves, it describes alike."""
    if path.startswith("/readyz"):
        assert body.splitlines()[-1] == recorded.splitlines()[-1]
        assert set(body.splitlines()) <= set(recorded.splitlines())
        return
    (found,), (wanted,) = body, recorded
    assert found.keys() == wanted.keys()
    for listed, name in (("groups", "name"), ("resources", "name")):
        known = {entry[name]: entry for entry in wanted.get(listed, ())}
        for entry in found.get(listed, ()):
            real = {k: v for k, v in known[entry[name]].items() if k != "storageVersionHash"}
            if listed == "groups":
                # Of each group the fake serves the versions that its kinds have.
                assert entry["preferredVersion"] == real["preferredVersion"]
                assert all(version in real["versions"] for version in entry["versions"])
            else:
                assert entry == real
    if "gitVersion" in wanted:
        assert (found["major"], found["minor"]) == (wanted["major"], wanted["minor"])
        assert found["gitVersion"] == wanted["gitVersion"]


def test_a_bookmark_carries_a_version_and_nothing_else() -> None:
    """Not among the recorded cases by itself: the form is from the same server's watch."""
    fake = FakeKube().start()
    fake.anonymous = User("somebody")
    try:
        lines: list[Any] = []
        path = "/api/v1/services?watch=1&allowWatchBookmarks=true&resourceVersion=1"

        def read() -> None:
            answer = urllib3.request(
                "GET", f"{fake.url}{path}&timeoutSeconds=5", preload_content=False
            )
            lines.append(json.loads(answer.readline()))
            answer.close()

        thread = threading.Thread(target=read)
        thread.start()
        wait_until("the watch", lambda: len(fake.requests) == 1)
        while thread.is_alive():
            fake.storage.bookmark()
            thread.join(0.02)
        (event,) = lines
        assert event["type"] == "BOOKMARK"
        assert event["object"]["metadata"]["resourceVersion"] == str(fake.storage.version)
        assert event["object"]["spec"] == {}
    finally:
        fake.stop()
