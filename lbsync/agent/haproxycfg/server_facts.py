"""What the words after a server's address say, found once for all servers that have the same words. Pure."""

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from lbsync.agent.haproxycfg import expressions
from lbsync.agent.haproxycfg.expressions import Value
from lbsync.agent.haproxycfg.server_options import Option, options

_MOST_KNOWN = 4096
"""So many different lists of words are remembered: nearly all of thirty thousand servers have the words of another
one."""


class Facts(NamedTuple):
    """What the words of a server say."""

    weight: int | None
    """None: nothing."""
    disabled: bool | None
    """None: nothing."""
    words: tuple[str, ...]
    """The server's own words; one object for all servers that have the same."""
    evaluated: Value | None
    """What they let HAProxy evaluate."""


@lru_cache(_MOST_KNOWN)
def facts(defaults: tuple[str, ...], own: tuple[str, ...]) -> Facts:
    """Return what a server's own words say, after those of `default-server`, which they outweigh."""
    cut = tuple(options((*defaults, *own)))
    words = tuple(map(sys.intern, own))
    return Facts(weight_of(cut), is_disabled(cut), words, expressions.of_server(options(own)))


def weight_of(cut: Iterable[Option]) -> int | None:
    """Return the weight that options state last; None: none does."""
    stated = [option[1] for option in cut if option[0] == "weight" and option[1:]]
    return int(stated[-1]) if stated and stated[-1].isdecimal() else None


def is_disabled(cut: Iterable[Option]) -> bool | None:
    """Tell what options state last of maintenance; None: nothing."""
    stated = [option[0] for option in cut if option[0] in ("disabled", "enabled")]
    return stated[-1] == "disabled" if stated else None
