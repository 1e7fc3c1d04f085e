"""publish, explain and status as an operator types them."""

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.fake_kube import FakeKube
from harness.fake_kube.objects import PUBLISH, endpoint, endpoint_slice, node, service
from harness.ports import free_port
from harness.publisher import PublisherProcess, Store
from harness.wait import wait_until
from lbsync.clients.source import Delete, Put

Make = Callable[..., PublisherProcess]
HOST = {"lbsync.io/hosts": "cart.example"}


@pytest.fixture
def publisher(publishers: Make, fake: FakeKube) -> PublisherProcess:
    """Not started; the cluster has shop/cart with two pods, and shop/broken, which is refused."""
    fake.put(service("cart", "shop", labels=PUBLISH, annotations=HOST))
    pods = [
        endpoint("10.0.0.1", pod="cart-1"),
        endpoint("10.0.0.2", pod="cart-2", ready=False),
        endpoint("10.0.0.3", pod="cart-3", ready=False, serving=True, terminating=True),
    ]
    fake.put(endpoint_slice("cart-1", "cart", pods, "shop", labels=PUBLISH))
    bad = {**HOST, "lbsync.io/maxconn": "many"}
    fake.put(service("broken", "shop", labels=PUBLISH, annotations=bad))
    fake.put(service("silent", "shop", annotations={"lbsync.io/publish": "true"}))
    return publishers()


def test_a_dry_run_shows_everything_and_writes_nothing(
    publisher: PublisherProcess, store: Store
) -> None:
    answer = publisher.run("publish", "--dry-run")
    assert answer.returncode == 5, "a Service is refused, whatever would be written beside it"
    assert "+++ services/shop/cart" in answer.stdout
    assert '+      "address": "10.0.0.1",' in answer.stdout
    assert "lbsync.io/maxconn" in answer.stdout
    assert "Service shop/silent: lbsync.io/publish is an annotation" in answer.stdout
    assert store.present() == []


def test_once_writes_and_a_second_time_finds_everything_in_step(
    publisher: PublisherProcess, store: Store, fake: FakeKube
) -> None:
    answer = publisher.run("publish", "--once", "--cluster", "prod")
    assert answer.returncode == 5, "a Service is refused"
    assert store.value("services/shop/cart")["source"] == "k8s/prod"
    assert store.leader("prod") == "", "the lead is given back"
    fake.delete("Service", "shop", "broken")
    assert publisher.run("publish", "--once", "--cluster", "prod").returncode == 0
    again = publisher.run("publish", "--dry-run", "--cluster", "prod", "--output", "json")
    assert again.returncode == 0, again.stdout
    assert json.loads(again.stdout) == {"changes": [], "troubles": [], "warnings": {}}
    fake.patch("Service", "shop", "cart", {"metadata": {"annotations": {"lbsync.io/maxconn": "9"}}})
    found = publisher.run("publish", "--dry-run", "--cluster", "prod", "--output", "json")
    change = json.loads(found.stdout)["changes"][0]
    assert (change["action"], change["key"]) == ("change", "services/shop/cart")
    assert change["after"] == change["before"] | {"maxconn": 9}
    assert publisher.run("publish", "--once", "--cluster", "prod").returncode == 3


def test_what_is_left_out_is_told_by_words_and_exit_codes(
    publishers: Make, store: Store, fake: FakeKube
) -> None:
    """Nothing but what is wholly in step ends with 0 and is called so."""
    fake.put(service("cart", "shop", labels=PUBLISH, annotations=HOST))
    by_hand = b'{"mode":"http","hosts":["hand.example"]}'
    store.client.commit([], [Put("services/shop/cart", by_hand)])
    made = publishers()
    for words in (["--once"], ["--dry-run"], ["--once"]):
        answer = made.run("publish", *words)
        assert answer.returncode == 5, answer.stdout
        assert "0 services published, 1 in conflict" in answer.stdout
        assert "all is in step" not in answer.stdout
        assert "services/shop/cart was written by a person" in answer.stdout + answer.stderr
    store.client.commit([], [Delete("services/shop/cart")])
    odd = {**HOST, "lbsync.io/balanse": "first", "lbsync.io/address-mode": "nodeport"}
    fake.put(service("odd", "shop", labels=PUBLISH, annotations=odd, type="NodePort"))
    fake.faults.refuse(10_000, 403, part="/nodes")
    for words in (["--once"], ["--dry-run"]):
        waits = made.run("publish", *words, "--wait", "1.5")
        assert waits.returncode == 5, waits.stdout
        assert "Service shop/odd waits for what it needs: list nodes" in waits.stdout + waits.stderr
    fake.faults.heal()
    preview = made.run("publish", "--dry-run")
    assert preview.returncode == 3, preview.stdout
    assert "warning: Service shop/odd: there is no annotation 'lbsync.io/balanse'" in preview.stdout
    written = made.run("publish", "--once")
    assert written.returncode == 3
    assert "shop/odd written; 2 services published" in written.stdout
    assert made.run("publish", "--once").returncode == 0
    assert "all is in step; 2 services published" in made.run("publish", "--dry-run").stdout


