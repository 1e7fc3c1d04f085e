"""Wrong options are named all at once, before anything is connected."""

from pathlib import Path

import pytest

from lbsync.clients.etcd.options import EtcdOptions
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.sources import open_source
from lbsync.errors import SettingsError
from lbsync.settings.addresses import Endpoint


def test_the_defaults_are_right() -> None:
    assert EtcdOptions().problems() == []


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    options = EtcdOptions(
        endpoints=(Endpoint("http://a:1"), Endpoint("https://b:2")),
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
    assert "secret" not in repr(EtcdOptions(user="joe", password=lambda: "secret"))


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
