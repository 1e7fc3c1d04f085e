"""Keys as they are stored, for templates that read them so: a bad one is replaced by its last good value.

Which key is bad, only the template knows: it names the key when it cannot use the value.
"""

from collections.abc import Iterator, Mapping

import msgspec

from lbsync.errors import BadKey
from lbsync.model.desired import Problem
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import TRANSIENT

Raw = Mapping[str, bytes]
"""Key, without the prefix, to value."""


def lasting(raw: Raw) -> Raw:
    """Return the keys worth keeping: not those that the fleet itself writes, again and again."""
    return {key: value for key, value in raw.items() if key.partition("/")[0] not in TRANSIENT}


class _Bar(msgspec.Struct, frozen=True):
    value: bytes
    """What was refused; the bar falls as soon as the key says something else."""
    reason: str


class RawKeys:
    """The keys that templates see. Remembers which values were refused."""

    def __init__(self) -> None:
        self.good: Raw = {}
        """The keys as they were last served."""
        self._bars: dict[str, _Bar] = {}

    def bar(self, snapshot: Snapshot, error: BadKey) -> bool:
        """Take note that a key's value cannot be used; tell whether that makes a difference."""
        name = next((n for n in (error.key[1:], error.key) if n in snapshot.items), "")
        if not name or name in self._bars:
            return False
        self._bars[name] = _Bar(snapshot.items[name].value, error.reason)
        return True

    def read(self, snapshot: Snapshot) -> Raw:
        """Return the keys to render from: as stored, but for those that were refused."""
        raw = {key: item.value for key, item in snapshot.items.items()}
        for name, bar in list(self._bars.items()):
            if raw.get(name) != bar.value:
                del self._bars[name]
            elif (good := self._last_good(name)) is not None:
                raw[name] = good
            else:
                del raw[name]
        return raw

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each key that is not as it stands in the store."""
        for name, bar in self._bars.items():
            is_kept = self._last_good(name) is not None
            instead = "its last good value stays" if is_kept else "it is left out"
            yield Problem(name, "", f"{bar.reason}; {instead}")

    def _last_good(self, name: str) -> bytes | None:
        good = self.good.get(name)
        # A template that was changed may refuse what was good before.
        return None if good == self._bars[name].value else good
