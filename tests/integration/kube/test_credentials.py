"""Who the client is to the server: every source of credentials, their rotation and their refusal."""

import base64
import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import yaml

from harness.certificates import Authority
from harness.fake_kube import ADMIN, FakeKube
from harness.fake_kube.objects import service
from harness.fake_kube.place import User
from harness.ports import free_port
from harness.wait import wait_until
from lbsync.clients.kube import SERVICES, Client, ClusterConfig
from lbsync.clients.kube.auth import incluster, kubeconfig
from lbsync.clients.kube.auth.exec_plugin import Exec, ExecPlugin
from lbsync.clients.kube.auth.files import RotatedFile
from lbsync.clients.kube.errors import ApiUnavailable, Unauthorized
from lbsync.clients.kube.transport import Request, Transport
from lbsync.errors import Unavailable
from tests.kube import FAST, Watching, config_for


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(fakes: Callable[..., FakeKube], authority: Authority) -> FakeKube:
    """A server with TLS that also takes client certificates."""
    return fakes(tls=authority.sign("server"), client_ca=authority.ca)


def write(path: Path, fake: FakeKube, user: dict[str, Any], **cluster: Any) -> Path:
    """Write a kubeconfig."""
    document = {
        "clusters": [{"name": "c", "cluster": {"server": fake.url} | cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document))
    return path


def names(config: ClusterConfig) -> list[str]:
    """Return the Services that the server gives to these credentials."""
    client = Client(config, FAST)
    try:
        return [entry.key[1] for entry in client.list_all(SERVICES).entries]
    finally:
        client.close()


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def account(directory: Path, authority: Authority, token: str) -> Path:
    directory.mkdir()
    (directory / "ca.crt").write_bytes(authority.ca.read_bytes())
    (directory / "token").write_text(token + "\n")
    (directory / "namespace").write_text("lbsync")
    return directory


def pod(fake: FakeKube) -> dict[str, str]:
    return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(fake.port)}


def test_in_a_pod_the_mounted_account_is_used_and_its_rotation_followed(
    secure: FakeKube, authority: Authority, tmp_path: Path
) -> None:
    directory = account(tmp_path / "account", authority, ADMIN)
    config = incluster.load(pod(secure), directory, every=0.0)
    assert config.namespace == "lbsync"
    assert names(config) == []
    # The kubelet's way: a new file under the same name.
    (directory / "new").write_text("second")
    (directory / "new").rename(directory / "token")
    secure.users = {"second": User("lbsync")}
    assert names(config) == []
    assert secure.requests[-1].token == "second"


def test_a_refused_token_is_read_again_before_its_minute_is_over(
    secure: FakeKube, authority: Authority, tmp_path: Path
) -> None:
    directory = account(tmp_path / "account", authority, ADMIN)
    config = incluster.load(pod(secure), directory, every=3600.0)
    assert names(config) == []
    (directory / "token").write_text("second")
    assert names(config) == []
    assert secure.requests[-1].token == ADMIN
    secure.users = {"second": User("lbsync")}
    assert names(config) == []
    assert [r.token for r in secure.requests[-2:]] == [ADMIN, "second"]


def test_a_watch_goes_on_with_the_new_token(
    secure: FakeKube, authority: Authority, tmp_path: Path, watching: Watching
) -> None:
    directory = account(tmp_path / "account", authority, ADMIN)
    heard = watching(SERVICES, config=incluster.load(pod(secure), directory))
    wait_until("the watch", lambda: heard.health().ok)
    secure.users = {"second": User("lbsync")}
    secure.drop()
    wait_until("the refusal", lambda: "Unauthorized" in heard.health().detail)
    (directory / "token").write_text("second")
    secure.put(service("new"))
    wait_until("the new one", lambda: heard.names() == {"new"})


def test_refused_credentials_are_named(fake: FakeKube, tmp_path: Path) -> None:
    with pytest.raises(Unauthorized, match=r"list services: Unauthorized .*renew the token"):
        names(config_for(fake, tmp_path, "nobody"))
    # The same token is not tried twice.
    assert len(fake.requests) == 1


