"""What `lbsync check` finds on the host itself."""

import os
from pathlib import Path

import msgspec
import pytest

from lbsync.cli.check import host
from lbsync.settings import Output, load
from lbsync.values.basic import Command

SOCKET = "/run/haproxy-master.sock"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#CONFIG=/etc/haproxy/haproxy.cfg\n# EXTRAOPTS=-x\n", ()),
        ("CONFIG=/var/lib/lbsync/live/haproxy.cfg\n", ()),
        ('CONFIG="/etc/haproxy/haproxy.cfg"\n', ("CONFIG=/etc/haproxy/haproxy.cfg wins",)),
        (f'EXTRAOPTS="-S {SOCKET},mode,660"\n', ()),
        ('export EXTRAOPTS="-de -m 16"\n', ("EXTRAOPTS=-de -m 16 wins",)),
        ("  export\tCONFIG = '/a b' \nexports CONFIG=/b\nMYCONFIG=/c\n", ("CONFIG=/a b wins",)),
        ("CONFIG" + " " * 200_000 + "x\n" + "CONFIG=a" + " " * 200_000 + "b\n", ("CONFIG=a ",)),
        (" " * 200_000 + "x\n", ()),
    ],
)
def test_a_line_that_wins_over_the_drop_in_is_told(
    tmp_path: Path, text: str, expected: tuple[str, ...]
) -> None:
    defaults = tmp_path / "haproxy"
    defaults.write_text(text)
    said = list(host.overruled(Path("/var/lib/lbsync/live"), SOCKET, defaults))
    assert len(said) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, said, strict=True))


def test_a_host_without_that_file_has_none(tmp_path: Path) -> None:
    assert list(host.overruled(tmp_path, SOCKET, tmp_path / "absent")) == []


def test_every_file_that_haproxy_reads_beside_the_live_one_is_told(tmp_path: Path) -> None:
    live, empty, full = tmp_path / "live", tmp_path / "empty", tmp_path / "conf.d"
    for folder in (tmp_path / "1", empty, full):
        folder.mkdir()
    live.symlink_to("1")
    main = live / "haproxy.cfg"
    for file in (main, full / "b.cfg", full / "a.cfg", full / ".hidden.cfg", full / "c.cfg.bak"):
        file.touch()

    def told(*words: str) -> list[str]:
        said = host.read_beside(["haproxy", "-Ws", *words, "-p", "/run/pid"], main)
        return [sentence.split()[3] for sentence in said]

    assert told("-f", str(main), "-f", "/dev/null", "-f", str(empty)) == []
    assert told("-f", str(tmp_path / "1/haproxy.cfg"), "-f", str(full)) == [
        str(full / "a.cfg"),
        str(full / "b.cfg"),
    ]
    said = host.read_beside(["haproxy", "-f", str(main), "--", "/etc/x.cfg"], main)
    assert [sentence.split()[3] for sentence in said] == ["/etc/x.cfg"]
    assert list(host.read_beside([], main)) == []
    assert list(host.read_beside(["haproxy", "-f"], main)) == []


CHECK = Command.parse(["grep", "-q", "fine", "{src}"])


def test_what_an_outputs_own_check_refuses_is_told(tmp_path: Path) -> None:
    good = Output("a.j2", f"{tmp_path}/good", check=CHECK)
    bad = Output("b.j2", f"{tmp_path}/bad", check=CHECK)
    settings = msgspec.structs.replace(load(None, environ={}), outputs=(good, bad))
    texts = {good.path: b"all fine", bad.path: b"no"}
    (said,) = host.refused(settings, texts)
    assert said.startswith(f"{bad.path}: its check refused it (grep ended with 1)")
    assert list(tmp_path.iterdir()) == [], "nothing was installed"


def test_a_directory_that_takes_no_file_is_told(tmp_path: Path) -> None:
    output = Output("a.j2", f"{tmp_path}/absent/file")
    settings = msgspec.structs.replace(load(None, environ={}), outputs=(output,))
    (said,) = host.unwritable(settings)
    assert f"{tmp_path}/absent is no directory" in said
    closed = tmp_path / "closed"
    closed.mkdir(0o555)
    settings = msgspec.structs.replace(settings, outputs=(Output("a.j2", f"{closed}/file"),))
    assert bool(list(host.unwritable(settings))) == (os.geteuid() != 0)
