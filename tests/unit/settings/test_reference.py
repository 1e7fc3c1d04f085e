"""The page about settings is made from the settings."""

from pathlib import Path

import msgspec

from lbsync.settings.convert import meta
from lbsync.settings.deployer import Environment
from lbsync.settings.outputs import Output
from lbsync.settings.read import SECTIONS
from lbsync.settings.reference import render
from lbsync.settings.root import Settings

PAGE = Path(__file__).parents[3] / "docs/settings.md"


def test_the_page_in_docs_is_not_stale() -> None:
    assert PAGE.read_text() == render(), (
        "run: .venv/bin/python -m lbsync.settings.reference > docs/settings.md"
    )


def test_every_field_says_what_it_means() -> None:
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    owners = [Output, Environment, *(types[section] for section in SECTIONS)]

    silent = [
        f"{owner.__name__}.{field.name}"
        for owner in owners
        for field in msgspec.structs.fields(owner)
        if not meta(field.type).description
    ]

    assert silent == []
