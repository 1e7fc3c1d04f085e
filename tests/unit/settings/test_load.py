"""What a settings file, variables and flags become, and what is said of wrong ones."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from lbsync.errors import SettingsError
from lbsync.settings import Settings, load, password_of
from lbsync.settings.read import NAMES, TABLES, variable


def load_text(
    tmp_path: Path,
    text: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Settings:
    file = tmp_path / "lbsync.toml"
    file.write_text(text)
    return load(file, environ=environ or {}, flags=flags)


def problems_of(
    tmp_path: Path,
    text: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_text(tmp_path, text, environ, flags)
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_an_empty_file_gives_the_defaults_with_the_systems_host_name(tmp_path: Path) -> None:
    settings = load_text(tmp_path)

    assert settings.host
    assert settings.agent == Settings().agent
    assert settings.agent.debounce.seconds == 0.05


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    text = 'prefix = "/file/"\n[agent]\ndebounce = "1ms"\nretry_min = "11ms"\nresync = "1s"\n'
    environ = {"LBSYNC_AGENT_DEBOUNCE": "2ms", "LBSYNC_AGENT_RETRY_MIN": "12ms"}
    flags = {"agent.debounce": "3ms"}

    agent = load_text(tmp_path, text, environ, flags).agent

    assert [str(agent.debounce), str(agent.retry_min), str(agent.resync)] == ["3ms", "12ms", "1s"]


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "absent.toml", environ={})
    with pytest.raises(SettingsError, match="no such file"):
        load(environ={"LBSYNC_CONFIG": str(tmp_path / "absent.toml")})


def test_a_file_that_is_no_toml_is_reported_with_line_and_column(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "a = [\n") == [
        "lbsync.toml: this is no TOML: Invalid value (at end of document)"
    ]


def test_all_problems_of_all_places_are_reported_at_once(tmp_path: Path) -> None:
    text = 'sorce = "etcd"\n[agent]\ndebonce = "1s"\nguard_percent = 101\n[log]\nlevel = 3\n'

    found = problems_of(tmp_path, text, {"LBSYNC_ETCD_USR": "x"}, {"agent.resync": "5"})

    assert found == [
        "lbsync.toml: sorce: no such setting or section; did you mean source?",
        "lbsync.toml: [agent] debonce: no such setting; did you mean debounce?",
        "environment: LBSYNC_ETCD_USR: no such setting; did you mean LBSYNC_ETCD_USER?",
        "--set agent.resync: '5' is no duration: write a number with its unit, like 50ms, 2s or 5m",
        "lbsync.toml: [agent] guard_percent: 101 is out of range: int <= 100 is expected",
        "lbsync.toml: [log] level: a string in quotes is expected, this is a whole number",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("etcd = 1", "etcd is a section: write [etcd] on its own line"),
        ("[etcd]\nendpoints = []", "[etcd] endpoints: it is empty: name at least one"),
        ('[etcd]\nendpoints = "http://a"', "[etcd] endpoints: a list is expected"),
        ('[etcd]\nendpoints = ["http://a", "b"]', "[etcd] endpoints: entry 1: 'b' is no endpoint"),
        ('[etcd]\nendpoints = ["http://u:p@a"]', "holds no password"),
        ('[etcd]\nendpoints = ["http://a/v3"]', "something after host and port"),
        ('[etcd]\ntimeout = "1ms"', "[etcd] timeout: 1ms is too short: at least 100ms"),
        ("[agent]\nguard_percent = 1.5", "guard_percent: a whole number is expected"),
        ("[agent]\nguard_percent = true", "guard_percent: a whole number is expected"),
        ('[log]\nlevel = "loud"', "'loud' is none of debug, info, warning, error"),
        ('[haproxy]\nuser = "a b"', "[haproxy] user: 'a b' does not have the form"),
        ('[haproxy]\nbinary = ""', "[haproxy] binary: it is empty: write a path"),
        ('[haproxy]\nlog_target = "syslog"', "no log target"),
        ('[proxy]\nhttp_bind = ["::1:80"]', "write an IPv6 address in brackets"),
        ('[proxy]\nhttp_bind = ["0.0.0.0"]', "has no port"),
        ('[proxy]\nhttp_bind = ["0.0.0.0:70000"]', "a port is between 1 and 65535"),
        ('[proxy]\nhttp_bind = ["lb:80"]', "'lb' is no IP address"),
        ('[proxy]\ntrusted_proxies = ["10.0.0.1/8"]', "has host bits set"),
        (
            "[proxy]\naccept_proxy = true",
            "accept_proxy: a list is expected, this is true or false: name the networks that send",
        ),
        ('[agent]\nreport = "yes"', "true or false is expected"),
        ('source = "consul"', "'consul' is no source: write etcd, or file:PATH"),
        ('prefix = "lbsync"', "'lbsync' is no prefix"),
        ('host = "web_1"', "'web_1' is no name for this host"),
        ("outputs = 1", "write each output as a table that begins with [[outputs]]"),
        ('[[outputs]]\ntemplate = "t"', "[[outputs]] 1 path: required, but missing"),
        (
            '[[outputs]]\ntemplate = "t"\npath = "/p"\nmode = 644',
            "[[outputs]] 1 mode: 644 is no file mode",
        ),
        ('[[outputs]]\ntemplate = "t"\npath = "/p"\nchek = "x"', "did you mean check?"),
    ],
)
def test_a_wrong_value_is_named_with_its_cure(tmp_path: Path, text: str, sentence: str) -> None:
    (problem,) = problems_of(tmp_path, text)

    assert problem.startswith("lbsync.toml: ")
    assert sentence in problem


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[agent]\ndebounce = "1s"', "debounce_max (500ms) is shorter than debounce (1s)"),
        ('[agent]\nretry_max = "20ms"', "retry_max (20ms) is shorter than retry_min (1s)"),
        ('[etcd]\ncert = "c"', "needs both cert and key"),
        ('[etcd]\nuser = "u"', "user and password_file belong together"),
        ('[etcd]\nendpoints = ["http://a", "https://b"]', "http and https are mixed"),
        ('[etcd]\nca = "ca.pem"', "ca is set, but the endpoints are http://"),
        ('[haproxy]\nreload = "command"', "needs reload_command"),
        (
            '[haproxy]\nmaster_socket = ""',
            'reload = "master" needs master_socket; name it, or reload by "signal" or "command"',
        ),
        (
            '[haproxy]\nmaster_socket = ""\nstats_socket = ""\nreload = "signal"',
            "without master_socket and stats_socket nothing can be read back; name one of them",
        ),
        ('[proxy]\nhttps_bind = ["*:80"]', "0.0.0.0:80 is listened on twice (also in http_bind)"),
        ('[agent]\nhttp_bind = "127.0.0.1:80"', "port 80 is one of HAProxy's ([proxy])"),
        ('[log]\nformat = "gelf"', 'format = "gelf" needs gelf_target'),
        (
            '[log]\nformat = "gelf"\ngelf_target = "udp://g:1"\ngelf_ca = "c"',
            "gelf_ca is for tls:// alone",
        ),
        ("[templates]\npackaged = false", 'needs an output with path = "haproxy.cfg"'),
        (
            '[templates]\ndirectory = "t"\n[[outputs]]\ntemplate = "t"\npath = "../x"',
            "leads out of the generation",
        ),
        ("[templates]\ncontract = false", "contract = false leaves the packaged templates"),
        (
            '[[outputs]]\ntemplate = "t"\npath = "x"\ncomment_left = "{%"',
            "number 1: left, block_left and comment_left must be three different texts",
        ),
        (
            '[templates]\ndirectory = "t"\n[[outputs]]\ntemplate = "t"\npath = "x"\ncheck = "y"',
            "lies inside the generation",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (problem,) = problems_of(tmp_path, text)

    assert sentence in problem


def test_a_broken_value_is_not_also_blamed_for_contradictions(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, '[etcd]\ncert = "c"\nkey = 7\n')

    assert "[etcd] key" in problem


def test_lists_booleans_and_numbers_arrive_from_variables_as_text(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path,
        environ={
            "LBSYNC_ETCD_ENDPOINTS": "http://10.0.0.1:2379, http://10.0.0.2",
            "LBSYNC_AGENT_REPORT": "false",
            "LBSYNC_AGENT_GUARD_PERCENT": "30",
            "LBSYNC_HAPROXY_RELOAD": "command",
            "LBSYNC_HAPROXY_RELOAD_COMMAND": "sh -c 'echo a,b'",
            "LBSYNC_PROXY_TRUSTED_PROXIES": "",
        },
    )

    assert settings.etcd.endpoints == ("http://10.0.0.1:2379", "http://10.0.0.2:2379")
    assert settings.agent.report is False
    assert settings.agent.guard_percent == 30
    assert settings.haproxy.reload_command == ("sh", "-c", "echo a,b")
    assert settings.proxy.trusted_proxies == ()


def test_every_setting_but_outputs_can_be_given_as_a_variable_that_is_known(tmp_path: Path) -> None:
    environ = {variable(name): "\x00" for name in NAMES if name not in TABLES}

    found = problems_of(tmp_path, environ=environ)

    assert not [problem for problem in found if "no such setting" in problem]


def test_outputs_cannot_be_given_as_a_variable(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, environ={"LBSYNC_OUTPUTS": "x"})

    assert "write them in the settings file" in problem


def test_other_deployers_are_tables_of_their_own(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path,
        '[deployer.environments.prod]\nurl = "https://lb.example.com"\ntoken_file = "prod.token"\n'
        '[deployer.environments.test]\nurl = "http://[::1]:8480/"\ntoken_file = "/t"\nca_file = "/ca"\n',
    )
    prod, test = settings.deployer.environments.values()
    assert (prod.url, prod.token_file) == ("https://lb.example.com", str(tmp_path / "prod.token"))
    assert (test.url, test.ca_file, prod.ca_file) == ("http://[::1]:8480", "/ca", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[deployer]\nenvironments = "prod"', "write each environment as a table"),
        ("[deployer.environments.prod]\ntoken_file = '/t'", "[deployer.environments.prod] url: required, but missing"),
        ("[deployer.environments.prod]\nurl = 'https://a'\ntoken = 'x'\ntoken_file = '/t'", "did you mean token_file?"),
        ("[deployer.environments.prod]\nurl = 'http://lb'\ntoken_file = '/t'", "would travel readable; use https://"),
        ("[deployer.environments.prod]\nurl = 'https://a/b'\ntoken_file = '/t'", "something after host and port"),
        ("[deployer.environments.prod]\nurl = 'https://u:p@a'\ntoken_file = '/t'", "a URL holds no password"),
        ("[deployer.environments.prod]\nurl = 'lb.example.com'\ntoken_file = '/t'", "is no URL of a console"),
        ("[deployer.environments.Prod]\nurl = 'https://a'\ntoken_file = '/t'", "the name does not do"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_another_deployer_is_told(tmp_path: Path, text: str, said: str) -> None:
    problems = problems_of(tmp_path, text)
    assert any(said in problem for problem in problems), problems
    assert all("lbsync.toml" in problem for problem in problems)


def test_other_deployers_cannot_be_given_as_a_variable(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, environ={"LBSYNC_DEPLOYER_ENVIRONMENTS": "x"})

    assert "write them in the settings file" in problem


def test_variables_that_kubernetes_makes_for_a_service_of_our_name_are_no_settings(
    tmp_path: Path,
) -> None:
    links = {
        "LBSYNC_SERVICE_HOST": "10.96.0.7",
        "LBSYNC_SERVICE_PORT": "80",
        "LBSYNC_SERVICE_PORT_HTTP": "80",
        "LBSYNC_PORT": "tcp://10.96.0.7:80",
        "LBSYNC_PORT_80_TCP": "tcp://10.96.0.7:80",
        "LBSYNC_PORT_80_TCP_PROTO": "tcp",
        "LBSYNC_PORT_80_TCP_PORT": "80",
        "LBSYNC_PORT_80_TCP_ADDR": "10.96.0.7",
        "LBSYNC_AGENT_SERVICE_HOST": "10.96.0.8",
    }

    assert load_text(tmp_path, environ=links) == load_text(tmp_path)
    assert problems_of(tmp_path, environ={"LBSYNC_PORT": "eighty"})


def test_a_relative_path_begins_at_the_settings_file(tmp_path: Path) -> None:
    text = 'source = "file:keys"\n[templates]\ndirectory = "mine"\n[haproxy]\nbinary = "haproxy"\n'

    settings = load_text(tmp_path, text)

    assert settings.templates.directory == str(tmp_path / "mine")
    assert settings.source.path == str(tmp_path / "keys")
    assert settings.haproxy.binary == "haproxy"


def test_an_empty_string_stands_for_none(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path, '[proxy]\nstats_bind = ""\n[agent]\nguard_release = ""\n', {"LBSYNC_ETCD_CA": ""}
    )
    sockets = 'master_socket = ""\nreload = "signal"\n'

    assert settings.proxy.stats_bind is None
    assert settings.agent.guard_release is None
    assert settings.etcd.ca is None
    assert load_text(tmp_path, f"[haproxy]\n{sockets}").haproxy.master_socket is None
    assert load_text(tmp_path, '[haproxy]\nstats_socket = ""').haproxy.stats_socket is None


def test_an_output_is_read_in_full(tmp_path: Path) -> None:
    text = """
    [templates]
    directory = "/etc/lbsync/templates"
    [[outputs]]
    template = "nginx.conf.j2"
    path = "/etc/nginx/nginx.conf"
    mode = "0640"
    check = "nginx -t -c {src}"
    reload = ["systemctl", "reload", "nginx"]
    """

    (output,) = load_text(tmp_path, text).outputs

    assert output.mode == 0o640
    assert output.check == ("nginx", "-t", "-c", "{src}")
    assert output.reload == ("systemctl", "reload", "nginx")
    assert output.quote == "strict"
    assert (output.block_left, output.block_right) == ("{%", "%}")
    assert (output.comment_left, output.comment_right) == ("{#", "#}")


def test_ports_of_https_are_reserved_only_where_there_are_certificates(tmp_path: Path) -> None:
    without = load_text(tmp_path).proxy
    with_tls = load_text(tmp_path, '[proxy]\ncertificates = "/etc/certs"\n').proxy

    assert without.reserved_ports == {80, 8404}
    assert with_tls.reserved_ports == {80, 443, 8404}


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret \nnote\n")
    settings = load_text(tmp_path, '[etcd]\nuser = "u"\npassword_file = "pw"\n')

    assert password_of(settings.etcd) == "s3cret "
    assert password_of(Settings().etcd) is None

    (tmp_path / "pw").write_text("\n")
    with pytest.raises(SettingsError, match="empty first line"):
        password_of(settings.etcd)
    (tmp_path / "pw").unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        password_of(settings.etcd)


def test_no_service_can_have_the_port_that_the_agent_answers_on() -> None:
    flags = {"agent.http_bind": "127.0.0.1:9464"}
    assert 9464 in load(flags=flags, environ={}).reserved_ports
    assert 0 not in load(flags={"agent.http_bind": "/run/x"}, environ={}).reserved_ports
