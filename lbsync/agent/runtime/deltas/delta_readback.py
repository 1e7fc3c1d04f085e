"""Reading back what single services were just changed to, at the cost of what changed; nothing is healed.

A pass reads servers and counts the lines of maps. Here each line that came or went is looked up as a request would do
it, since nothing else is read of its map (management guide, section 9.3, "get map"; 2.6 to 3.4, measured).
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import chain

from lbsync.agent.runtime.commands import word
from lbsync.agent.runtime.deltas.service_delta import ServiceDelta
from lbsync.agent.runtime.drift import Drift, compare
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.observe import ObservedState
from lbsync.agent.runtime.settling import in_effect
from lbsync.clients.haproxy import answers
from lbsync.clients.haproxy.capabilities import Capabilities
from lbsync.clients.haproxy.sockets import WorkerSocket


def shows(
    worker: WorkerSocket,
    running: RuntimeConfig,
    deltas: Collection[ServiceDelta],
    can: Capabilities,
) -> bool:
    """Tell whether HAProxy shows the servers, backends and lines of maps that `deltas` have touched as they should
    be by now.

    What was set by hand on a server is no difference, as in a pass. Raises `Unavailable`.
    """
    touched = {name for each in deltas for name in (*(b.name for b in each.backends), *each.gone)}
    there = frozenset(name for name in touched if running.server_section(name) is not None)
    if can.backends and not _are_published(worker, touched, there):
        return False

    def differences() -> list[Drift]:
        servers = worker.servers_of(sorted(there))
        return compare(running, ObservedState(servers, only=there), can)

    if not all(found.by_hand for found in in_effect(differences)):
        return False
    pairs = {(path, key) for each in deltas for path, *both in each.maps for key, _ in chain(*both)}
    lines = {pair: f"get map {pair[0]} {word(pair[1])}" for pair in pairs}
    replies = _replies(worker, lines.values())
    return all(
        _says(replies[line], key, running.entries(path).values.get(key))
        for (path, key), line in lines.items()
    )


def _are_published(worker: WorkerSocket, names: Collection[str], there: Collection[str]) -> bool:
    """Tell whether requests may be led to those of `names` that are in `there`, and to no others."""
    rows = {name: f"show stat {name} 2 -1" for name in names}
    replies = _replies(worker, rows.values())
    return all(_is_open(replies[row], name) == (name in there) for name, row in rows.items())


def _is_open(reply: str, name: str) -> bool:
    return f"\n{name},BACKEND," in reply and not answers.parse_unpublished(reply)


def _says(reply: str, key: str, value: str | None) -> bool:
    """Tell whether a map has a line; None: it has none. What is found then is the beginning of the key, if anything."""
    if value is None:
        return "found=" in reply and f'key="{key}", ' not in reply
    return f'key="{key}", value="{value}", ' in reply


def _replies(worker: WorkerSocket, commands: Iterable[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for texts in worker.batches(commands):
        replies = answers.split_replies(worker.run(texts), len(texts))
        found |= zip(texts, replies, strict=True)
    return found
