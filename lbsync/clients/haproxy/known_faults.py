"""Releases of HAProxy that fail in what lbsync does: what is left undone there, and what to upgrade to. Pure.

From HAProxy's own lists of fixes; the crash of 3.3.0 was measured (17 of 18 runs).
"""

import re

import msgspec

Version = tuple[int, int, int]
_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?(?![0-9])")
_END = 1_000_000


class Fault(msgspec.Struct, frozen=True):
    """A fault of some releases of one branch."""

    branch: tuple[int, int]
    first: int
    """The first release of the branch that has it."""
    fixed: int
    """The first release that has it no more; `_END`: none is known."""
    text: str
    """One sentence."""
    cure: str
    """Release to go to, as people write it."""
    servers: bool = False
    """Servers must be added and removed by a reload."""
    maps: bool = False
    """Maps must be changed by a reload."""
    signal: bool = False
    """Concerns only a reload by signal."""
    word: str = ""
    """Concerns only a configuration that holds this word; lbsync's own templates do not."""

    def concerns(self, version: Version) -> bool:
        """Tell whether a release has it."""
        return version[:2] == self.branch and self.first <= version[2] < self.fixed


_REQUEUE = "adding and removing servers while it runs can crash it, so that takes a reload here"
_INIT_STATE = (
    "'init-state' has no effect when it starts or reloads, so servers get requests unchecked"
)
_FAULTS = (
    Fault((3, 3), 0, 1, _REQUEUE, "3.4", servers=True),
    Fault((3, 2), 0, 19, _REQUEUE, "3.2.22", servers=True),
    Fault(
        (3, 2), 0, 5, "changing an entry of a map can hang it, so that takes a reload here", "3.2.22",
        maps=True,
    ),
    Fault(
        (3, 2), 9, 11, "after a reload that failed it takes no signal: set haproxy.reload to master",
        "3.2.22", signal=True,
    ),
    Fault((3, 2), 19, 22, "removing a server may miss some of its connections", "3.2.22"),
    Fault((3, 1), 0, _END, _INIT_STATE, "3.2.22", word="init-state"),
    Fault((3, 2), 0, 20, _INIT_STATE, "3.2.22", word="init-state"),
    Fault((3, 4), 0, 3, "removing a server may miss some of its connections", "3.4.3"),
)  # fmt: skip


def of(version: Version) -> tuple[Fault, ...]:
    """Return all faults that a release has."""
    return tuple(fault for fault in _FAULTS if fault.concerns(version))


def sentences(version: str, *, by_signal: bool, config: str = "") -> tuple[str, ...]:
    """Return what to tell of a release, one sentence for each fault that matters here.

    `version` as HAProxy itself writes it; nothing is told of one that cannot be read. `by_signal`: it is
    reloaded by a signal. `config`: the text of its main file.
    """
    numbers = parsed(version)
    if numbers is None:
        return ()
    name = ".".join(map(str, numbers))
    return tuple(
        f"HAProxy {name}: {fault.text}; upgrade to {fault.cure}"
        for fault in of(numbers)
        if (by_signal or not fault.signal) and fault.word in config
    )


def parsed(text: str) -> Version | None:
    """Return the version that begins a text (`3.2.4-1+deb13u1`); None if none does."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None
