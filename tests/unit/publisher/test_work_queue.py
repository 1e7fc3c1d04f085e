"""Every change in a cluster leads to the Services that it concerns, and to no others."""

from typing import Any

import pytest

from lbsync.clients.kube import Change
from lbsync.kube_objects import IngressClass, Pod
from lbsync.publisher.cluster.work_queue import Work, WorkQueue
from tests.kube_objects import ingress, node, rule, service, slice_


def noted(before: Any, after: Any) -> Work:
    queue = WorkQueue()
    queue.take()
    found = after or before
    queue.note(Change(type(found).__name__, found.namespace, found.name, before, after))
    return queue.take()


def test_a_beginning_means_everything() -> None:
    queue = WorkQueue()
    assert queue.take() == Work(everything=True, nodes=True, ingresses=True)
    assert queue.take() == Work()


def test_a_slice_concerns_the_service_it_had_and_the_one_it_has() -> None:
    found = noted(slice_(), slice_(service="web"))
    assert found == Work(services=frozenset({"shop/cart", "shop/web"}))


def test_a_service_concerns_itself() -> None:
    assert noted(None, service()) == Work(services=frozenset({"shop/cart"}))


@pytest.mark.parametrize("after", [None, service(labels={}), service(deleting=True)])
def test_a_service_that_goes_is_known_to_be_deleted(after: Any) -> None:
    assert noted(service(), after).deleted == {"shop/cart"}


def test_a_service_made_anew_at_once_is_not_deleted() -> None:
    queue = WorkQueue()
    queue.note(Change("Service", "shop", "cart", service(), None))
    queue.note(Change("Service", "shop", "cart", None, service(uid="other")))
    assert queue.take().deleted == frozenset()


def test_an_ingress_concerns_the_services_it_led_and_leads_to() -> None:
    before, after = ingress(rule("a.example", "/", to="old")), ingress(rule("a.example", "/"))
    found = noted(before, after)
    assert found.ingresses
    assert found.services == {"shop/old", "shop/cart"}


def test_nodes_classes_and_pods_concern_many() -> None:
    assert noted(node("n1"), None).nodes
    made = IngressClass(namespace="", name="x", uid="", controller="", is_default=False)
    assert noted(None, made).everything
    pod = Pod(namespace="shop", name="p", uid="", labels={})
    assert noted(pod, None) == Work(namespaces=frozenset({"shop"}))


def test_what_could_not_be_dealt_with_is_taken_again_with_what_came_since() -> None:
    queue = WorkQueue()
    first = queue.take()
    queue.mark(["shop/web"])
    queue.put_back(first)
    queue.put_back(Work(services=frozenset({"shop/cart"}), deleted=frozenset({"shop/cart"})))
    found = queue.take()
    assert found.everything
    assert found.services == {"shop/cart", "shop/web"}
    assert found.deleted == {"shop/cart"}


def test_a_service_found_missing_by_a_comparison_was_not_seen_to_be_deleted() -> None:
    queue = WorkQueue()
    queue.take()
    queue.note(Change("Service", "shop", "cart", service(), None, compared=True))
    assert queue.take().deleted == frozenset()
    queue.note(Change("Service", "shop", "cart", service(), None))
    assert queue.take().deleted == {"shop/cart"}
