"""The base of everything that is stored as JSON."""

import msgspec


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of all records: frozen, and a field nobody knows is an error."""
