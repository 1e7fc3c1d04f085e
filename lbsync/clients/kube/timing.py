"""All time constants of the watches in one place; seconds.

The defaults are for production. Tests hand in smaller ones, so that no test waits for a constant.
"""

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for what."""

    connect: float = 5.0
    """TCP and TLS; also the longest that closing may take."""
    read: float = 30.0
    """Silence within an ordinary answer."""
    page: float = 60.0
    """One whole answer (a page of a list), however slowly it trickles."""
    watch: tuple[float, float] = (240.0, 300.0)
    """`timeoutSeconds` is drawn from here: the server ends the stream, and the next one carries a
    fresh token. Spread, so that many watches do not end together."""
    watch_unproved: float = 50.0
    """How long a stream may be at the most before a bookmark came on any of its kind: until then nothing else
    tells a stream whose server hangs behind a balancer from one with nothing to say."""
    watch_slack: float = 15.0
    """How much longer than `timeoutSeconds` a stream may be silent before it counts as dead."""
    quiet: float = 30.0
    """When no stream has brought a byte for so long, the server is asked whether it lives."""
    probe: float = 10.0
    """How long it may take to answer that."""
    silent: float = 45.0
    """Without any sign of life for so long nobody may say that all is in step: more than `quiet` and
    `probe` together."""
    bookmarks: float = 90.0
    """A stream that had bookmarks, which come each minute, and is silent for so long is dropped."""
    look: float = 1.0
    """Between two looks at who is silent."""
    relist: tuple[float, float] = (1500.0, 2100.0)
    """A full list is compared with the store this often, drawn anew each time: it heals what a
    watch cannot notice, such as a cluster restored to an older state, which answers a watch from
    the future with silence (measured)."""
    backoff_first: float = 0.8
    backoff_cap: float = 4.0
    """A balancer cannot wait the 30 s that controllers wait (measured: a 9 s outage was missed)."""
    settled: float = 30.0
    """A stream that lived this long resets the back-off."""
    ended_early: float = 5.0
    """A stream that ended or broke before this is followed by a pause, a later one by none."""
    refused: float = 30.0
    """Between attempts, after the first few, while the server answers 403, or 404 to a whole
    resource; also between the log lines that say so."""
    away_spacing: float = 1.0
    """While the API server is away: between any two requests of all reflectors together."""
    away_reminder: float = 60.0
    """While it is away, or refuses the credentials: between two log lines."""
    most_lines: int = 6
    """Within `away_reminder`: how many lines all watches together write about their failures."""
