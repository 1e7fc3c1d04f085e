"""The examples that people copy from are right, and agree with the units and the defaults."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from lbsync.schema.decode import decode
from lbsync.schema.keys import parse_key
from lbsync.settings import Settings, load

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples/shop"


def unit(name: str) -> str:
    return (ROOT / "systemd" / name).read_text()


@pytest.mark.parametrize(
    "path", sorted(SHOP.rglob("*.yaml")), ids=lambda path: str(path.relative_to(SHOP))
)
def test_every_key_of_the_shop_keeps_the_contract(path: Path) -> None:
    key = str(path.relative_to(SHOP).with_suffix(""))
    parsed = parse_key(key)
    assert parsed
    decode(key, parsed, msgspec.json.encode(yaml.safe_load(path.read_text())))


def test_the_example_settings_are_the_defaults_said_aloud() -> None:
    assert load(ROOT / "examples/lbsync.toml", environ={}) == load(environ={})


def test_what_the_example_settings_comment_out_are_settings_that_exist(tmp_path: Path) -> None:
    text = (ROOT / "examples/lbsync.toml").read_text()
    live = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)
    assert live != text
    live = live.replace('endpoints = ["http://', 'endpoints = ["https://')
    (tmp_path / "lbsync.toml").write_text(live)
    load(tmp_path / "lbsync.toml", environ={})


def test_the_units_name_the_places_that_settings_have_by_default() -> None:
    settings = Settings()
    drop_in = unit("haproxy.service.d/lbsync.conf")
    assert f"CONFIG={settings.state_dir}/live/haproxy.cfg" in drop_in
    assert f'EXTRAOPTS="-S {settings.haproxy.master_socket},' in drop_in
    assert settings.state_dir == "/var/lib/lbsync"
    assert "StateDirectory=lbsync\n" in unit("lbsync-agent.service")


def test_the_watchdog_is_more_patient_than_the_longest_step() -> None:
    """A check or a reload that uses up its own time limit is no reason to kill the agent."""
    (seconds,) = re.findall(r"^WatchdogSec=(\d+)$", unit("lbsync-agent.service"), re.MULTILINE)
    longest = Settings().haproxy
    limit = longest.check_timeout.seconds + longest.reload_timeout.seconds
    assert int(seconds) >= 1.5 * limit
