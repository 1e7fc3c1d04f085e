"""HAProxy's complaints as 2.6.12 and 2.8.25 print them, word for word."""

import pytest

from lbsync.clients.haproxy.binary import Alert, parse_alerts, parse_warnings

CFG = "/s/generations/.staging-1/haproxy.cfg"

SYNTAX = f"""\
[NOTICE]   (9104) : haproxy version is 2.6.12-1+deb12u4
[NOTICE]   (9104) : path to executable is /usr/sbin/haproxy
[ALERT]    (9104) : config : [{CFG}:12] : 'server b/s' : unknown keyword 'chekc'; did you mean 'check' maybe ?
[ALERT]    (9104) : config : parsing [{CFG}:13] : 'timeout' supports 'client' (got 'conect')
[ALERT]    (9104) : config : Error(s) found in configuration file : {CFG}
[ALERT]    (9104) : config : Fatal errors found in configuration.
"""


@pytest.mark.parametrize(
    ("said", "alerts"),
    [
        (
            SYNTAX,
            [
                Alert(
                    CFG, 12, "'server b/s' : unknown keyword 'chekc'; did you mean 'check' maybe ?"
                ),
                Alert(CFG, 13, "'timeout' supports 'client' (got 'conect')"),
            ],
        ),
        (
            f"[ALERT]    (9083) : config : Parsing [{CFG}:12]: backend 'b' has the same name as "
            f"backend 'b' declared at {CFG}:11.\n",
            [Alert(CFG, 12, f"backend 'b' has the same name as backend 'b' declared at {CFG}:11.")],
        ),
        (
            "[ALERT]    (9095) : config : Proxy 'fe': unable to find required default_backend: 'no'.\n"
            "[ALERT]    (9095) : config : Fatal errors found in configuration.\n",
            [Alert("", 0, "Proxy 'fe': unable to find required default_backend: 'no'.")],
        ),
        (
            "[ALERT]    (1) : Starting frontend fe: cannot bind socket (Address already in use) "
            "[127.0.0.1:80]\n[ALERT]    (1) : [haproxy.main()] Some protocols failed to start "
            "their listeners! Exiting.\n",
            [
                Alert(
                    "",
                    0,
                    "Starting frontend fe: cannot bind socket (Address already in use) "
                    "[127.0.0.1:80]",
                ),
                Alert(
                    "",
                    0,
                    "[haproxy.main()] Some protocols failed to start their listeners! Exiting.",
                ),
            ],
        ),
        (
            "Success=0\n--\n[NOTICE]   (6) : path to executable is /usr/sbin/haproxy\n"
            f"[ALERT]    (6) : config : parsing [{CFG}:19] : unknown keyword 'bogus' in 'backend'"
            " section\n[WARNING]  (6) : Loading failure!\n",
            [Alert(CFG, 19, "unknown keyword 'bogus' in 'backend' section")],
        ),
        (
            "[ALERT]    (6) : config : the reason\n   goes on here\n[NOTICE]   (6) : other\nstray\n",
            [Alert("", 0, "the reason goes on here")],
        ),
        (
            "[ALERT]    (6) : config : Fatal errors found in configuration.\n",
            [Alert("", 0, "Fatal errors found in configuration.")],
        ),
        ("Configuration file is valid\n", []),
        ("", []),
    ],
)
def test_every_reason_is_kept_with_its_place(said: str, alerts: list[Alert]) -> None:
    assert list(parse_alerts(said)) == alerts


def test_warnings_are_told_apart() -> None:
    said = "[NOTICE]   (1) : x\n[WARNING]  (1) : config : missing timeouts\nWarnings were found.\n"
    assert parse_warnings(said) == ("missing timeouts",)
