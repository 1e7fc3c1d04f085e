"""The Role of the manifest: enough for all that the provider does, and no right too many."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.fake_kube import ADMIN, Controllers, FakeKube, Trouble
from harness.fake_kube.place import User
from harness.wait import wait_until
from lbsync.deployer.kubernetes.provider import Kubernetes
from lbsync.model.deploying import VersionRecord
from lbsync.model.snapshot import Snapshot
from tests.integration.deployer.conftest import ALONE, CART, again, opened
from tests.kube import asked_for

PAGE = Path(__file__).parents[3] / "deploy/kubernetes/deployer.yaml"
OBJECTS: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in yaml.safe_load_all(PAGE.read_text())
}


def rights(*, without: frozenset[str] = frozenset()) -> set[tuple[str, str]]:
    rules = OBJECTS["Role"]["rules"]
    return {
        (verb, name)
        for rule in rules
        for name in rule["resources"]
        for verb in rule["verbs"]
        if name not in without
    }


def test_the_rights_are_enough_and_none_is_left_over(
    fake: FakeKube,
    controllers: Controllers,
    provider: Kubernetes,
    version_of: Callable[..., VersionRecord],
) -> None:
    fake.users[ADMIN] = User("system:serviceaccount:lbsync:lbsync-deployer", rights())
    one, two = version_of(1), version_of(2, image="cart:2")
    provider.check(CART, one.document, Snapshot(1, 0, {}))
    provider.provision(CART, one, ALONE)
    assert opened(provider.gate(CART, one)).is_done
    provider.publish(CART, one, ALONE)
    controllers.trouble("cart:2", Trouble(waiting="CrashLoopBackOff", ended="Error", restarts=1))
    provider.provision(CART, two, ALONE)
    fake.logs["cart:2"] = "no database\n"
    assert "cart: no database" in opened(provider.gate(CART, two)).log
    provider.image(CART, one)
    fake.patch("Deployment", "shop", "cart-1", {"spec": {"replicas": 0}})
    wait_until("version 1 to be held again", again(provider.provision, CART, one, ALONE))
    wait_until("version 2 to go", again(provider.remove, CART, two, ALONE))
    wait_until("all to go", again(provider.remove_app, CART, ALONE))
    assert asked_for(fake, namespace="shop") == rights()


@pytest.mark.parametrize("missing", ["pods/log", "events"])
def test_without_the_rights_to_explain_a_failure_is_found_all_the_same(
    fake: FakeKube,
    controllers: Controllers,
    provider: Kubernetes,
    version_of: Callable[..., VersionRecord],
    missing: str,
) -> None:
    fake.users[ADMIN] = User("deployer", rights(without=frozenset({missing})))
    controllers.trouble("cart:1", Trouble(waiting="CrashLoopBackOff", ended="Error", restarts=1))
    provider.provision(CART, version_of(), ALONE)
    view = opened(provider.gate(CART, version_of()))
    assert "ends again and again" in view.failed
    if missing == "pods/log":
        assert any("its log cannot be read" in line and "pods/log" in line for line in view.log)


def test_the_manifest_binds_its_account_to_its_role() -> None:
    role, binding, account = (OBJECTS[kind] for kind in ("Role", "RoleBinding", "ServiceAccount"))
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    subject = {name: binding["subjects"][0][name] for name in ("name", "namespace")}
    assert subject == {name: account["metadata"][name] for name in ("name", "namespace")}
    assert not any("secrets" in rule["resources"] for rule in role["rules"])
    assert not any("*" in rule["verbs"] + rule["resources"] for rule in role["rules"])
