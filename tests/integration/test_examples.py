"""The examples for templates of one's own do what they say, and the programs take the result."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness import haproxy
from harness.ports import free_port
from lbsync.agent.desired import template_context
from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.render.digest import seal
from lbsync.clients.files.tree import Tree
from lbsync.model.desired import Desired
from lbsync.settings import load
from tests.builders import entries_of
from tests.conftest import demand

EXAMPLES = Path(__file__).parents[2] / "examples"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def keys_of(example: str) -> dict[str, bytes]:
    return dict(Tree(EXAMPLES / example).read().values)


def rendered(example: str, raw: Mapping[str, bytes], desired: Desired) -> dict[str, bytes]:
    renderer = template_context.make_renderer(load(EXAMPLES / example / "lbsync.toml"))
    return renderer.render(template_context.context(desired, [], False), raw)


def nothing() -> Desired:
    return Assembler().assemble({}, 0, ())


def check(directory: Path, config: bytes) -> subprocess.CompletedProcess[str]:
    """Let HAProxy judge `config`; no warning is expected either."""
    binary = haproxy.debian()
    demand(binary is not None, "HAProxy")
    (directory / "haproxy.cfg").write_bytes(seal({"haproxy.cfg": config}).files[0].data)
    return subprocess.run(
        [str(binary), "-c", "-f", str(directory / "haproxy.cfg")],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_template_brought_from_confd_renders_its_keys(tmp_path: Path) -> None:
    text = rendered("confd", keys_of("confd/keys"), nothing())["haproxy.cfg"]
    done = check(tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert "ALERT" not in done.stderr
    assert "WARNING" not in done.stderr
    lines = [line.strip() for line in text.decode().splitlines()]
    assert "acl host_storefront hdr(host),host_only -i -- shop.example.com" in lines
    assert (
        "http-request redirect prefix http://shop.example.com code 301 if www_storefront" in lines
    )
    assert "use_backend be_storefront if host_storefront" in lines
    assert lines[lines.index("backend be_storefront") + 1 :][:7] == [
        "balance roundrobin",
        "compression algo gzip",
        "compression type text/html text/plain text/css application/javascript application/json",
        "http-response set-header X-Content-Type-Options nosniff",
        "http-response set-header Content-Security-Policy \"default-src 'self'; img-src *\"",
        "server web-1 127.0.0.1:8001 check",
        "server web-2 127.0.0.1:8002 check",
    ]
    assert (
        "http-request redirect scheme https code 301 if host_cart !{ hdr(x-forwarded-proto) https }"
        in lines
    )


def test_the_confd_template_lives_with_an_empty_store(tmp_path: Path) -> None:
    text = rendered("confd", {}, nothing())["haproxy.cfg"]
    assert check(tmp_path, text).returncode == 0


@pytest.mark.parametrize(
    "hostile", ['a"b', "x # y", "a b'c", "$HOME", "\\", "%[env(HOME)]", "if { path / }"]
)
def test_hostile_values_in_raw_keys_stay_values(hostile: str, tmp_path: Path) -> None:
    raw = keys_of("confd/keys")
    for key in [key for key in raw if "/backends/" in key]:
        server = json.loads(raw[key])
        server["AdditionHttpHeaders"] = [{"Header": "X-Test", "Value": hostile}]
        raw[key] = json.dumps(server).encode()
    text = rendered("confd", raw, nothing())["haproxy.cfg"]
    harmless = rendered("confd", keys_of("confd/keys"), nothing())["haproxy.cfg"]
    assert check(tmp_path, text).returncode == 0
    changed = set(text.splitlines()) - set(harmless.splitlines())
    assert all(b"set-header X-Test" in line for line in changed)


def test_nginx_serves_the_same_services(tmp_path: Path) -> None:
    demand(NGINX is not None, "nginx")
    values: dict[str, object] = dict(keys_of("shop"))
    # One more of each kind: a split, an address of version 6, a server at rest, none at all.
    values |= {
        "services/x/split": {"mode": "http", "hosts": ["split.example"], "paths": ["/a", "/"]},
        "endpoints/x/split/a": {"servers": [{"name": "s", "address": "::1", "port": 81}]},
        "endpoints/x/split/b": {
            "servers": [{"name": "s", "address": "127.0.0.1", "port": 82, "state": "maint"}]
        },
        "routes/x/split": {"groups": {"a": 2, "b": 1}},
        "services/x/none": {"mode": "http"},
    }
    desired = Assembler().assemble(entries_of(values), 1, ())
    config = rendered("nginx", {}, desired)["/etc/nginx/nginx.conf"].decode()
    assert "server [::1]:81 weight=" in config
    assert "66.66% be_x_split_a;" in config
    text = config.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    for path in ("/run/nginx.pid", "/var/log/nginx/error.log", "/var/log/nginx/access.log"):
        text = text.replace(path, str(tmp_path / Path(path).name))
    (tmp_path / "nginx.conf").write_text(text)
    done = subprocess.run(
        [str(NGINX), "-t", "-q", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "emerg" not in done.stderr
