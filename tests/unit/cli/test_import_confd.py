"""`lbsync import-confd`."""

from pathlib import Path

import pytest

from lbsync.cli.main import main
from lbsync.errors import Exit

SETUP = Path(__file__).parents[2] / "data/confd/haproxy-directories"


def test_files_are_written_once_and_never_over_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["import-confd", str(SETUP), "--output", str(tmp_path / "out")]
    assert main(command) == Exit.OK
    assert f"wrote {tmp_path}/out/templates/lb/haproxy.j2" in capsys.readouterr().out
    (tmp_path / "out/templates/lb/haproxy.j2").unlink()
    assert main(command) == Exit.REJECTED
    assert f"{tmp_path}/out/lbsync.toml is there already" in capsys.readouterr().err
    assert not (tmp_path / "out/templates/lb/haproxy.j2").exists()


def test_without_a_directory_it_only_tells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-confd", str(SETUP)]) == Exit.OK
    told = capsys.readouterr().out
    assert "would write templates/lb/haproxy.j2" in told
    assert "lb.toml: reload_cmd" in told


def test_what_a_person_must_mend_ends_with_code_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "conf.d/a.toml").write_text('[template]\nsrc = "a.tmpl"\ndest = "/etc/a"\n')
    (tmp_path / "templates/a.tmpl").write_text("{{datetime}}")
    assert main(["import-confd", str(tmp_path)]) == Exit.REJECTED
    assert "a.tmpl:1: datetime is not offered" in capsys.readouterr().out
