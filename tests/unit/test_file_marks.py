"""A file that was changed is read again, also where its time and size are as before."""

import os
from pathlib import Path

import pytest

from lbsync.agent import watches
from lbsync.atomic import mark
from lbsync.clients.etcd import connections
from lbsync.clients.kube.auth.files import RotatedFile
from lbsync.console.security.tokens import Tokens
from lbsync.settings import Etcd, FilePath


def changed_alike(path: Path, data: bytes) -> None:
    """Write the same number of other bytes, and leave the time of the content as it was."""
    before = path.stat()
    assert len(data) == before.st_size
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(b"old")
    os.utime(made, (1, 1))
    return made


def test_a_mark_tells_content_rights_and_replacement(path: Path) -> None:
    first = mark(path.stat())
    assert mark(path.stat()) == first
    changed_alike(path, b"new")
    second = mark(path.stat())
    path.chmod(0o600)
    third = mark(path.stat())
    beside = path.with_name("beside")
    beside.write_bytes(b"odd")
    os.utime(beside, (1, 1))
    beside.replace(path)
    assert len({first, second, third, mark(path.stat())}) == 4


def test_settings_and_templates_are_read_again(path: Path) -> None:
    before = watches._marks([path], None)
    changed_alike(path, b"new")
    assert watches._marks([path], None) != before


def test_a_channel_with_old_certificates_is_thrown_away(path: Path) -> None:
    settings = Etcd(cert=FilePath(str(path)), key=FilePath(str(path)))
    before = connections._stamp(settings)
    changed_alike(path, b"new")
    assert connections._stamp(settings) != before


def test_a_rotated_token_of_an_api_server_is_read(path: Path) -> None:
    file = RotatedFile(path, every=0.0)
    assert file.read() == b"old"
    changed_alike(path, b"new")
    assert file.read() == b"new"


def test_a_removed_token_of_the_console_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = Tokens(path)
    ann, bob = tokens.add("ann", "admin"), tokens.add("bob", "admin")
    good = path.read_bytes()
    assert tokens.find(ann)
    changed_alike(path, b"?" * len(good))
    assert tokens.find(ann), "a file that cannot be read leaves what was known"
    changed_alike(path, good.replace(b"ann", b"eve"))
    found = tokens.find(ann)
    assert found is not None
    assert found.name == "eve"
    assert tokens.find(bob)
