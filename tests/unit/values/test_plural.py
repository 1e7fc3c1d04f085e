"""How many of something, in words."""

from lbsync.values.plural import first_few


def test_the_first_few_are_named_and_the_others_counted() -> None:
    assert first_few([], 2) == ""
    assert first_few(["a", "b"], 2) == "a, b"
    assert first_few(["a", "b", "c", "d"], 2, "; ") == "a; b and 2 more"
