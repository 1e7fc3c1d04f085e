"""Which of several certificates answers for a name that all of them have. Pure.

HAProxy takes the one that was the first to be loaded. At a start that is the first in the list; while it
runs, a new line of a crt-list is the last, and so is a certificate that is renewed: `commit ssl cert`
builds its entries anew (2.6 to 3.4, measured; `show ssl sni` shows it, 3.2). Which of its names are
wildcards makes no difference: HAProxy looks for the exact name first.
"""

import functools
import re
from collections.abc import Collection, Mapping, Sequence

from lbsync.clients import x509

_OPTIONS = re.compile(r"\[[^]]*\]")


def names(line: str, pem: bytes) -> frozenset[str]:
    """Return the names for which a line of a crt-list answers: its own, else all the certificate's."""
    _, *said = _OPTIONS.sub("", line).split()
    return frozenset(name.lower() for name in said) if said else _of_certificate(pem)


@functools.lru_cache(maxsize=20_000)
def _of_certificate(pem: bytes) -> frozenset[str]:
    return frozenset(name for facts in x509.certificates(pem)[:1] for name in facts.answers_for)


def misplaced(
    wanted: Mapping[str, Collection[str]],
    loaded: Sequence[str],
    wrong: Collection[str] = (),
) -> list[str]:
    """Return which certificates have to be loaded again, in this order, so that the first answers.

    `wanted`: certificate to its names, in the order of the list. `loaded`: in which order HAProxy loaded
    them; of one that stands there twice the last place counts. `wrong`: those that are known to be out of
    their place.
    """
    places = {path: place for place, path in enumerate(loaded)}
    behind: dict[str, int] = {}
    found = []
    for path, mine in wanted.items():
        place = places.get(path, -1)
        if path in wrong or any(behind.get(name, -1) > place for name in mine):
            found.append(path)
            place = len(loaded) + len(found)
        for name in mine:
            behind[name] = max(place, behind.get(name, -1))
    return found


def shared(wanted: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Return the names that several certificates have, with these in the order of the list."""
    found: dict[str, list[str]] = {}
    for path, mine in wanted.items():
        for name in mine:
            found.setdefault(name, []).append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}
