"""Whatever is stored, in whatever field: a named error for that key, or a configuration that HAProxy
takes and in which nobody else's part has changed."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.haproxy import binaries, branches
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.render.digest import seal
from lbsync.agent.render.renderer import OutputSpec, Renderer
from lbsync.cli.configuration.plan import make_plan, texts
from lbsync.errors import BadKey
from lbsync.model.records import EndpointsRecord, GlobalRecord, RouteRecord, ServiceRecord
from lbsync.model.rendered import Rendered
from lbsync.schema.decode import decode
from lbsync.schema.keys import parse_key
from lbsync.settings import load
from tests.builders import a_snapshot, servers
from tests.conftest import demand
from tests.contract_strategies import ANYTHING, HOSTILE, PEM, of_record

BATCH = 12
#: Who was there first, and must not notice.
WITNESSES: dict[str, object] = {
    "services/witness/web": {"mode": "http", "hosts": ["witness.test"], "auth": {
        "users": {"w": "$6$abcdefgh$" + "a" * 86}}, "rate_limit": {"requests": 9, "period": "1m"}},
    "endpoints/witness/web/main": servers(81, 82),
    "services/witness/db": {"mode": "tcp", "listen": 5432},
    "endpoints/witness/db/main": servers(83),
}  # fmt: skip
#: Everything that the packaged templates begin a line with.
KEYWORDS = set(
    re.findall(
        r"\S+",
        """
    accepted_payload_size acl backend balance bind chroot compression cookie default-path default_backend
    defaults description errorfile frontend global group guid hard-stop-after hash-type hold
    http-after-response http-check http-request http-response load-server-state-from-file log log-format
    mode monitor monitor-uri mworker-max-reloads no option nameserver resolvers retries server
    server-state-file spread-checks ssl-default-bind-options stats stats-file stick-table tcp-request timeout
    tune.ssl.default-dh-param use_backend user userlist
    """,
    )
)

Documents = list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]
documents = st.lists(
    st.tuples(of_record(ServiceRecord), of_record(EndpointsRecord), of_record(RouteRecord)),
    min_size=BATCH,
    max_size=BATCH,
)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


LEAST: dict[str, dict[str, Any]] = {
    "services": {"mode": "http"}, "endpoints": {"servers": []}, "routes": {"groups": {"main": 1}},
}  # fmt: skip


def repaired(key: str, document: dict[str, Any]) -> dict[str, Any]:
    """Take out what the decoder names, until it is content: what remains gets into the file."""
    parsed = parse_key(key)
    assert parsed is not None
    document = {**document}
    for _ in range(60):
        try:
            decode(key, parsed, as_json(document))
        except BadKey as error:
            assert error.key == key
            assert "\n" not in str(error)
            named = re.split(r"[.\[:,]", error.reason)[0]
            if named in LEAST[parsed.kind] or named.startswith(("the value", "it is no JSON")):
                return LEAST[parsed.kind]
            if "needs the port" in error.reason:
                document["listen"] = 20_000 + int(re.sub("[^0-9]", "", key))
                continue
            assert named in document, error
            del document[named]
        else:
            return document
    raise AssertionError(f"never accepted: {document}")


def keys_of(drawn: Documents, https: dict[str, Any]) -> dict[str, object]:
    """Each document under two services: as it is, and with what is refused taken out."""
    found: dict[str, object] = dict(WITNESSES)
    for number, (service, endpoints, route) in enumerate(drawn):
        whole = {**service, "hosts": [*service.get("hosts", []), f"h{number}.test"]} if isinstance(
            service.get("hosts", []), list) and service.get("mode") == "http" else service  # fmt: skip
        for name, change in (
            (f"raw{number}", lambda _, value: value),
            (f"mended{number}", repaired),
        ):
            found[f"services/t/{name}"] = as_json(change(f"services/t/{name}", whole))
            group = f"endpoints/t/{name}/main"
            found[group] = as_json(change(group, endpoints))
            found[f"routes/t/{name}"] = as_json(change(f"routes/t/{name}", route))
    found["settings/global"] = as_json(https)
    return found


def accept(binary: str, folder: Path, files: Mapping[str, bytes]) -> None:
    """Let HAProxy judge a set of files.

    There may be no authorities of the system here, so ours stand in for them.
    """
    for path, data in {"ca/system.pem": PEM.encode(), **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    said = subprocess.run(
        [binary, "-c", "-f", str(folder / "haproxy.cfg")],
        capture_output=True, text=True, errors="replace", timeout=60, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    # The files of server states and counters lie in the live generation, and there is none here. How long a
    # hash takes 3.4 measures, on a machine that may be busy.
    known = re.compile(
        r"global server state file|load stats|the hash algorithm used for this password"
    )
    lines = [line for line in said.stderr.splitlines() if not known.search(line)]
    assert not [line for line in lines if re.match(r"\[(ALERT|WARNING)\]", line)]


def parts(rendered: Rendered) -> dict[tuple[str, str], str]:
    """Section by kind and name; each name once."""
    text = texts(rendered)["haproxy.cfg"].decode()
    found: dict[tuple[str, str], str] = {}
    for placed in Parser().parse(text).placed:
        key = (placed.section.kind, placed.section.name)
        assert key not in found
        lines = placed.section.text.split("\n")
        found[key] = "\n".join(line for line in lines if line and not line.startswith("#"))
    return found


def lines_about(rendered: Rendered, word: str) -> list[str]:
    """Lines of all maps that hold `word`."""
    return [
        f"{path}: {line}"
        for path, data in texts(rendered).items()
        if path.startswith("maps/")
        for line in data.decode().split("\n")
        if word in line
    ]


@pytest.fixture(scope="module")
def programs() -> list[str]:
    """One HAProxy of each release to be tested. All of them judge what was drawn: to draw takes longest."""
    for branch in branches():
        demand(branch in binaries(), f"HAProxy {branch}")
    return [binaries()[branch] for branch in branches()]


@settings(
    max_examples=15,
    phases=[Phase.reuse, Phase.generate],  # the message names the key; shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                           HealthCheck.large_base_example, HealthCheck.data_too_large],
)  # fmt: skip
@given(drawn=documents, https=of_record(GlobalRecord))
def test_any_field_is_refused_by_name_or_harmless_to_all_others(
    programs: list[str], tmp_path: Path, drawn: Documents, https: dict[str, Any]
) -> None:
    keys = keys_of(drawn, https)
    for binary in programs:
        is_refused_or_harmless(binary, tmp_path, keys, https)


def is_refused_or_harmless(
    binary: str, tmp_path: Path, keys: Mapping[str, object], https: dict[str, Any]
) -> None:
    host = load(None, flags={"host": "lb-1", "haproxy.binary": binary}, environ={})
    plan = make_plan(host, a_snapshot(keys))
    named = {problem.key for problem in plan.desired.problems if problem.key}
    # Of a namespace with too many of them, the rest is one sentence.
    assert {name for name in named if not name.startswith("*/")} <= keys.keys()
    fewer = make_plan(host, a_snapshot({**WITNESSES, "settings/global": as_json(https)}))
    found, alone = parts(plan.rendered), parts(fewer.rendered)
    for section in alone.keys() - {("frontend", "fe_http"), ("global", "")}:
        assert found[section] == alone[section]
    expected = {("backend", backend.name) for backend in plan.desired.backends}
    expected |= {("frontend", service.frontend) for service in plan.desired.tcp_services}
    for profile in plan.desired.profiles:
        expected.add(("defaults", profile.name))
        expected |= {("userlist", profile.users)} if profile.record.auth else set()
        expected |= {("backend", profile.table)} if profile.record.rate_limit else set()
    expected |= {("resolvers", "lbsync")} if plan.desired.by_name else set()
    assert found.keys() == alone.keys() | expected
    text = texts(plan.rendered)["haproxy.cfg"].decode()
    first = {
        line.split()[0] for line in text.split("\n") if line.strip() and line.strip()[0] != "#"
    }
    assert first <= KEYWORDS
    assert lines_about(plan.rendered, "witness") == lines_about(fewer.rendered, "witness")
    accept(binary, tmp_path, texts(plan.rendered))


RAW = """\
global
    description {{ digest }}
    httpclient.ssl.verify none
