"""The same change through confd, so that both stand in one table: `CONFD=/path/to/confd make bench`.

confd watches the same keys, renders HAProxy's configuration by a Go template (servers and hosts, as
the packaged templates route them), checks it with `haproxy -c` and reloads with SIGUSR2. The store,
the load and the change are those of `bench.runtime`.
"""

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from bench.figures import median, p99, row
from bench.pressure import Pressure
from bench.responder import Responder
from bench.scale import fill, name_of
from harness.haproxy import Haproxy, binaries
from harness.stack import Stack
from harness.wait import wait_until

SIZE = 1000
CHANGES = 60
RATE = 1050

_RESOURCE = """\
[template]
src = "haproxy.tmpl"
dest = "{dest}"
keys = ["/services", "/endpoints"]
check_cmd = "{binary} -c -f {{{{.src}}}}"
reload_cmd = "/bin/sh -c 'test ! -e {pid} || kill -USR2 $(cat {pid})'"
"""
_TEMPLATE = """\
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend fe_http
    bind 127.0.0.1:{port}
{{{{range $ns := lsdir "/services"}}}}{{{{range $name := ls (printf "/services/%s" $ns)}}}}\
{{{{$s := json (getv (printf "/services/%s/%s" $ns $name))}}}}
    use_backend be_{{{{$ns}}}}_{{{{$name}}}} if {{ hdr(host) -i {{{{index $s.hosts 0}}}} }}
{{{{end}}}}{{{{end}}}}
{{{{range $ns := lsdir "/services"}}}}{{{{range $name := ls (printf "/services/%s" $ns)}}}}
backend be_{{{{$ns}}}}_{{{{$name}}}}
{{{{$e := json (getv (printf "/endpoints/%s/%s/default" $ns $name))}}}}{{{{range $e.servers}}}}
    server {{{{.name}}}} {{{{.address}}}}:{{{{.port}}}}
{{{{end}}}}{{{{end}}}}{{{{end}}}}
"""


def main() -> None:
    """Measure, where `CONFD` names a program; say so where it does not."""
    confd = os.environ.get("CONFD", "")
    if not confd:
        print("confd: not measured; CONFD=/path/to/confd names the program to compare with")
        return
    with tempfile.TemporaryDirectory() as directory:
        _measure(confd, Path(directory), binaries()["2.6"])


def _measure(confd: str, directory: Path, binary: str) -> None:
    stack = Stack(directory, binary)
    config = directory / "haproxy.cfg"
    haproxy = Haproxy(directory / "run-confd", config, binary)
    _write(directory, stack, config, haproxy, binary)
    names = ("load", "target0", "target1")
    loaded, *targets = (Responder(directory / name, binary, name) for name in names)
    process: subprocess.Popen[bytes] | None = None
    pressure: Pressure | None = None
    try:
        stack.start()
        for responder in (loaded, *targets):
            responder.start()
        fill(stack, SIZE, *[stack.web(name) for name in "abc"])
        stack.put(
            {
                "services/bench/load": {"mode": "http", "hosts": ["load.example"]},
                "endpoints/bench/load/default": _one("load", loaded.port),
            }
        )
        argv = [confd, "-watch", "-backend", "etcdv3", "-node", stack.etcd.nodes[0].url]
        argv += ["-prefix", "/lbsync", "-confdir", str(directory / "confd")]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("confd's first file", config.exists, timeout=60)
        haproxy.start()
        pressure = Pressure(stack.http_port, "load.example", RATE)
        time.sleep(1.0)
        seconds = [_change(stack, number, targets[number % 2].port) for number in range(CHANGES)]
        figures = f"{median(seconds) * 1000:.0f} / {p99(seconds) * 1000:.0f} ms"
        row(f"{SIZE} services: server changed by confd, median / p99", figures)
        said = wait_until("the master", lambda: haproxy.ask("show proc"))
        reloads = re.search(r"^\d+\s+master\s+(\d+)", said, re.MULTILINE)
        figures = f"{reloads[1] if reloads else '?'} for {CHANGES} changes"
        row(f"{SIZE} services: server changed by confd, reloads", figures)
        reached, failed = pressure.stop()
        pressure = None
        row(f"{SIZE} services: load kept meanwhile, with confd", f"{reached:.0f} req/s")
        row(f"{SIZE} services: requests that failed, with confd", str(failed))
    finally:
        if pressure is not None:
            pressure.stop()
        if process is not None:
            process.terminate()
            process.wait(10)
        haproxy.stop()
        for responder in (loaded, *targets):
            responder.stop()
        stack.stop()


def _change(stack: Stack, number: int, port: int) -> float:
    """Point one service at the other target; return the seconds until a request reaches it."""
    began = time.monotonic()
    stack.put({f"endpoints/{name_of(7)}/default": _one(f"t{number}", port)})
    body = f"target{number % 2}"
    wait_until(body, lambda: stack.get("h7.example").body == body, every=0.0005, timeout=30)
    return time.monotonic() - began


def _one(name: str, port: int) -> dict[str, object]:
    return {"servers": [{"name": name, "address": "127.0.0.1", "port": port}]}


def _write(directory: Path, stack: Stack, config: Path, haproxy: Haproxy, binary: str) -> None:
    for name in ("conf.d", "templates"):
        (directory / "confd" / name).mkdir(parents=True)
    resource = _RESOURCE.format(dest=config, binary=binary, pid=haproxy.pid_file)
    (directory / "confd" / "conf.d" / "haproxy.toml").write_text(resource)
    template = _TEMPLATE.format(port=stack.http_port)
    (directory / "confd" / "templates" / "haproxy.tmpl").write_text(template)


if __name__ == "__main__":
    main()
