"""The same change through confd, so that both stand in one table: `CONFD=/path/to/confd make bench`.

confd watches the same keys, renders HAProxy's configuration by a Go template (servers and hosts, as
the packaged templates route them), checks it with `haproxy -c` and reloads with SIGUSR2.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from bench.figures import median, p99, row
from bench.scale import endpoints, fill, name_of
from harness.haproxy import Haproxy, binaries
from harness.stack import Stack
from harness.wait import wait_until

SIZE = 1000
CHANGES = 20

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
    process: subprocess.Popen[bytes] | None = None
    try:
        stack.start()
        webs = [stack.web(name) for name in "ab"]
        fill(stack, SIZE, webs[0])
        argv = [confd, "-watch", "-backend", "etcdv3", "-node", stack.etcd.nodes[0].url]
        argv += ["-prefix", "/lbsync", "-confdir", str(directory / "confd")]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("confd's first file", config.exists, timeout=60)
        haproxy.start()
        seconds = []
        for number in range(CHANGES):
            web = webs[(number + 1) % 2]
            began = time.monotonic()
            stack.put({f"endpoints/{name_of(7)}/default": endpoints(web)})
            wait_until(
                "the change", lambda w=web: stack.get("h7.example").body == w.name, timeout=30
            )
            seconds.append(time.monotonic() - began)
        figures = f"{median(seconds) * 1000:.0f} / {p99(seconds) * 1000:.0f} ms"
        row(f"{SIZE} services: server changed by confd, median / p99", figures)
    finally:
        if process is not None:
            process.terminate()
            process.wait(10)
        haproxy.stop()
        stack.stop()


def _write(directory: Path, stack: Stack, config: Path, haproxy: Haproxy, binary: str) -> None:
    for name in ("conf.d", "templates"):
        (directory / "confd" / name).mkdir(parents=True)
    resource = _RESOURCE.format(dest=config, binary=binary, pid=haproxy.pid_file)
    (directory / "confd" / "conf.d" / "haproxy.toml").write_text(resource)
    template = _TEMPLATE.format(port=stack.http_port)
    (directory / "confd" / "templates" / "haproxy.tmpl").write_text(template)


if __name__ == "__main__":
    main()
