"""What the page of the cluster says of nodes, pods and data stores."""

import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.console.cluster_watch import ClusterWatch
from lbsync.console.facts.cluster import Seen, StoreSeen, cluster_view
from lbsync.console.rendering import Renderer
from lbsync.kube_objects import ContainerState, Node, PodState
from lbsync.settings import Console, Settings
from lbsync.values.checks import StoreCheck
from tests.console_client import ConsoleClient

RENDERER = Renderer()


def a_pod(name: str, *, namespace: str = "shop", **container: Any) -> PodState:
    said: dict[str, Any] = {
        "name": "app", "image_id": "", "restarts": 0, "waiting": "", "message": "", "last_end": "", "last_code": 0,
    }  # fmt: skip
    return PodState(
        namespace=namespace, name=name, uid=name, labels={}, address="10.1.0.3", phase="Running", ready=True,
        deleting=False, unschedulable="", containers=(ContainerState(**(said | container)),),
    )  # fmt: skip


def a_node(name: str, *, ready: bool = True) -> Node:
    return Node(
        namespace="", name=name, uid=name, labels={}, addresses=(), taints=(), deleting=False, ready=ready
    )  # fmt: skip


def test_what_was_killed_for_memory_again_and_again_is_at_the_top() -> None:
    pods = [
        a_pod("well"), a_pod("once", restarts=1, last_end="Error"), a_pod("pulls", waiting="ImagePullBackOff"),
        a_pod("leaks", restarts=5, last_end="OOMKilled"), a_pod("crashes", restarts=9, last_end="Error"),
    ]  # fmt: skip
    view = cluster_view(Seen("", [a_node("n1"), a_node("n2", ready=False)], pods))
    assert [pod.pod for pod in view.pods] == [
        "shop/leaks", "shop/crashes", "shop/pulls", "shop/once", "shop/well",
    ]  # fmt: skip
    assert view.pods[0].restarts == 5
    assert [(node.node, node.degree) for node in view.nodes] == [("n2", "critical"), ("n1", "ok")]
    assert view.sentence == "5 pods, 4 of which need attention; 2 nodes, 1 not well"


def test_a_token_of_some_namespaces_sees_their_pods_alone() -> None:
    seen = Seen(
        "",
        [a_node("n1")],
        [a_pod("a"), a_pod("b", namespace="db")],
        (StoreSeen("m", "", "ok", ""),),
    )
    view = cluster_view(seen, ["db"])
    assert ([pod.pod for pod in view.pods], view.nodes, view.stores) == (["db/b"], (), ())


@given(text=st.text(max_size=40))
def test_whatever_a_pod_says_is_text(text: str) -> None:
    pods = [a_pod(text, waiting=text, message=text, last_end=text)]
    view = cluster_view(
        Seen(text, [a_node(text)], pods, (StoreSeen(text, text, "ok", text),), text)
    )
    html = RENDERER.plain("cluster.html.j2", view=view, health=_Well(), revision=1)
    assert "<script" not in html.replace("&lt;", "")


class _Well(msgspec.Struct):
    ok: bool = True


def test_data_stores_are_asked_as_the_settings_say(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as away:
        away.bind(("127.0.0.1", 0))
        checks = (
            f"main=tcp://127.0.0.1:{there.getsockname()[1]}",
            f"old=tcp://127.0.0.1:{away.getsockname()[1]}",
        )
        console = Console(checks=tuple(map(StoreCheck.parse, checks)))
        watch = ClusterWatch(msgspec.structs.replace(Settings(), console=console), lambda: None)
        found = watch._found()
    assert [(store.name, store.degree, store.said) for store in found.stores] == [
        ("main", "ok", "it takes connections"),
        ("old", "critical", "nothing listens there"),
    ]
    assert "Set <code>kubernetes" in ConsoleClient(tmp_path).get("/cluster").text


@pytest.mark.parametrize(
    "text",
    ["main", "main=tcp://10.0.0.5", "Main=tcp://a:1", "x=https://a/", "x=http://u:p@a/", "x=tcp://a:1/b", "x=tcp://[::",
     "x=http://a/ b", "x=http://a:99999/", "=tcp://a:1"],
)  # fmt: skip
def test_a_check_that_cannot_be_made_is_refused_with_one_that_can(text: str) -> None:
    with pytest.raises(ValueError, match="write main=tcp://"):
        StoreCheck.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_check_or_refused(text: str) -> None:
    try:
        check = StoreCheck.parse(text)
    except ValueError:
        return
    assert check.host
    assert 0 < check.port < 65536
    assert check.path.startswith("/")
