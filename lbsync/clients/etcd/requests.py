"""Transactions in etcd's own words. Pure. `name`: returns a key as it stands in etcd."""

from collections.abc import Callable, Sequence
from typing import Any

from lbsync.clients.etcd.protobuf import etcdrpc
from lbsync.clients.source import Delete, ExpectBelow, Guard, Put

Name = Callable[[str], bytes]


def transaction(expect: Sequence[Guard], ops: Sequence[Put | Delete], name: Name) -> Any:
    """Return the request that does all `ops` if every guard holds, and else reads their keys."""
    return etcdrpc.TxnRequest(
        compare=[_compare(guard, name) for guard in expect],
        success=[_op(op, name) for op in ops],
        failure=[
            etcdrpc.RequestOp(request_range=etcdrpc.RangeRequest(key=name(op.key))) for op in ops
        ],
    )


def reading(keys: Sequence[str], folders: Sequence[str], name: Name) -> Any:
    """Return the request that reads keys, and what is below folders, at one revision."""
    ranges = [etcdrpc.RangeRequest(key=name(key)) for key in keys]
    ranges += [
        etcdrpc.RangeRequest(key=start, range_end=after(start)) for start in map(name, folders)
    ]
    return etcdrpc.TxnRequest(success=[etcdrpc.RequestOp(request_range=one) for one in ranges])


def after(prefix: bytes) -> bytes:
    """Return the first key behind all keys with `prefix` (which ends with "/", never 0xff)."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _compare(guard: Guard, name: Name) -> Any:
    if isinstance(guard, ExpectBelow):
        # Holds for all keys of the range, and where there is none.
        start = name(guard.folder)
        return etcdrpc.Compare(
            result=etcdrpc.Compare.LESS,
            target=etcdrpc.Compare.MOD,
            key=start,
            range_end=after(start),
            mod_revision=guard.revision + 1,
        )
    if (guard.mod_revision is None) == (guard.create_revision is None):
        raise ValueError(f"guard of {guard.key}: give either mod_revision or create_revision")
    if guard.mod_revision is not None:
        kind = {"target": etcdrpc.Compare.MOD, "mod_revision": guard.mod_revision}
    else:
        kind = {"target": etcdrpc.Compare.CREATE, "create_revision": guard.create_revision}
    return etcdrpc.Compare(result=etcdrpc.Compare.EQUAL, key=name(guard.key), **kind)


def _op(op: Put | Delete, name: Name) -> Any:
    key = name(op.key)
    if isinstance(op, Put):
        put = etcdrpc.PutRequest(key=key, value=op.value, lease=op.lease)
        return etcdrpc.RequestOp(request_put=put)
    return etcdrpc.RequestOp(request_delete_range=etcdrpc.DeleteRangeRequest(key=key))