def test_once_waits_for_further_kinds_before_it_says_how_it_ended(
    publisher: PublisherProcess, store: Store, fake: FakeKube
) -> None:
    fake.put(node("n1", "10.5.0.1"))
    annotations = {**HOST, "lbsync.io/address-mode": "nodeport"}
    fake.put(service("np", "shop", labels=PUBLISH, annotations=annotations, type="NodePort"))
    pods = [endpoint("10.0.0.7", nodeName="n1")]
    fake.put(endpoint_slice("np-1", "np", pods, "shop", labels=PUBLISH))
    publisher.run("publish", "--once")
    assert store.addresses("shop/np") == ["10.5.0.1"]


def test_once_does_not_write_beside_a_leader(
    publisher: PublisherProcess, store: Store, publishers: Make
) -> None:
    publisher.start()
    wait_until("a leader", store.leader)
    answer = publishers().run("publish", "--once")
    assert answer.returncode == 8
    assert publisher.identity in answer.stderr


def test_a_cluster_that_does_not_answer_is_told_in_time(
    publisher: PublisherProcess, fake: FakeKube, store: Store
) -> None:
    fake.stop()
    answer = publisher.run("publish", "--once", "--wait", "1")
    assert answer.returncode == 6
    assert "not listed in time" in answer.stderr
    assert store.present() == []


def test_explain_tells_why_a_service_is_as_it_is(publisher: PublisherProcess) -> None:
    publisher.run("publish", "--once")
    answer = publisher.run("explain", "service", "shop/cart")
    said = answer.stdout
    assert "services/shop/cart by k8s/default" in said
    assert "hosts comes from lbsync.io/hosts" in said
    assert "10.0.0.1 (cart-1, EndpointSlice cart-1): ready" in said
    assert "10.0.0.2 (cart-2, EndpointSlice cart-1): left out: it is not ready" in said
    assert "10.0.0.3 (cart-3, EndpointSlice cart-1): terminating and still serving" in said
    assert "everything is stored as it should be" in said
    assert answer.returncode == 5, "not every endpoint is used"


def test_explain_tells_why_a_service_is_not_there(publisher: PublisherProcess) -> None:
    publisher.run("publish", "--once")
    broken = publisher.run("explain", "service", "shop/broken", "--output", "json")
    assert broken.returncode == 5
    found = json.loads(broken.stdout)
    assert found["stored"] == []
    assert "lbsync.io/maxconn" in found["reports"][0]
    assert [x["about"] for x in found["cluster"]].count("refused") == 1
    silent = publisher.run("explain", "service", "shop/silent")
    assert 'give it lbsync.io/publish: "true"' in silent.stdout
    absent = publisher.run("explain", "service", "shop/nobody")
    assert "the cluster has no Service shop/nobody" in absent.stdout


def test_explain_works_without_the_cluster(publisher: PublisherProcess, fake: FakeKube) -> None:
    publisher.run("publish", "--once")
    fake.stop()
    answer = publisher.run("explain", "service", "shop/cart")
    assert "services/shop/cart by k8s/default" in answer.stdout
    assert "was not asked" in answer.stdout
    offline = publisher.run("explain", "service", "shop/cart", "--offline")
    assert "services/shop/cart by k8s/default" in offline.stdout


def test_explain_shows_the_service_where_something_else_may_not_be_read(
    publisher: PublisherProcess, fake: FakeKube
) -> None:
    fake.faults.refuse(100, 403, part="/endpointslices")
    answer = publisher.run("explain", "service", "shop/cart")
    assert answer.returncode == 5
    assert 'label lbsync.io/publish is "true"' in answer.stdout
    assert "what else decides cannot be read" in answer.stdout
    assert "was not asked" not in answer.stdout


