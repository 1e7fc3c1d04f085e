"""Reading kubeconfig files: what is taken from where, and what is refused with which words."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.kube.auth import config, incluster, kubeconfig
from lbsync.errors import SettingsError


def write(path: Path, **changes: Any) -> Path:
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443/"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document | changes))
    return path


def user(**fields: Any) -> dict[str, Any]:
    return {"users": [{"name": "u", "user": fields}]}


def cluster(**fields: Any) -> dict[str, Any]:
    fields = {"server": "https://192.0.2.1"} | fields
    return {"clusters": [{"name": "c", "cluster": fields}]}


def test_the_current_context_leads_to_server_and_token(tmp_path: Path) -> None:
    path = write(tmp_path / "config")
    found = kubeconfig.load([path])
    assert (found.server, found.namespace) == ("https://192.0.2.1:6443", "default")
    assert found.credentials.current().token == "t"
    assert found.source == f"kubeconfig {path}, context x"


def test_a_kubeconfig_that_is_renewed_before_the_file_it_names_is_taken_over_then(
    tmp_path: Path,
) -> None:
    """Whoever rotates credentials may write both in any order, with any time in between."""
    path = write(tmp_path / "config")
    credentials = kubeconfig.load([path], every=0.0).credentials
    write(path, **user(tokenFile="next"))
    with structlog.testing.capture_logs() as logs:
        for _ in range(10):
            access = credentials.current()
            assert access.token == "t", "what was there before counts"
            credentials.refused(access)
        (tmp_path / "next").write_text("second")
        assert credentials.current().token == "second"
    said = dict.fromkeys(re.split(r":| since | after ", line["event"])[0] for line in logs)
    assert list(said) == [
        "the kubeconfig cannot be read; what it said before counts",
        "the kubeconfig can be read again",
        "the kubeconfig was read again",
    ]


def test_another_context_can_be_named(tmp_path: Path) -> None:
    contexts = [
        {"name": "x", "context": {"cluster": "missing", "user": "missing"}},
        {"name": "y", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
    ]
    found = kubeconfig.load([write(tmp_path / "config", contexts=contexts)], "y")
    assert found.namespace == "shop"


def test_of_several_files_the_first_that_knows_a_name_wins(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = write(tmp_path / "a/config", users=[], **cluster(server="https://first"))
    second = write(tmp_path / "b/config", **user(tokenFile="token"))
    (tmp_path / "b/token").write_text("beside the second\n")
    found = kubeconfig.load([first, tmp_path / "none", second])
    assert found.server == "https://first"
    assert found.credentials.current().token == "beside the second"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"current-context": ""}, "no current-context; name a context"),
        ({"current-context": "z"}, r"contexts: no 'z'; there are: x"),
        ({"users": None}, r"users: no 'u'; there are: none"),
        ({"clusters": 7}, r"is no kubeconfig: Expected `array"),
        (cluster(server="192.0.2.1"), "must begin with https://"),
        (cluster(**{"proxy-url": "socks5://x"}), "SOCKS is not supported"),
        (cluster(**{"certificate-authority": "none.pem"}), "certificate-authority: .*none.pem"),
        (cluster(**{"certificate-authority-data": "%"}), "certificate-authority-data is not base6"),
        (user(username="u", password="p"), "username is not supported"),
        (user(**{"auth-provider": {"name": "gcp"}}), "auth-provider is not supported; use exec"),
        (user(**{"as": "root", "exec": {"command": "x"}}), "as is not supported"),
        (user(**{"client-key-data": "eA=="}), "client-certificate is missing"),
        (user(**{"client-certificate-data": "eA=="}), "client-key is missing"),
        (user(exec={"command": "x", "apiVersion": "v1"}), "exec.apiVersion 'v1' must be client"),
        (
            user(exec={
                "command": "x",
                "apiVersion": "client.authentication.k8s.io/v1",
                "interactiveMode": "Always",
            }),
            "there is nobody to ask",
        ),
        (user(exec={"args": []}), "is no kubeconfig: .*command"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_name(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        kubeconfig.load([write(tmp_path / "config", **changes)])


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "a: [", "\t", "clusters: {a: b}", "\x00", "[" * 5000, "a: " + "9" * 5000,
        'a: !!int ""', "a: !!bool x", "a: !!timestamp x",
    ],
)  # fmt: skip
def test_what_is_no_kubeconfig_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(SettingsError, match=str(path)):
        kubeconfig.load([path])


@given(data=st.binary(max_size=100))
def test_any_file_is_read_or_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "config"
    path.write_bytes(data)
    with pytest.raises(SettingsError):
        kubeconfig.load([path])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not there"):
        kubeconfig.load([tmp_path / "none"])
    with pytest.raises(SettingsError, match=r"none of .* is there"):
        kubeconfig.load([tmp_path / "none", tmp_path / "neither"])


def test_tls_fields_are_taken(tmp_path: Path) -> None:
    data = base64.b64encode(b"pem").decode()
    fields = {
        "certificate-authority-data": data,
        "tls-server-name": "kubernetes",
        "insecure-skip-tls-verify": True,
        "proxy-url": "http://proxy:3128",
    }
    found = kubeconfig.load([write(tmp_path / "config", **cluster(**fields))])
    assert found.credentials.current().authority == b"pem"
    assert (found.tls_server_name, found.insecure) == ("kubernetes", True)
    assert found.proxy_url == "http://proxy:3128"


def test_a_named_kubeconfig_comes_before_the_pod_and_the_pod_before_the_user(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "config")
    pod = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    assert config.load(path, env=pod).server == "https://192.0.2.1:6443"
    assert config.load(env={"KUBECONFIG": str(path)}).server == "https://192.0.2.1:6443"
    with pytest.raises(SettingsError, match="automountServiceAccountToken"):
        config.load(env=pod | {"KUBECONFIG": str(path)})
    with pytest.raises(SettingsError, match="automountServiceAccountToken"):
        config.load(None, "", pod)  # as settings are that choose nothing
    with pytest.raises(SettingsError, match=str(tmp_path)):
        config.load(env={"HOME": str(tmp_path)})


def test_outside_a_pod_there_is_no_account() -> None:
    with pytest.raises(SettingsError, match="this is no pod; name a kubeconfig"):
        incluster.load({})


def test_an_address_of_a_pod_may_be_ipv6(tmp_path: Path) -> None:
    for name, text in (("token", "t"), ("ca.crt", "pem")):
        (tmp_path / name).write_text(text)
    env = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = incluster.load(env, tmp_path)
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", "default")
    assert found.credentials.current().token == "t"


def test_a_context_without_a_user_is_nobody_and_an_empty_file_is_passed_over(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").write_text("")
    path = write(tmp_path / "config", contexts=[{"name": "x", "context": {"cluster": "c"}}])
    access = kubeconfig.load([tmp_path / "empty", path]).credentials.current()
    assert not access.token
    assert access.certificate is None
