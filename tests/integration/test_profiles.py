"""Settings that services share, and templates of the user's own beside them."""

import subprocess
from pathlib import Path

import pytest

from harness.stack import servers
from harness.wait import wait_until
from lbsync.agent.candidate.validate import Refused
from tests.pass_host import Host

PACKAGED = Path(__file__).parents[2] / "templates" / "haproxy"
#: As somebody may have had it before there were profiles: everything in the backend itself.
OWN_BACKEND = """\
{% import "macros.j2" as m %}
{% import "policies.j2" as p %}
{% set s = item.record %}
{% if s.auth and item.lead == item.name %}
userlist {{ item.users }}
{% for name, hash in s.auth.users|dictsort %}
    user {{ name }} password {{ hash }}
{% endfor %}

{% endif %}
backend {{ item.name }}
    balance {{ s.balance }}
{% if s.check.kind == "http" %}
    option httpchk
    http-check send meth GET uri {{ s.check.path }} ver HTTP/1.1 hdr host {{ m.check_host(s) }}
{% endif %}
{% if s.rate_limit %}
{{ p.rate_limit(item, s.rate_limit) -}}
{% endif %}
{% if s.auth %}
    http-request auth realm {{ s.auth.realm }} if !{ http_auth({{ item.users }}) }
{% endif %}
    http-response set-header x-mine yes
{% for server in item.servers %}
    server {{ server.name }} {{ m.server(item, server) }}
{% endfor %}

"""
PASSWORD = subprocess.run(
    ["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True
).stdout.strip()


def own(host: Host, tmp_path: Path, **templates: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, text in templates.items():
        (mine / f"{name}.cfg.j2").write_text(text)
    host.stack.write_settings(f'[templates]\ndirectory = "{mine}"\n')
    host.restart_agent()


def with_words(words: str, balance: str) -> str:
    """The packaged profile, with words that services of this balance get in addition."""
    packaged = (PACKAGED / "profile.cfg.j2").read_text().rstrip("\n")
    return f'{packaged}\n{{% if s.balance == "{balance}" %}}\n{words}\n{{% endif %}}\n\n'


def test_a_backend_template_of_ones_own_needs_no_profile(host: Host, tmp_path: Path) -> None:
    own(host, tmp_path, backend=OWN_BACKEND)
    web = servers(host.stack.web("more"))
    fields = {"rate_limit": {"requests": 3, "period": "1h"}, "check": {"path": "/health"}}
    users = {"auth": {"users": {"ann": PASSWORD}}}
    host.stack.put(
        {
            "services/shop/more": {"mode": "http", "hosts": ["more.example"], **fields},
            "endpoints/shop/more/default": web,
            "services/shop/one": {"mode": "http", "hosts": ["one.example"], **users},
            "endpoints/shop/one/default": web,
            "services/shop/two": {"mode": "http", "hosts": ["two.example"], **users},
            "endpoints/shop/two/default": web,
        }
    )
    assert host.agent.run_pass().error == ""
    assert [host.stack.get(f"{name}.example").status for name in ("one", "two")] == [401, 401]
    assert [host.stack.get("more.example").status for _ in range(4)] == [200, 200, 200, 429]
    host.stack.put({"endpoints/shop/more/default": servers(host.stack.web("other"))})
    assert "changed without a reload" in host.agent.run_pass().sentence


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("    timeout queue soon", "(p_"),
        ("    timeout queue {{ none }}", "None cannot be printed"),
    ],
)
def test_all_services_on_settings_that_do_not_work_are_held_back_and_no_other(
    host: Host, tmp_path: Path, words: str, told: str
) -> None:
    own(host, tmp_path, profile=with_words(words, "leastconn"))
    web = servers(host.stack.web("new"))
    for name, balance in (("one", "leastconn"), ("two", "leastconn"), ("good", "random")):
        service = {"mode": "http", "hosts": [f"{name}.example"], "balance": balance}
        host.stack.put({f"services/shop/{name}": service, f"endpoints/shop/{name}/default": web})
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert outcome.error.startswith("services/shop/one") and told in outcome.error
    assert "(and 1 more" in outcome.error
    answers = {name: host.stack.get(f"{name}.example").status for name in ("one", "two", "good")}
    assert answers == {"one": 404, "two": 404, "good": 200}


def test_defaults_of_ones_own_without_the_name_are_told_how_to_be_called(
    host: Host, tmp_path: Path
) -> None:
    unnamed = (PACKAGED / "defaults.cfg.j2").read_text().replace("defaults d_base", "defaults")
    own(host, tmp_path, defaults=unnamed)
    with pytest.raises(Refused, match="begin one with 'defaults d_base'"):
        host.agent.run_pass()
    assert host.stack.get("shop.example").body == "web"


def test_the_name_that_checks_ask_for_changes_without_a_reload(host: Host) -> None:
    web = host.stack.web("checked")
    service = {
        "mode": "http",
        "hosts": ["one.example"],
        "check": {"path": "/c", "interval": "200ms"},
    }
    host.stack.put({"services/shop/new": service, "endpoints/shop/new/default": servers(web)})
    assert host.agent.run_pass().confirmed
    wait_until("a check", lambda: web.last_headers.get("host") == "one.example")
    host.stack.put({"services/shop/new": {**service, "hosts": ["two.example"]}})
    assert "changed without a reload" in host.agent.run_pass().sentence
    wait_until("a check", lambda: web.last_headers.get("host") == "two.example")
