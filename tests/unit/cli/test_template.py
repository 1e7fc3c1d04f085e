"""`lbsync template`: the packaged templates, and one's own beside them."""

from pathlib import Path

import pytest

from lbsync.cli import main
from lbsync.errors import Exit


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine").mkdir()
    settings = tmp_path / "lbsync.toml"
    settings.write_text('[templates]\ndirectory = "mine"\n')
    monkeypatch.setenv("LBSYNC_CONFIG", str(settings))
    return tmp_path / "mine"


def test_a_copy_is_compared_with_what_it_came_from(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["template", "copy", "global.extra.cfg.j2"]) == Exit.OK
    copy = own / "global.extra.cfg.j2"
    assert main(["template", "show", "global.extra.cfg.j2"]) == Exit.OK
    assert capsys.readouterr().out.endswith(copy.read_text())
    assert main(["template", "diff"]) == Exit.OK
    copy.write_text("    maxcompcpuusage 50\n")
    assert main(["template", "copy", "global.extra.cfg.j2"]) == Exit.REJECTED
    assert main(["template", "diff"]) == Exit.CHANGED
    assert "+    maxcompcpuusage 50" in capsys.readouterr().out


def test_one_of_yours_that_replaces_nothing_is_told_of(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "backnd.cfg.j2").write_text("x\n")
    (own / "defaults.extra.cfg.j2").write_text('{% include "mine.j2" %}\n')
    (own / "mine.j2").write_text("    maxconn 7\n")
    assert main(["template", "ls"]) == Exit.OK
    told = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert told["backnd.cfg.j2"] == "yours, but nothing uses it"
    assert told["defaults.extra.cfg.j2"] == "yours, in place of the packaged one"
    assert told["mine.j2"] == "yours"
    assert told["global.cfg.j2"] == "packaged"


def test_a_name_that_no_packaged_template_has_is_refused(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["template", "copy", "nothing.j2"]) == Exit.REJECTED
    assert "no packaged template 'nothing.j2'" in capsys.readouterr().err
    assert not [*own.iterdir()]