def test_a_kubeconfig_s_token_file_is_followed(fake: FakeKube, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(ADMIN)
    path = write(tmp_path / "config", fake, {"tokenFile": "token", "token": "not this"})
    config = kubeconfig.load([path], every=0.0)
    assert names(config) == []
    (tmp_path / "token").write_text("other")
    fake.users["other"] = User("other")
    assert names(config) == []
    assert fake.requests[-1].token == "other"


def test_a_token_renewed_in_the_kubeconfig_itself_is_followed(
    fake: FakeKube, tmp_path: Path
) -> None:
    path = write(tmp_path / "config", fake, {"token": ADMIN})
    config = kubeconfig.load([path])
    assert names(config) == []
    fake.users = {"next": User("next")}
    write(path, fake, {"token": "next"})
    assert names(config) == [], "the refusal has it read again before its minute is over"
    path.write_text("users: {no: list}")
    fake.users["next"] = User("next")
    assert names(config) == [], "half a file is none"
    path.unlink()
    assert names(config) == []


def test_another_server_in_the_kubeconfig_is_told_and_waits_for_a_reload(
    fake: FakeKube, fakes: Callable[..., FakeKube], tmp_path: Path
) -> None:
    path = write(tmp_path / "config", fake, {"token": ADMIN})
    config = kubeconfig.load([path], every=0.0)
    assert names(config) == []
    other = fakes()
    with structlog.testing.capture_logs() as logs:
        write(path, other, {"token": "of-another-cluster"})
        assert names(config) == []
    assert other.requests == []
    assert "another server" in logs[0]["event"]


@pytest.mark.parametrize("form", ["files", "data"])
def test_a_client_certificate_logs_in(
    form: str, secure: FakeKube, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.sign("lbsync")
    if form == "files":
        user = {"client-certificate": str(certificate), "client-key": str(key)}
        cluster = {"certificate-authority": str(authority.ca)}
    else:
        user = {
            "client-certificate-data": encoded(certificate),
            "client-key-data": encoded(key),
        }
        cluster = {"certificate-authority-data": encoded(authority.ca)}
    assert names(kubeconfig.load([write(tmp_path / "config", secure, user, **cluster)])) == []


def test_a_renewed_client_certificate_is_shown_on_new_connections(
    secure: FakeKube, authority: Authority, tmp_path: Path
) -> None:
    pair = tmp_path / "lbsync.pem", tmp_path / "lbsync.key"
    for path, made in zip(pair, Authority(tmp_path / "stranger").sign("lbsync"), strict=True):
        path.write_bytes(made.read_bytes())
    user = {"client-certificate": str(pair[0]), "client-key": str(pair[1])}
    path = write(tmp_path / "config", secure, user, **{"certificate-authority": str(authority.ca)})
    client = Client(kubeconfig.load([path], every=0.0), FAST)
    try:
        with pytest.raises(ApiUnavailable):
            client.list_all(SERVICES)
        for path, made in zip(pair, authority.sign("lbsync"), strict=True):
            path.write_bytes(made.read_bytes())
        assert client.list_all(SERVICES).entries == []
    finally:
        client.close()


def test_a_certificate_without_its_key_is_tried_again_and_not_fatal(
    secure: FakeKube, authority: Authority, tmp_path: Path
) -> None:
    certificate, _ = authority.sign("lbsync")
    _, other_key = authority.sign("other")
    user = {"client-certificate": str(certificate), "client-key": str(other_key)}
    path = write(tmp_path / "config", secure, user)
    with pytest.raises(Unavailable, match="client certificate and key do not fit"):
        names(kubeconfig.load([path]))


def test_a_server_of_another_authority_is_not_believed(secure: FakeKube, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    path = secure.kubeconfig(tmp_path / "config", authority=other.ca)
    with pytest.raises(ApiUnavailable, match=r"TLS failed: .*certificate-authority"):
        names(kubeconfig.load([path]))


def test_the_server_s_name_can_be_another_than_its_address(
    fakes: Callable[..., FakeKube], authority: Authority, tmp_path: Path
) -> None:
    fake = fakes(tls=authority.sign("elsewhere", address="192.0.2.7"))
    cluster = {"certificate-authority": str(authority.ca)}
    user = {"token": ADMIN}
    with pytest.raises(ApiUnavailable, match="TLS failed"):
        names(kubeconfig.load([write(tmp_path / "config", fake, user, **cluster)]))
    cluster["tls-server-name"] = "192.0.2.7"
    assert names(kubeconfig.load([write(tmp_path / "config", fake, user, **cluster)])) == []


def test_verification_is_left_out_only_when_told_so(secure: FakeKube, tmp_path: Path) -> None:
    user = {"token": ADMIN}
    with pytest.raises(ApiUnavailable, match="TLS failed"):
        names(kubeconfig.load([write(tmp_path / "config", secure, user)]))
    insecure = {"insecure-skip-tls-verify": True}
    assert names(kubeconfig.load([write(tmp_path / "config", secure, user, **insecure)])) == []


def test_closing_a_stalled_tls_watch_takes_no_time(
    secure: FakeKube, authority: Authority, tmp_path: Path, watching: Watching
) -> None:
    path = secure.kubeconfig(tmp_path / "config", authority=authority.ca)
    heard = watching(SERVICES, config=kubeconfig.load([path]), read=60.0, watch_slack=60.0)
    wait_until("the watch", lambda: heard.health().ok)
    secure.faults.stall()
    heard.close()
    assert not heard.health().ok


def test_closing_ends_a_request_whose_connection_is_still_being_made(
    secure: FakeKube, authority: Authority, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("late"))
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        trusted = {"certificate-authority": str(authority.ca)}
        path = write(tmp_path / "config", secure, {"token": ADMIN}, server=url, **trusted)
        transport = Transport(kubeconfig.load([path]), FAST)
        answers: list[object] = []

        def ask() -> None:
            try:
                answers.append(transport.open(Request(what="watch", path="/api"), 60.0))
            except ApiUnavailable as error:
                answers.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        accepted, _ = listener.accept()
        transport.close()
        with accepted, context.wrap_socket(accepted, server_side=True):
            asking.join(30)
            assert not asking.is_alive()
    assert isinstance(answers[0], ApiUnavailable)


class Plugin:
    """A credential program: prints what the file `answer` holds and notes each run."""

    def __init__(self, directory: Path) -> None:
        self.answer, self.runs = directory / "answer", directory / "runs"
        self.path = directory / "plugin"
        self.path.write_text(
            f"#!{sys.executable}\n"
            "import os, pathlib, sys\n"
            f"with open({str(self.runs)!r}, 'a') as runs:\n"
            "    runs.write(os.environ['KUBERNETES_EXEC_INFO'] + os.environ.get('X', '') + '\\n')\n"
            f"text = pathlib.Path({str(self.answer)!r}).read_text()\n"
            "print(text)\n"
            "sys.exit(0 if text else 'no ticket, ask for one')\n"
        )
        self.path.chmod(0o755)

    def says(self, version: str = "v1", **status: Any) -> None:
        credential = {"kind": "ExecCredential", "status": status}
        credential["apiVersion"] = f"client.authentication.k8s.io/{version}"
        self.answer.write_text(json.dumps(credential))

    def config(self, fake: FakeKube, version: str = "v1", **more: Any) -> ClusterConfig:
        spec = {
            "apiVersion": f"client.authentication.k8s.io/{version}",
            "command": "./plugin",
            "env": [{"name": "X", "value": "x-is-set"}],
            "installHint": "install the plugin",
        }
        path = self.path.parent / "config"
        again = more.pop("again", 0.0)
        return kubeconfig.load([write(path, fake, {"exec": spec | more})], again=again)

    @property
    def count(self) -> int:
        return len(self.runs.read_text().splitlines()) if self.runs.exists() else 0


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_program_s_token_is_used_until_it_expires(
    version: str, fake: FakeKube, plugin: Plugin
) -> None:
    config = plugin.config(fake, version)
    plugin.says(version, token=ADMIN, expirationTimestamp="2999-01-01T00:00:00Z")
    assert names(config) == []
    assert names(config) == []
    assert plugin.count == 1
    told = json.loads(plugin.runs.read_text().replace("x-is-set", ""))
    assert told == {
        "kind": "ExecCredential",
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "spec": {"interactive": False},
    }
    assert "x-is-set" in plugin.runs.read_text()


def test_an_expired_token_is_asked_for_again(fake: FakeKube, plugin: Plugin) -> None:
    config = plugin.config(fake)
    plugin.says(token=ADMIN, expirationTimestamp="2020-01-01T00:00:00+00:00")
    assert names(config) == []
    plugin.says(token="next")
    fake.users["next"] = User("next")
    assert names(config) == []
    assert names(config) == []
    assert plugin.count == 2
    # Nothing was refused on the way.
    assert [request.token for request in fake.requests] == [ADMIN, "next", "next"]


def test_a_refused_token_makes_the_program_run_again(fake: FakeKube, plugin: Plugin) -> None:
    config = plugin.config(fake)
    plugin.says(token=ADMIN)
    assert names(config) == []
    plugin.says(token="next")
    fake.users = {"next": User("next")}
    assert names(config) == []
    assert plugin.count == 2


def test_a_program_is_not_run_over_and_over(fake: FakeKube, plugin: Plugin) -> None:
    config = plugin.config(fake, again=3600.0)
    plugin.says(token="nobody")
    for _ in range(3):
        with pytest.raises(Unauthorized):
            names(config)
    assert plugin.count == 1
    plugin.answer.write_text("")
    config = plugin.config(fake, again=3600.0)
    for _ in range(3):
        with pytest.raises(Unavailable, match="exit code 1: no ticket, ask for one; install the"):
            names(config)
    assert plugin.count == 2


def test_a_program_may_give_a_certificate_and_be_told_the_cluster(
    secure: FakeKube, authority: Authority, tmp_path: Path
) -> None:
    plugin = Plugin(tmp_path)
    certificate, key = (path.read_text() for path in authority.sign("lbsync"))
    plugin.says(clientCertificateData=certificate, clientKeyData=key)
    path = tmp_path / "config"
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
    cluster = {"certificate-authority": str(authority.ca), "extensions": [extension]}
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin.path)}
    user = {"exec": spec | {"provideClusterInfo": True, "args": ["get"], "env": None}}
    assert names(kubeconfig.load([write(path, secure, user, **cluster)])) == []
    told = json.loads(plugin.runs.read_text())["spec"]["cluster"]
    assert told == {
        "server": secure.url,
        "certificate-authority-data": encoded(authority.ca),
        "config": {"audience": "a"},
    }


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("no json", "printed no ExecCredential"),
        ('{"kind":"ExecCredential","apiVersion":"x","status":{"token":"t"}}', "wanted ExecCred"),
        (
            '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}',
            "printed neither a token nor",
        ),
    ],
)
def test_a_program_s_nonsense_is_named(
    answer: str, complaint: str, fake: FakeKube, plugin: Plugin
) -> None:
    plugin.answer.write_text(answer)
    with pytest.raises(Unavailable, match=complaint):
        names(plugin.config(fake))


