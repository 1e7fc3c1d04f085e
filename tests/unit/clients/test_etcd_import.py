"""etcd3 was generated for a protobuf of long ago; the shim must carry it without a word."""

import subprocess
import sys

import pytest

from lbsync.clients.etcd.protobuf import etcd3, etcdrpc


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_shim_imports_etcd3_without_a_warning_or_a_word() -> None:
    done = run("import lbsync.clients.etcd.source, etcd3; print(etcd3.__version__)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.12.0\n", "")


@pytest.mark.parametrize("stub", ["KV", "Watch", "Lease", "Cluster", "Maintenance", "Auth"])
def test_every_stub_finds_its_messages(stub: str) -> None:
    client = etcd3.client(host="127.0.0.1", port=1)
    try:
        assert getattr(etcdrpc, f"{stub}Stub")(client.channel)
    finally:
        client.close()


def test_messages_survive_the_wire() -> None:
    request = etcdrpc.WatchRequest(
        create_request=etcdrpc.WatchCreateRequest(key=b"/a", range_end=b"/b", start_revision=7)
    )
    read = etcdrpc.WatchRequest.FromString(request.SerializeToString())
    assert read.create_request.start_revision == 7
    assert etcdrpc.Compare.MOD == 2
    assert etcdrpc.NOSPACE == 1


@pytest.mark.parametrize(
    "module",
    ["lbsync.clients.etcd.credentials", "lbsync.clients.sources", "lbsync.clients.files.source"],
)
def test_without_etcd_no_grpc_is_loaded(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('grpc', 'etcd3', 'google') if m in sys.modules])"
    )
    assert run(code).stdout == "[]\n"
