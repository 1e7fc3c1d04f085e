"""The lines of a section other than its servers: any change in them needs a reload. Pure."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from lbsync.agent.haproxycfg.lexer import words
from lbsync.agent.haproxycfg.parser import Section
from lbsync.agent.runtime.changes.change_set import PlanBuilder

_SHOWN_CHARACTERS = 100
_BEFORE_A_SECRET = frozenset(
    ("password", "insecure-password", "authorization", "proxy-authorization")
)


class Pair:
    """One section, before and after."""

    def __init__(self, old: Section, new: Section, line: int, base: Section | None) -> None:
        """`line`: of the new one's keyword in the configuration, from 1; `base`: the `defaults`
        section of both."""
        self.old, self.new = old, new
        self.line = line
        self.base = base

    @cached_property
    def old_lines(self) -> list[str]:
        """The lines of the old section."""
        return self.old.text.split("\n")

    @cached_property
    def new_lines(self) -> list[str]:
        """The lines of the new section."""
        return self.new.text.split("\n")

    def at(self, line: int) -> str:
        """Return the place of a line of the new section, in words."""
        return f"{title(self.new)}, line {self.line + line}"


def title(section: Section) -> str:
    """Return what a section is called in sentences."""
    return f"{section.kind} {section.name}" if section.name else section.kind


def other_lines_differ(draft: PlanBuilder, pair: Pair) -> bool:
    """Tell whether lines other than servers changed, and plan a reload then.

    Comments, blanks and the digest do not count.
    """
    # Only HAProxy knows which servers a condition leaves: all lines count then.
    whole = pair.old.conditional or pair.new.conditional
    skipped = set() if whole else _servers(pair.old, pair.old_lines)
    skipping = set() if whole else _servers(pair.new, pair.new_lines)
    old = [line for number, line in enumerate(pair.old_lines) if number not in skipped]
    new = [line for number, line in enumerate(pair.new_lines) if number not in skipping]
    if old == new:
        return False
    then = _meanings(pair.old_lines, skipped, pair.old.kind)
    now = _meanings(pair.new_lines, skipping, pair.new.kind)
    if (found := first_difference([w for _, w in then], [w for _, w in now])) is None:
        return False
    index, what = found
    line = now[min(index, len(now) - 1)][0] if now else 0
    draft.reload(f"{pair.at(line)}: {what}")
    return True


def first_change(old: Section, new: Section, line: int) -> str:
    """Return in words what first differs below the keywords of two sections, with its place; empty: nothing.

    `line`: of the new one's keyword in the configuration.
    """
    then = _meanings(old.text.split("\n"), {0}, old.kind)
    now = _meanings(new.text.split("\n"), {0}, new.kind)
    if (found := first_difference([said for _, said in then], [said for _, said in now])) is None:
        return ""
    index, what = found
    at = now[min(index, len(now) - 1)][0] if now else 0
    return f"{title(new)}, line {line + at}: {what}"


def _servers(section: Section, lines: list[str]) -> set[int]:
    """Return the numbers of `server` lines.

    `server-template` makes many servers of one line: its changes are left to a reload.
    """
    numbers = {server.line for server in section.servers}
    return {number for number in numbers if lines[number].split(maxsplit=1)[0] == "server"}


def _meanings(lines: list[str], skipped: set[int], kind: str) -> list[tuple[int, list[str]]]:
    read = ((number, words(line)) for number, line in enumerate(lines) if number not in skipped)
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
            return index, f"'{shown(line)}' is new"
        if index < len(old) and old[index] not in new:
            return index, f"'{shown(old[index])}' is gone"
        return index, f"'{shown(line)}' stands in another place"
    if len(old) > len(new):
        return len(new), f"'{shown(old[len(new)])}' is gone"
    return None


def shown(line: Sequence[str]) -> str:
    """Return the words of a line for a sentence, cut where they are many, and without passwords: a sentence goes into
    the log and the status."""
    text = " ".join(_without_secrets(line)).replace("\0", "$")
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _without_secrets(line: Sequence[str]) -> Iterator[str]:
    """Yield the words, with what follows one that announces a secret left out (manual, `user` and `stats auth`)."""
    before = ""
    for word in line:
        if before in _BEFORE_A_SECRET:
            yield "…"
        elif before == "auth" and line[0] == "stats":
            yield f"{word.partition(':')[0]}:…"
        else:
            yield word
        before = word.lower()
