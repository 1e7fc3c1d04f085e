"""What a change of certificates and their lists asks for."""

import pytest

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.changes.certificates import blocks, fingerprint, read_list, uses
from lbsync.agent.runtime.changes.steps import (
    CertificatePart,
    DropCertificate,
    ListCertificate,
    SetCertificate,
    Step,
    UnlistCertificate,
)
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.plan import plan
from lbsync.clients.haproxy.capabilities import of_release
from tests.pems import DAY, pem

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"
BINDS = """\
frontend fe
    bind :443 ssl crt-list certs.list alpn h2,http/1.1
    bind :8443 ssl crt own/x.pem
    bind :9443 ssl crt folder
"""
FILES = {
    "certs.list": "certs/a.pem\ncerts/b.pem [alpn h2] b.test\n",
    "certs/a.pem": PEM.format("YQ=="),
    "certs/b.pem": PEM.format("Yg=="),
    "own/x.pem": PEM.format("eA=="),
    "folder/y.pem": PEM.format("eQ=="),
}


def planned(changes: dict[str, str | None], text: str = BINDS) -> tuple[list[Step], list[str]]:
    config = Parser().parse(text)
    old = {path: content.encode() for path, content in FILES.items()}
    new = {**FILES, **changes}
    wanted = {path: content.encode() for path, content in new.items() if content is not None}
    made = plan(RuntimeConfig(config, old), config, wanted, of_release((2, 6, 12)))
    return list(made.steps), list(made.reasons)


def part(path: str, text: str) -> CertificatePart:
    return CertificatePart(path, text)


def test_a_renewed_certificate_is_set_wherever_a_bind_names_it() -> None:
    renewed = PEM.format("Wg==")
    for path in ("certs/a.pem", "own/x.pem", "folder/y.pem"):
        steps, reasons = planned({path: f"Bag attributes\n\n{renewed}\n"})
        assert reasons == []
        assert steps == [SetCertificate(path, (part(path, renewed),))]


def test_a_certificate_and_its_key_change_together() -> None:
    renewed, key = PEM.format("Wg=="), KEY.format("aw==")
    steps, _ = planned({"certs/a.pem": renewed, "certs/a.pem.key": key})
    parts = (part("certs/a.pem", renewed), part("certs/a.pem.key", key))
    assert steps == [SetCertificate("certs/a.pem", parts)]
    assert "aw==" not in repr(steps), "a log must not show a key"


def test_a_new_certificate_is_there_before_its_line() -> None:
    text = PEM.format("Yw==")
    line = "certs/c.pem c.test"
    steps, reasons = planned(
        {"certs/c.pem": text, "certs.list": FILES["certs.list"] + f"# c\n {line}\n"}
    )
    assert reasons == []
    assert steps == [
        SetCertificate("certs/c.pem", (part("certs/c.pem", text),), new=True),
        ListCertificate("certs.list", "certs/c.pem", line),
    ]


@pytest.mark.parametrize(
    ("lines", "steps"),
    [
        (
            "c.pem b.test\nb.pem [alpn h2] b.test",
            ["+c.pem b.test", "=b.pem"],
        ),
        ("b.pem [alpn h2] b.test\nc.pem b.test", ["+c.pem b.test"]),
        ("c.pem other.test\nb.pem [alpn h2] b.test", ["+c.pem other.test"]),
    ],
)
def test_one_that_is_new_comes_before_those_with_its_names(lines: str, steps: list[str]) -> None:
    """HAProxy puts it behind all others, and the first with a name answers."""
    text = "".join(f"certs/{line}\n" for line in ("a.pem", *lines.split("\n")))
    found, reasons = planned({"certs.list": text, "certs/c.pem": PEM.format("Yw==")})
    assert reasons == []
    assert _told(found) == steps


def _told(steps: list[Step]) -> list[str]:
    """Return `+` with a new line of a list, `=` with a certificate that is loaded again."""
    told = []
    for step in steps:
        if isinstance(step, ListCertificate):
            told.append(f"+{step.line}")
        elif isinstance(step, SetCertificate) and not step.new:
            told.append(f"={step.path}")
    return [each.replace("certs/", "") for each in told]


THREE = "certs/a.pem\ncerts/b.pem b.test\ncerts/c.pem b.test x.test\ncerts/d.pem x.test\n"


@pytest.mark.parametrize(
    ("renewed", "order", "steps"),
    [
        ("b", "abcd", ["=b.pem", "=c.pem", "=d.pem"]),
        ("c", "abcd", ["=c.pem", "=d.pem"]),
        ("d", "abcd", ["=d.pem"]),
        ("a", "abcd", ["=a.pem"]),
        ("", "acbd", ["=b.pem"]),
        ("b", "abdc", ["=b.pem", "=c.pem"]),
        ("", "abdc", ["=c.pem"]),
        ("", "adbc", ["=c.pem"]),
    ],
)
def test_one_that_is_loaded_again_takes_those_behind_it_along(
    renewed: str, order: str, steps: list[str]
) -> None:
    """What is renewed goes behind all others that HAProxy has for its names."""
    lines = dict(zip("abcd", THREE.splitlines(), strict=True))
    files = {f"certs/{name}.pem": PEM.format("Yw==") for name in "abcd"}
    old = {**files, "certs.list": THREE}
    new = {**files, "certs.list": "".join(f"{lines[name]}\n" for name in order)}
    if renewed:
        new[f"certs/{renewed}.pem"] = PEM.format("Wg==")
    config = Parser().parse("frontend fe\n    bind :443 ssl crt-list certs.list\n")
    running = RuntimeConfig(config, {path: text.encode() for path, text in old.items()})
    wanted = {path: text.encode() for path, text in new.items()}
    made = plan(running, config, wanted, of_release((2, 6, 12)))
    assert made.reasons == ()
    assert _told(list(made.steps)) == steps