def test_a_program_that_is_not_there_is_named(fake: FakeKube, plugin: Plugin) -> None:
    with pytest.raises(Unavailable, match=r"credential plugin .*cannot be started.*install the"):
        names(plugin.config(fake, command="no-such-plugin-anywhere"))


class ConnectProxy:
    """An HTTP proxy that knows CONNECT and nothing else."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[str] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        with client, client.makefile("rb") as lines:
            self.asked.append(lines.readline().decode().strip())
            while lines.readline().strip():
                pass
            host, port = self.asked[-1].split()[1].rsplit(":", 1)
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=self._copy, args=(server, client))
                back.start()
                self._copy(client, server)
                back.join()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    made = ConnectProxy()
    yield made
    made.close()


def test_the_proxy_of_a_kubeconfig_is_used(
    secure: FakeKube, authority: Authority, tmp_path: Path, proxy: ConnectProxy
) -> None:
    cluster = {"certificate-authority": str(authority.ca), "proxy-url": proxy.url}
    path = write(tmp_path / "config", secure, {"token": ADMIN}, **cluster)
    secure.put(service("web"))
    assert names(kubeconfig.load([path])) == ["web"]
    assert [line.split()[:2] for line in proxy.asked] == [["CONNECT", f"127.0.0.1:{secure.port}"]]


def test_secrets_are_not_shown(config: ClusterConfig) -> None:
    access = config.credentials.current()
    assert access.token == ADMIN
    assert ADMIN not in repr(access)
    assert ADMIN not in repr(config)
    assert "token" in repr(access)


def test_an_authority_renewed_beside_a_program_is_believed(
    plugin: Plugin,
) -> None:
    """What a program printed has no end; the authority beside it has one."""
    (plugin.path.parent / "ca").write_bytes(b"old")
    plugin.says(token=ADMIN)
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin.path)}
    made = ExecPlugin(
        msgspec.convert(spec, Exec),
        plugin.path.parent,
        {},
        RotatedFile(plugin.path.parent / "ca", 0.0),
    )
    assert made.current().authority == b"old"
    (plugin.path.parent / "ca").write_bytes(b"renewed")
    assert made.current().authority == b"renewed"
    assert plugin.count == 1
