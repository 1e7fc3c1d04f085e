"""What all golden tests share."""

import shutil
from pathlib import Path

import pytest

from harness.certificates import Authority
from tests.conftest import demand


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where settings of cases are read: `certs` lies beside them. What is in it is never shown."""
    demand(shutil.which("openssl") is not None, "openssl")
    folder = tmp_path_factory.mktemp("golden")
    certificate, key = Authority(folder / "authority").sign("shop")
    (folder / "certs").mkdir()
    (folder / "certs/shop.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    return folder