def test_names_that_several_lists_or_binds_share_are_a_reload() -> None:
    """The order of one list would be mended at the cost of the other's; a bind has no order to mend."""
    config = Parser().parse(
        "frontend fe\n"
        "    bind :443 ssl crt-list one\n    bind :444 ssl crt-list two\n    bind :445 ssl crt folder\n"
    )
    old = {
        "one": b"a.pem\nb.pem x\nc.pem x\n",
        "two": b"a.pem\nc.pem x\nb.pem x\n",
        "folder/x.pem": pem("x", start=0, end=DAY),
        "folder/y.pem": pem("x", start=0, end=DAY),
    }
    old |= {f"{name}.pem": PEM.format("YQ==").encode() for name in "abc"}
    for path, words in (
        ("b.pem", "certificates of several lists share names"),
        ("folder/x.pem", "it shares names with folder/y.pem"),
    ):
        wanted = {**old, path: pem("x", start=0, end=2 * DAY)}
        made = plan(RuntimeConfig(config, old), config, wanted, of_release((2, 6, 12)))
        assert len(made.reasons) == 1 and words in made.reasons[0]


@pytest.mark.parametrize("stays", [True, False])
def test_a_certificate_goes_after_its_line_even_if_the_file_stays(stays: bool) -> None:
    text = FILES["certs/b.pem"] if stays else None
    steps, reasons = planned({"certs.list": "certs/a.pem\n", "certs/b.pem": text})
    assert reasons == []
    assert steps == [
        UnlistCertificate("certs.list", "certs/b.pem"),
        DropCertificate("certs/b.pem"),
    ]


def test_blanks_in_a_list_and_files_out_of_it_make_no_difference() -> None:
    spaced = "\n# all\n certs/a.pem \ncerts/b.pem  [alpn h2]   b.test\n"
    assert planned({"certs.list": spaced, "certs/unused.pem": "x"}) == ([], [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"certs.list": "certs/b.pem [alpn h2] b.test\ncerts/a.pem\n"}, "serves unknown names"),
        ({"certs.list": "certs/b.pem [alpn h2] b.test\n"}, "serves unknown names"),
        ({"certs.list": "certs/a.pem\ncerts/b.pem b.test\n"}, "the line of certs/b.pem changed"),
        ({"certs.list": "certs/a.pem\ncerts/a.pem x\n"}, "names a certificate twice"),
        ({"certs.list": None}, "it is new, gone"),
        ({"certs/a.pem": "no pem"}, "it is no PEM, or too long"),
        ({"certs/a.pem": PEM.format("A" * 20_000)}, "it is no PEM, or too long"),
        ({"certs/a.pem.ocsp": "x"}, "stands beside it"),
        ({"own/x.pem": None}, "own/x.pem: the certificate is gone"),
        ({"folder/z.pem": PEM.format("eg==")}, "folder/z.pem: the certificate is new"),
        ({"certs/b.pem": None}, "its file is missing"),
    ],
)
def test_everything_else_is_a_reload(changes: dict[str, str | None], words: str) -> None:
    steps, reasons = planned(changes)
    assert steps == []
    assert len(reasons) == 1 and words in reasons[0]


def test_a_file_that_only_a_line_of_a_list_names_is_read_at_a_start() -> None:
    listed = "certs/a.pem\ncerts/b.pem [ca-file own/ca.pem verify required] b.test\n"
    old = {**FILES, "certs.list": listed, "own/ca.pem": PEM.format("YQ==")}
    new = {**old, "own/ca.pem": PEM.format("Yg==")}
    config = Parser().parse(BINDS)
    running = RuntimeConfig(config, {path: text.encode() for path, text in old.items()})
    made = plan(
        running, config, {path: text.encode() for path, text in new.items()}, of_release((2, 6, 12))
    )
    assert made.reasons == ("own/ca.pem: it changed, and HAProxy reads it only when it starts",)


def test_where_names_are_hidden_a_change_is_a_reload() -> None:
    text = "global\n    crt-base /etc/certs\n" + BINDS
    _, reasons = planned({"certs/a.pem": PEM.format("Wg==")}, text)
    assert reasons == ["certs/a.pem: it changed, and 'crt-base' hides its name"]


def test_the_parts_of_a_configuration_are_found() -> None:
    found = uses(placed.section for placed in Parser().parse(BINDS).placed)
    assert found.lists == {"certs.list"}
    assert found.certificates == {"own/x.pem", "folder"}
    assert read_list(b"a x  y\n#b\n\nb\n") == {"a": "a x y", "b": "b"}
    assert read_list(b"a\na\n") is None


def test_what_is_sent_has_no_empty_line_and_the_fingerprint_is_of_the_first() -> None:
    mixed = "text\r\n\r\n" + KEY.format("aw==") + "\n\n" + PEM.format("YQ==\n\nYg==")
    sent = blocks(mixed.encode())
    assert "\n\n" not in sent
    assert sent.count("-----BEGIN") == 2
    # openssl sha1 of the byte "a"
    both = PEM.format("YQ==") + PEM.format("Yg==")
    assert fingerprint(both.encode()) == "86F7E437FAA5A7FCE15D1DDCB9EAEAEA377667B8"
    assert fingerprint(b"none") == ""
