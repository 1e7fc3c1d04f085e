"""The lines of a section besides its servers: any change of them is a reload. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from lbsync.agent.directives import Section
from lbsync.agent.runtime.drafts import Draft
from lbsync.agent.words import words

_SHOWN_CHARACTERS = 100


class Pair(msgspec.Struct, frozen=True):
    """One section, then and now."""

    old: Section
    new: Section
    line: int
    """Line of the new one's keyword in the configuration, from 1."""
    base: Section | None
    """The `defaults` section of both."""

    def at(self, line: int) -> str:
        """Return the place of a line of the new section in words."""
        return f"{title(self.new)}, line {self.line + line}"


def title(section: Section) -> str:
    """Return what a section is called in sentences."""
    return f"{section.kind} {section.name}" if section.name else section.kind


def frame_differs(draft: Draft, pair: Pair) -> bool:
    """Look at all lines but those of servers; comments, blanks and the digest do not count."""
    # What a condition leaves of a section's servers, only HAProxy knows: all lines count then.
    whole = pair.old.conditional or pair.new.conditional
    old, new = _frame(pair.old, whole), _frame(pair.new, whole)
    if [line for _, line in old] == [line for _, line in new]:
        return False
    then, now = _meanings(old, pair.old.kind), _meanings(new, pair.new.kind)
    if (found := first_difference([w for _, w in then], [w for _, w in now])) is None:
        return False
    index, what = found
    line = now[index][0] if index < len(now) else new[-1][0] if new else 0
    draft.reload(f"{pair.at(line)}: {what}")
    return True


def _frame(section: Section, whole: bool) -> list[tuple[int, str]]:
    numbered = list(enumerate(section.text.split("\n")))
    if whole:
        return numbered
    servers = {server.line for server in section.servers}
    # `server-template` makes many servers of one line: what changes in it is left to a reload.
    return [
        (number, line)
        for number, line in numbered
        if number not in servers or line.split(maxsplit=1)[0] != "server"
    ]


def _meanings(lines: Iterable[tuple[int, str]], kind: str) -> list[tuple[int, list[str]]]:
    read = ((number, words(line)) for number, line in lines)
    own = ("description",) if kind == "global" else ()
    return [(number, said) for number, said in read if said and said[0] not in own]


def first_difference(
    old: Sequence[Sequence[str]], new: Sequence[Sequence[str]]
) -> tuple[int, str] | None:
    """Return where two lists of lines begin to differ (index in `new`), and how, in words."""
    for index, line in enumerate(new):
        if index < len(old) and old[index] == line:
            continue
        if line not in old:
            return index, f"'{_shown(line)}' is new"
        if index < len(old) and old[index] not in new:
            return index, f"'{_shown(old[index])}' is gone"
        return index, f"'{_shown(line)}' stands in another place"
    if len(old) > len(new):
        return len(new), f"'{_shown(old[len(new)])}' is gone"
    return None


def _shown(line: Sequence[str]) -> str:
    text = " ".join(line).replace("\0", "$")
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
