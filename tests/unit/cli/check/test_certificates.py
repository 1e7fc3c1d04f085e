"""`lbsync check` tells which certificates end soon."""

import base64
import json
import time
from pathlib import Path

import pytest

from lbsync.cli import main
from lbsync.cli.check import host
from lbsync.settings import load
from tests.pems import DAY, certificate_pem, key_pem, pem


def test_all_certificates_that_this_host_shows_are_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/shop.pem").write_bytes(pem("shop.x", start=now - DAY, end=now + 90 * DAY))
    (tmp_path / "client.pem").write_bytes(certificate_pem(start=now, end=now + 5 * DAY))
    kube = certificate_pem(start=now - 9 * DAY, end=now - DAY)
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [
            {
                "name": "u",
                "user": {
                    "client-certificate-data": base64.b64encode(kube).decode(),
                    "client-key-data": base64.b64encode(key_pem()).decode(),
                },
            }
        ],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    (tmp_path / "keys").mkdir()
    file = tmp_path / "lbsync.toml"
    file.write_text(
        f"""source = "file:{tmp_path}/keys"
state_dir = "{tmp_path}"
[etcd]
cert = "{tmp_path}/client.pem"
key = "{tmp_path}/client.key"
[proxy]
certificates = "{tmp_path}/certs"
[publisher]
kubeconfig = "{tmp_path}/kubeconfig"
"""
    )

    ends = host.certificate_ends(load(file, environ={}))

    assert sorted(ends)[:2] == [f"{tmp_path}/certs/shop.pem", f"{tmp_path}/client.pem"]
    assert [name.partition(" (")[0] for name in sorted(ends)[2:]] == ["client certificate"]
    main(["--config", str(file), "check", "--offline"])
    said = capsys.readouterr().out
    assert f"{tmp_path}/client.pem expires on" in said
    assert "client certificate (" in said
    assert " expired on " in said
    assert "shop.pem" not in said
