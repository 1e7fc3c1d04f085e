"""Wrong options are named all at once, before anything is connected."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.etcd.options import EtcdOptions, split_endpoint
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.sources import open_source
from lbsync.errors import SettingsError


def test_the_defaults_are_right() -> None:
    assert EtcdOptions().problems() == []


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://127.0.0.1:2379", "127.0.0.1", 2379),
        ("https://etcd-1.example.com:2379/", "etcd-1.example.com", 2379),
        ("http://[::1]:1", "[::1]", 1),
    ],
)
def test_endpoints_are_urls_with_a_port(url: str, host: str, port: int) -> None:
    assert split_endpoint(url) == (host, port)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:2379", "http://127.0.0.1", "ftp://a:1", "http://a:99999", "http://a:0", ""]
)
def test_anything_else_is_refused_with_the_url(url: str) -> None:
    assert any(repr(url) in problem for problem in EtcdOptions(endpoints=(url,)).problems())


@given(st.text())
def test_no_endpoint_breaks_the_check(url: str) -> None:
    EtcdOptions(endpoints=(url,)).problems()


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    options = EtcdOptions(
        endpoints=("http://a:1", "https://b:2"),
        prefix="/x",
        cert=str(tmp_path / "none.pem"),
        user="joe",
        timeout=0,
        page_size=0,
    )
    with pytest.raises(SettingsError) as caught:
        EtcdSource(options)
    told = "\n".join(caught.value.problems)
    for word in ("mixed", "prefix", "cert and key", "none.pem", "password", "timeout", "page_size"):
        assert word in told


def test_a_ca_for_plain_endpoints_is_a_mistake(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    assert "write https://" in EtcdOptions(ca=str(ca)).problems()[0]


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(EtcdOptions(user="joe", password="secret"))


@pytest.mark.parametrize("spec", ["", "etcd:", "file:", "consul", "files:/x"])
def test_an_unknown_source_is_refused(spec: str) -> None:
    with pytest.raises(SettingsError, match="write etcd, or file:PATH"):
        open_source(spec, EtcdOptions())


def test_the_specification_chooses_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    opened = open_source(f"file:{tmp_path}", EtcdOptions())
    assert opened.snapshot().items.keys() == {"a"}
    opened.close()
    opened = open_source("etcd", EtcdOptions())
    assert "not watching" in opened.health().detail
    opened.close()
