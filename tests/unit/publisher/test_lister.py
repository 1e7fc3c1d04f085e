"""What a translation reads, and what has to be watched for it."""

from typing import Any

import pytest

from lbsync.kube_objects import Pod, Service
from lbsync.publisher.cluster.informers import Extra
from lbsync.publisher.cluster.lister import Inputs, Lister
from lbsync.publisher.cluster.work_queue import Work
from tests.kube_objects import endpoint, ingress, node, rule, service, slice_
from tests.publishing import EVERYTHING, Objects, usual_options


def lister(*found: Any, mode: Any = "pod", ingress: bool = False) -> tuple[Lister, Objects]:
    objects = Objects(*found)
    made = Lister(objects, usual_options(address_mode=mode), ingress=ingress)
    made.refresh(EVERYTHING)
    return made, objects


def needed(made: Lister, found: Service) -> list[Extra]:
    return made.needs(found, made.leading_to(found))


def read(made: Lister, found: Service, needs: list[Extra]) -> Inputs:
    return made.inputs(found, made.leading_to(found), needs)


@pytest.mark.parametrize(
    ("mode", "annotations", "fields", "needs"),
    [
        ("pod", {}, {}, []),
        ("nodeport", {}, {}, ["nodes"]),
        ("nodeport", {"lbsync.io/address-mode": "pod"}, {}, []),
        ("pod", {"lbsync.io/address-mode": " NodePort "}, {}, ["nodes"]),
        ("pod", {"lbsync.io/group-label": "color"}, {}, ["pods"]),
        ("pod", {}, {"selects": False}, ["slices"]),
        ("pod", {}, {"selects": False, "type": "ExternalName"}, []),
    ],
)
def test_further_kinds_are_watched_only_for_who_needs_them(
    mode: Any, annotations: dict[str, str], fields: dict[str, Any], needs: list[str]
) -> None:
    made, _ = lister(mode=mode)
    assert needed(made, service(annotations=annotations, **fields)) == needs


def test_an_ingress_may_ask_for_nodes_on_behalf_of_its_services() -> None:
    web = ingress(rule("a.example", "/"), annotations={"lbsync.io/address-mode": "nodeport"})
    made, _ = lister(web, ingress=True)
    assert needed(made, service()) == ["nodes"]
    assert needed(made, service("other")) == []


def test_an_ingress_of_another_class_is_not_read() -> None:
    made, _ = lister(ingress(rule("a.example", "/"), class_name="nginx"), ingress=True)
    assert made.ours == []
    assert read(made, service(), []).ingresses == ()


def test_nodes_that_say_the_same_are_the_same_pool() -> None:
    made, objects = lister(node("n1", ("InternalIP", "10.0.0.1")), service(), mode="nodeport")
    before = read(made, service(), ["nodes"])
    objects.put(node("n1", ("InternalIP", "10.0.0.1"), labels={"news": "none"}))
    made.refresh(Work(nodes=True))
    assert read(made, service(), ["nodes"]).pool is before.pool
    objects.put(node("n1", ("InternalIP", "10.0.0.2")))
    made.refresh(Work(nodes=True))
    assert read(made, service(), ["nodes"]).pool is not before.pool


def test_inputs_are_the_same_only_while_every_object_is() -> None:
    own, part = service(), slice_(endpoint("10.0.0.1", "p"))
    made, objects = lister(own, part)
    before = read(made, own, [])
    assert before.same(read(made, own, []))
    assert not before.same(read(made, service(), []))
    objects.put(slice_(endpoint("10.0.0.1", "p"), name="cart-b"))
    assert not before.same(read(made, own, []))
    objects.drop(slice_(name="cart-b"))
    objects.put(slice_(endpoint("10.0.0.1", "p")))
    assert not before.same(read(made, own, []))


def test_labels_of_pods_are_read_for_the_pods_of_the_service_only() -> None:
    def pod(name: str) -> Pod:
        return Pod(namespace="shop", name=name, uid="", labels={"color": name})

    made, _ = lister(slice_(endpoint("10.0.0.1", "mine")), pod("mine"), pod("other"))
    assert read(made, service(), ["pods"]).pods == {"mine": {"color": "mine"}}
    assert read(made, service(), []).pods == {}


def test_a_pod_that_is_gone_keeps_its_labels_while_a_slice_names_it() -> None:
    """It goes first, and must not change its group on the way out."""
    pod = Pod(namespace="shop", name="mine", uid="", labels={"color": "blue"})
    made, objects = lister(slice_(endpoint("10.0.0.1", "mine"), endpoint("10.0.0.2", "new")), pod)
    assert read(made, service(), ["pods"]).pods == {"mine": {"color": "blue"}}
    objects.drop(pod)
    assert read(made, service(), ["pods"]).pods == {"mine": {"color": "blue"}}
    objects.put(slice_(endpoint("10.0.0.2", "new")))
    assert read(made, service(), ["pods"]).pods == {}
    objects.put(slice_(endpoint("10.0.0.1", "mine")))
    assert read(made, service(), ["pods"]).pods == {}
