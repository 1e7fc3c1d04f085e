"""What `lbsync check` finds odd although HAProxy takes it."""

from pathlib import Path

import pytest

from lbsync.agent.desired.assemble import Assembler
from lbsync.cli.check.check import endless_redirect
from lbsync.settings import load
from tests.builders import entries_of


def told(folder: Path, proxy: str, https: str, *, tls: bool) -> str | None:
    config = folder / "lbsync.toml"
    config.write_text(f"[proxy]\n{proxy}\n")
    values = {
        "settings/global": {"https": https},
        "services/shop/web": {"mode": "http", "hosts": ["shop.example.com"]},
        "services/shop/plain": {"mode": "http", "redirect": {"https": False}},
    }
    desired = Assembler().assemble(entries_of(values), 1, ())
    return endless_redirect(load(config, environ={}), desired, tls=tls)


def test_https_that_nothing_can_count_as_is_told_with_the_cure(tmp_path: Path) -> None:
    said = told(tmp_path, "", "only", tls=False)
    assert said is not None
    assert "1 service (shop/web, for one) redirect to https" in said
    assert "proxy.trusted_proxies" in said


@pytest.mark.parametrize(
    ("proxy", "https", "tls"),
    [
        ("", "only", True),
        ('trusted_proxies = ["10.0.0.0/8"]', "only", False),
        ("", "mixed", False),
        ("", "disabled", False),
    ],
)
def test_https_that_can_be_had_is_no_oddity(
    tmp_path: Path, proxy: str, https: str, tls: bool
) -> None:
    assert told(tmp_path, proxy, https, tls=tls) is None