defaults
    mode http
    timeout client 1s
    timeout connect 1s
    timeout server 1s
{% for kv in gets("/raw/*") %}
backend be_{{ base(kv.Key) }}
    # {{ kv.Value }}
    http-request set-header x-v "before {{ kv.Value|logformat }} after"
    http-request set-var(txn.a) str(x),concat(y) if { path -m str -- {{ kv.Value }} a{{ kv.Value }}b }
    http-request return status 200 content-type text/plain string {{ kv.Value }} if { path '/{{ kv.Value }}' }
    http-response add-header x-w {{ ("[" ~ kv.Value ~ "]")|logformat }}
    server s 127.0.0.1:80 cookie {{ kv.Value }}
{% endfor %}
frontend all
    bind 127.0.0.1:80
    default_backend be_witness
backend be_witness
    server witness 127.0.0.1:81
"""
WHOLE_LINES = 7
raw_values = st.sampled_from(HOSTILE).map(lambda text: text.encode("utf-8", "surrogatepass"))
raw_values |= st.binary(max_size=12) | st.text(max_size=12).map(
    lambda text: text.encode("utf-8", "replace")
)
raw_values |= ANYTHING.map(as_json)


@settings(max_examples=25)
@given(st.lists(raw_values, min_size=8, max_size=16))
def test_raw_keys_in_a_template_of_ones_own_are_refused_by_name_or_stay_in_their_words(
    programs: list[str], tmp_path: Path, drawn: list[bytes]
) -> None:
    (tmp_path / "raw.j2").write_text(RAW)
    renderer = Renderer([tmp_path], [OutputSpec("raw.j2", "haproxy.cfg")])
    keys = {f"raw/k{number}": value for number, value in enumerate(drawn)}
    while True:
        try:
            rendered = seal(renderer.render({}, keys))
            break
        except BadKey as error:
            name = error.key.removeprefix("/")
            assert name in keys, error
            del keys[name]
    found = parts(rendered)
    mine = {("backend", f"be_{key.partition('/')[2]}") for key in keys}
    fixed = {("global", ""), ("defaults", ""), ("frontend", "all"), ("backend", "be_witness")}
    assert found.keys() == mine | fixed
    assert found["backend", "be_witness"].split() == [
        "backend", "be_witness", "server", "witness", "127.0.0.1:81",
    ]  # fmt: skip
    assert {text.count("\n") + 1 for section, text in found.items() if section in mine} <= {
        WHOLE_LINES
    }
    for binary in programs:
        accept(binary, tmp_path, texts(rendered))
