"""Whether a transaction whose answer was lost was done. Pure."""

from collections.abc import Sequence
from typing import Any

from lbsync.clients.source import Delete, Put


def landed(response: Any, ops: Sequence[Put | Delete], base: int) -> int:
    """Return the revision at which an earlier, unanswered try did all `ops`; 0 if it did not."""
    revisions: set[int] = set()
    for op, answer in zip(ops, response.responses, strict=True):
        found = answer.response_range.kvs
        if isinstance(op, Delete):
            if found:
                return 0
        elif not found or (found[0].value, found[0].lease) != (op.value, op.lease):
            return 0
        else:
            revisions.add(found[0].mod_revision)
    if not revisions:
        return int(response.header.revision)
    return revisions.pop() if len(revisions) == 1 and min(revisions) > base else 0
