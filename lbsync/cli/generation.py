"""Generations as an operator names them: by number, or by the beginning of the digest."""

from lbsync.agent.generations import Generation, Store
from lbsync.errors import Rejected


def find(store: Store, name: str) -> Generation:
    """Return the generation called `name`: `41`, `41-1f0c…` or `1f0c`. Raises `Rejected`."""
    number, _, _ = name.partition("-")
    for generation in store.list():
        if name in (str(generation.seq), generation.name) or number == str(generation.seq):
            return generation
    if len(name) >= 4 and (found := store.by_digest(name)) is not None:
        return found
    raise Rejected(
        f"there is no generation {name!r} on this host; 'lbsync rollback --list' shows all"
    )
