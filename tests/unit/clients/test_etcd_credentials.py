"""What the settings name and this host does not have is named all at once, before anything is connected."""

from pathlib import Path

import pytest

from harness.etcd import etcd_settings, open_etcd
from lbsync.clients.sources import open_source
from lbsync.errors import SettingsError
from lbsync.settings import load


def test_every_file_that_cannot_be_read_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "c.pem").touch()
    missing = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "key")}
    with pytest.raises(SettingsError) as caught:
        open_etcd(["https://a:1"], cert=str(tmp_path / "c.pem"), **missing)
    assert caught.value.problems == [
        f"[etcd] {name}: {path} cannot be read" for name, path in missing.items()
    ]


def test_a_password_file_that_cannot_be_read_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"password_file: .*/none cannot be read"):
        open_etcd(["http://a:1"], user="joe", password_file=str(tmp_path / "none"))


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("secret")
    settings = etcd_settings(["http://a:1"], user="joe", password_file=str(tmp_path / "p"))
    assert "secret" not in repr(settings)


def test_the_setting_chooses_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    opened = open_source(load(flags={"source": f"file:{tmp_path}"}, environ={}))
    assert opened.snapshot().items.keys() == {"a"}
    opened.close()
    opened = open_source(load(flags={"source": "etcd"}, environ={}))
    assert "not watching" in opened.health().detail
    opened.close()
