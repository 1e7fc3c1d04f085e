"""What all golden tests share."""

import shutil
from pathlib import Path

import pytest

from harness.certificates import Authority
from tests.conftest import demand

HASH = f"$6$rounds=1000$salt${'a1' * 43}"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where settings of cases are read: `certs` lies beside them. What is in it is never shown.

    So do users of the statistics, and two programs that say of themselves to be the oldest and the newest HAProxy.
    """
    demand(shutil.which("openssl") is not None, "openssl")
    folder = tmp_path_factory.mktemp("golden")
    certificate, key = Authority(folder / "authority").sign("shop")
    for name, release in {"oldest": "2.6.0", "newest": "3.4.0 +QUIC"}.items():
        (folder / name).write_text(f"#!/bin/sh\necho HAProxy version {release}\n")
        (folder / name).chmod(0o755)
    (folder / "statistics.users").write_text(f"# who\nbob:{HASH}\nann@example.com:{HASH}\n")
    (folder / "certs").mkdir()
    (folder / "certs/shop.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    return folder
