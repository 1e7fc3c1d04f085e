"""How a watch, or all of them together, does right now."""

import msgspec


class Health(msgspec.Struct, frozen=True):
    """What is known of it."""

    ok: bool
    """True while the watch is open and the server was heard lately."""
    detail: str
    """One sentence: what is watched, or why not."""
    since: float
    """`time.time()` of the last change of `ok`."""
