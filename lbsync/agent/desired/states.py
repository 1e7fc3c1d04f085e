"""The input and the output of the builder. Values only."""

from collections.abc import Callable, Mapping

import msgspec

from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.raw_layout import Raw
from lbsync.agent.guard.guard import Hold
from lbsync.model.desired import Desired
from lbsync.model.rendered import Rendered
from lbsync.model.snapshot import Snapshot
from lbsync.schema.confirming import Confirmations

IsApproved = Callable[[Hold, int], bool]
"""Tells whether a removal may go; takes it and the revision that confirmed it (0: none did)."""


class DesiredState(msgspec.Struct, frozen=True, eq=False):
    """The desired state, before rendering."""

    entries: Entries
    desired: Desired
    hold: Hold | None
    confirmed: Confirmations
    """Those that stand in the store, used up or not."""
    approved: Hold | None = None
    """A removal that the guard would hold, but that is approved."""


class RenderedState(msgspec.Struct, frozen=True, eq=False):
    """The desired state, with its rendered files."""

    entries: Entries
    desired: Desired
    hold: Hold | None
    approved: Hold | None
    """As in `DesiredState`."""
    rendered: Rendered
    outside: Mapping[str, bytes]
    """Files to install outside of the generation: path to text."""
    raw: Raw
    """The raw keys that templates saw."""
    confirmed: Confirmations
    """As in `DesiredState`."""


class PassInput(msgspec.Struct, frozen=True, eq=False):
    """What a pass starts from."""

    snapshot: Snapshot
    accepted: Entries
    draining: bool
    """This host is being drained: its health path answers 503."""
    is_approved: IsApproved
