"""A real HAProxy serves back what a template printed: every value arrives as it was."""

import contextlib
import http.client
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness import haproxy
from harness.haproxy import Haproxy
from harness.ports import free_port
from lbsync.agent.render.digest import seal
from lbsync.agent.render.renderer import OutputSpec, Renderer
from tests.conftest import demand
from tests.unit.agent.render.mixing import OTHERS, PRINTS


@pytest.fixture(params=haproxy.branches())
def binary(request: pytest.FixtureRequest) -> str:
    found = haproxy.binaries()
    demand(request.param in found, f"HAProxy {request.param}")
    return found[request.param]


SERVED = """\
defaults
    mode http
    timeout client 10s
    timeout connect 1s
    timeout server 1s
listen all
    bind 127.0.0.1:%s
"""
#: HAProxy tries one rule after the other, so each backend has few of them.
MAIN = (
    SERVED.replace("listen", "frontend") % "{{ port }}"
    + "    use_backend be_%[path,field(2,/)]\n"
    + "{% for few in all %}backend be_{{ loop.index0 }}\n"
    + "{% for way, path, v in few %}{% include way %}{% endfor %}{% endfor %}"
)
IN_A_BACKEND = 50
ANSWER = (
    "    http-request return status 200 content-type text/plain string %s if { path {{ path }} }\n"
)

#: Where in a word the template prints; and what then surrounds the value in the answer.
PLACES = {
    "{{ v }}": "{}",
    '"{{ v }}"': "{}",
    "'{{ v }}'": "{}",
    "<{{ v }}>": "<{}>",
    "'it is '{{ v }}\"...{{ v }}\"": "it is {}...{}",
    "{{ v ~ 'a b' ~ v }}": "{}a b{}",
}
SINGLE_WORDS = {
    source: words[0].replace("{%}", "{}")
    for source, words in PRINTS.items()
    if words and len(words) == 1 and "|lf" not in source and "block" not in source
}
HOSTILE = [
    "a b",
    "#",
    "x#y",
    "$HOME",
    "${HOME}",
    "${HOME-x}",
    "${X[*]}",
    "$",
    "$1",
    '"',
    "'",
    "\\",
    "\\\\",
    "\\n",
    "\\x41",
    "\\x",
    "%[env(HOME)]",
    "%",
    " ",
    "  a  ",
    "\t",
    "\x01\x7f",
    "{ path / }",
    "if",
    '" if { path / } #',
    "' if { path / } #",
    "é\u00a0\u2028\U0001f600",
    "\x85",
    "-f /etc/hostname",
    "a" * 4000 + " ",
]


def hostile_values() -> list[str]:
    """Return every character alone and between others, and random mixes (always the same ones)."""
    chance = random.Random(2)
    alphabet = " \t#$\\'\"{}%[]()x0an;\x01\x1f\x7f\x80é-"
    every = [chr(code) for code in range(1, 256) if chr(code) not in "\r\n\x02\x03"]
    mixes = ["".join(chance.choices(alphabet, k=chance.randint(1, 12))) for _ in range(300)]
    found = HOSTILE + every + [f"a{char}b {char}" for char in every] + mixes
    # A closing brace alone is refused: in a condition it would end that.
    return [value for value in found if value != "}"]


Printed = tuple[str, str]
"""How a template prints `v` (the word after `string`), and the value."""


def configure(directory: Path, port: int, prints: Sequence[Printed]) -> Path:
    """Write a configuration that answers the path of the Nth of `prints` with what that gives."""
    templates = directory / "templates"
    templates.mkdir()
    ways = {way: f"way{number}.j2" for number, (way, _) in enumerate(prints)}
    sources = {name: ANSWER % way for way, name in ways.items()}
    for name, text in {**OTHERS, **sources, "main.j2": MAIN}.items():
        (templates / name).write_text(text)
    rows = [(ways[way], path_of(n), value) for n, (way, value) in enumerate(prints)]
    everything = [rows[at : at + IN_A_BACKEND] for at in range(0, len(rows), IN_A_BACKEND)]
    renderer = Renderer([templates], [OutputSpec("main.j2", "haproxy.cfg")])
    config = directory / "haproxy.cfg"
    config.write_bytes(seal(renderer.render({"port": port, "all": everything}, {})).files[0].data)
    return config


def path_of(number: int) -> str:
    return f"/{number // IN_A_BACKEND}/{number}"


def answers(binary: str, directory: Path, prints: Sequence[Printed]) -> list[bytes]:
    """Serve `prints` by a real HAProxy and fetch all of them."""
    port = free_port()
    config = configure(directory, port, prints)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with (
        haproxy.running(Haproxy(directory, config, binary)),
        contextlib.closing(connection),
    ):
        found = []
        for number in range(len(prints)):
            connection.request("GET", path_of(number))
            found.append(connection.getresponse().read())
        return found


@pytest.mark.parametrize("ways", [PLACES, SINGLE_WORDS], ids=["places", "mixes"])
def test_every_value_comes_back_as_it_was(
    binary: str, ways: Mapping[str, str], tmp_path: Path
) -> None:
    values = hostile_values() if ways is PLACES else HOSTILE
    prints = [(way, value) for value in values for way in ways]
    expected = [ways[way].replace("{}", value).encode() for way, value in prints]
    assert answers(binary, tmp_path, prints) == expected


def test_a_running_haproxy_tells_which_set_it_serves(binary: str, tmp_path: Path) -> None:
    config = configure(tmp_path, free_port(), [("{{ v }}", "x")])
    written = config.read_text().split("description ")[1].split()[0]
    with haproxy.running(Haproxy(tmp_path, config, binary)) as daemon:
        assert f"description: {written}\n" in daemon.ask("@1 show info")


def test_the_last_description_is_the_one_that_haproxy_reports(binary: str, tmp_path: Path) -> None:
    """The rule by which the digest finds its line in a user's own template."""
    config = tmp_path / "haproxy.cfg"
    text = f"global\n  description one\nglobal\n  description two words # x\n{SERVED % free_port()}"
    sealed = seal({"haproxy.cfg": text.encode()})
    config.write_bytes(sealed.files[0].data)
    with haproxy.running(Haproxy(tmp_path, config, binary)) as daemon:
        assert f"description: {sealed.digest} two words\n" in daemon.ask("@1 show info")
