"""Reads which certificates answer for which names."""

import msgspec


class AnsweredName(msgspec.Struct, frozen=True):
    """One row of `show ssl sni`: a name, and a certificate that answers for it (management guide, 9.3)."""

    bind: str
    """Frontend and place of the bind."""
    name: str
    file: str


def parse(answer: str) -> list[AnsweredName]:
    """Read `show ssl sni` (3.2), in its order: of several rows of one name the first answers.

    Columns are found by the header. Rows of refused names are left out.
    """
    lines = [line.split("\t") for line in answer.splitlines() if "\t" in line]
    if not lines:
        return []
    head = [word.lstrip("# ") for word in lines[0]]
    rows = [dict(zip(head, line, strict=False)) for line in lines[1:]]
    return [
        AnsweredName(row["Frontend/Bind"], row["SNI"].lower(), row["Filename"])
        for row in rows
        if row.keys() >= {"Frontend/Bind", "SNI", "Filename"}
    ]