def test_status_shows_publishers_and_what_they_report(
    publisher: PublisherProcess, store: Store
) -> None:
    assert publisher.run("status", "--publishers").returncode == 6
    publisher.start()
    wait_until("the heartbeat", lambda: store.value("publishers/default/heartbeat"))
    answer = publisher.run("status", "--publishers")
    assert answer.returncode == 5, "a Service is refused"
    assert f"led by {publisher.identity}; 1 refused" in answer.stdout
    assert "Service shop/broken: annotation lbsync.io/maxconn" in answer.stdout
    found = json.loads(publisher.run("status", "--publishers", "--output", "json").stdout)
    assert "refused" in found["default"]["reports"]["service shop/broken"]


def test_probes_are_answered(publisher: PublisherProcess, fake: FakeKube) -> None:
    port = free_port()
    made = publisher.configure(http_bind=f"127.0.0.1:{port}", heartbeat="1s")

    def ask(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def read(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    fake.faults.refuse(1000)
    made.start()
    wait_until("/healthz", lambda: ask("/healthz") == 200, timeout=60)
    assert ask("/readyz") == 503, "nothing was listed yet"
    assert ask("/other") == 404
    fake.faults.heal()
    wait_until("/readyz", lambda: ask("/readyz") == 200, timeout=60)
    found = read("/metrics")
    assert "lbsync_publisher_leader 1.0" in found
    assert 'lbsync_publisher_objects{kind="services"} 2.0' in found
    assert "lbsync_publisher_services 1.0" in found
    assert "lbsync_publisher_refused 1.0" in found
    assert 'lbsync_publisher_change_served_seconds_count{outcome="ok"} 0.0' not in found
    assert json.loads(read("/status"))["leads"] is True
    assert made.stop() == 0


def test_an_address_for_probes_that_is_taken_keeps_nobody_from_publishing(
    publisher: PublisherProcess, store: Store
) -> None:
    made = publisher.configure(http_bind="192.0.2.1:80").start()
    made.wait_until_said("[publisher] http_bind: nobody is answered: 192.0.2.1:80 cannot be")
    wait_until("the Service", lambda: store.addresses("shop/cart"), timeout=60)


def test_a_kubeconfig_that_is_wrong_is_told_at_once(publishers: Make, tmp_path: Path) -> None:
    made = publishers(kubeconfig=str(tmp_path / "nowhere"))
    answer = made.run("publish")
    assert answer.returncode == 4
    assert "nowhere" in answer.stderr


def test_while_the_api_server_is_away_it_is_hardly_asked_and_seldom_spoken_of(
    publisher: PublisherProcess, store: Store, fake: FakeKube
) -> None:
    # Refused, it would be reminded of meanwhile.
    fake.delete("Service", "shop", "broken")
    publisher.start()
    wait_until("the Service", lambda: store.addresses("shop/cart"), timeout=60)
    fake.faults.refuse(10_000)
    fake.drop()
    publisher.wait_until_said("API server is away")
    before = len(fake.requests)
    lines = len(publisher.log())
    wait_until("some requests", lambda: len(fake.requests) >= before + 4, timeout=60)
    asked = [seen.at for seen in fake.requests[before:]]
    assert asked[-1] - asked[0] > 0.8 * (len(asked) - 1), "about one a second"
    assert publisher.log()[lines:] == []


def test_a_hangup_reads_settings_and_kubeconfig_again(
    publishers: Make, store: Store, fake: FakeKube, tmp_path: Path
) -> None:
    """Also where they name another API server; what is wrong is refused, and the old ones hold."""
    other = FakeKube().start()
    try:
        for cluster, host in ((fake, "one.example"), (other, "two.example")):
            note = {"lbsync.io/hosts": host}
            cluster.put(service("cart", "shop", labels=PUBLISH, annotations=note))
        made = publishers(cluster="one").start()
        wait_until("the first", lambda: store.value("services/shop/cart"), timeout=60)
        made.configure(cluster="Not A Name")
        made.send(signal.SIGHUP)
        made.wait_until_said("settings were not taken over")
        assert store.leader("one") == made.identity
        other.kubeconfig(made.kubeconfig)
        made.configure(cluster="two")
        made.send(signal.SIGHUP)
        wait_until("the lead of the new name", lambda: store.leader("two") == made.identity)
        assert store.leader("one") == ""
        fake.stop()
        other.put(
            service("late", "shop", labels=PUBLISH, annotations={"lbsync.io/hosts": "l.example"})
        )
        wait_until("the new cluster's Service", lambda: store.value("services/shop/late"))
        assert made.stop() == 0
    finally:
        other.stop()
