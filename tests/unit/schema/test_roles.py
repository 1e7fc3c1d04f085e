"""The rights of each part in etcd stand in one place, and one page tells of them."""

import re
from pathlib import Path

import pytest

from lbsync.schema.roles import DESCRIPTIONS, grants

DOCS = Path(__file__).parents[3] / "docs"
#: Role to the last column of its row.
ROWS = dict(
    re.findall(
        r"^\| `(\w+)` \|.*\|(.*)\|$",
        (DOCS / "security.md").read_text().partition("## Roles in etcd")[2].partition("\n## ")[0],
        re.MULTILINE,
    )
)
#: Whose row begins with "that": what the row before says, and more.
AND_MORE = {"operator": "deploy"}


def test_the_page_has_every_role() -> None:
    assert list(ROWS) == list(DESCRIPTIONS)


@pytest.mark.parametrize("role", [role for role in DESCRIPTIONS if role != "host"])
def test_the_page_says_what_a_role_may_write(role: str) -> None:
    told = re.findall("`([^`]+/)`", ROWS[role] + ROWS.get(AND_MORE.get(role, ""), ""))
    found = [
        grant for grant in grants(role, "<prefix>/", "<cluster>") if grant.permission != "read"
    ]
    assert sorted(told) == sorted(grant.key.removeprefix("<prefix>/") for grant in found)


def test_no_page_has_a_copy_of_what_the_command_prints() -> None:
    assert [path.name for path in DOCS.glob("*.md") if "grant-permission" in path.read_text()] == []
