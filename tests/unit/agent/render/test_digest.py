import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.render.digest import STAND_IN, describe, seal
from lbsync.errors import TemplateError
from lbsync.model.rendered import Rendered


def config(rendered: Rendered) -> str:
    return next(file.data for file in rendered.files if file.path == "haproxy.cfg").decode()


def test_the_digest_is_written_where_the_template_prints_it() -> None:
    sealed = seal({"haproxy.cfg": f"global\n  description {STAND_IN}\n# {STAND_IN}\n".encode()})
    assert re.fullmatch("[0-9a-f]{16}", sealed.digest)
    assert config(sealed) == f"global\n  description {sealed.digest}\n# {sealed.digest}\n"


@pytest.mark.parametrize(
    ("given", "described"),
    [
        ("", "global\n    description @\n\n"),
        ("defaults\n  mode http\n", "global\n    description @\n\ndefaults\n  mode http\n"),
        ("global\n  daemon\ndefaults\n", "global\n    description @\n  daemon\ndefaults\n"),
        ("global\n", "global\n    description @\n"),
        (
            "global\n  description the shop # x\nlisten a\n",
            "global\n  description @ the shop # x\nlisten a\n",
        ),
        (
            "global\n  description one\ndefaults\nglobal\n\tdescription two\n",
            "global\n  description one\ndefaults\nglobal\n\tdescription @ two\n",
        ),
        (
            "frontend f\n  description mine\n",
            "global\n    description @\n\nfrontend f\n  description mine\n",
        ),
        (
            "# global\nglobal # all\n  #description x\n",
            "# global\nglobal # all\n    description @\n  #description x\n",
        ),
        ("  global\n  descriptions x\n", "  global\n    description @\n  descriptions x\n"),
    ],
)
def test_a_template_that_prints_no_digest_gets_one(given: str, described: str) -> None:
    assert describe(given.encode()).decode() == described.replace("@", STAND_IN)
    assert describe(described.replace("@", STAND_IN).encode()).decode() == described.replace(
        "@", STAND_IN
    )


def test_files_are_sorted_and_keep_their_modes() -> None:
    sealed = seal({"maps/b": b"b", "haproxy.cfg": b"", "a": b"a"}, {"a": 0o600})
    assert [(file.path, file.mode) for file in sealed.files] == [
        ("a", 0o600),
        ("haproxy.cfg", 0o644),
        ("maps/b", 0o644),
    ]


def test_a_set_without_haproxy_cfg_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"haproxy\.cfg"):
        seal({"nginx.conf": b""})


files = st.dictionaries(st.sampled_from(["a", "ab", "maps/a", "b"]), st.binary(max_size=4)).map(
    lambda others: {"haproxy.cfg": b"global\n", **others}
)


@given(files, files)
def test_two_sets_share_a_digest_only_when_they_are_equal(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    assert (seal(one).digest == seal(other).digest) == (one == other)
    assert seal(one) == seal(dict(reversed(one.items())))
