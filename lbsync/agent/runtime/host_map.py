"""Whether this host drains, in the running HAProxy and among the files of a generation."""

import msgspec

from lbsync.agent.file_names import HOST_MAP
from lbsync.clients.haproxy.sockets import WorkerSocket
from lbsync.errors import Unavailable
from lbsync.model.rendered import Rendered


def content(draining: bool) -> bytes:
    """Return the content of the host map, as the packaged template makes it."""
    return b"host drain\n" if draining else b"host up\n"


def of(rendered: Rendered) -> bytes | None:
    """Return the host map among the files; None where the templates make none."""
    return next((file.data for file in rendered.files if file.path == HOST_MAP), None)


def as_it_runs(worker: WorkerSocket, rendered: Rendered) -> Rendered:
    """Return a generation with the host map that HAProxy has, where that is `drain` or `up`.

    What it loaded depends on when it was started, not on what anybody did: to bring it up to date is
    a step, as any change is. Raises `Unavailable`.
    """
    data = of(rendered)
    if data is None:
        return rendered
    rows = worker.run([f"show map {HOST_MAP}"]).splitlines()
    for draining in (False, True):
        theirs = content(draining)
        words = theirs.decode().split()
        if data != theirs and [row.split()[1:] for row in rows if row] == [words]:
            return with_content(rendered, theirs)
    return rendered


def command(draining: bool) -> str:
    """Return the words of the runtime API that drain this host, or end that."""
    return f"set map {HOST_MAP} host {_value(draining)}"


def set_draining(worker: WorkerSocket, *, draining: bool) -> None:
    """Drain the running HAProxy, or end that, and read it back.

    Raises `Unavailable` when it does not answer, or does not do it.
    """
    said = worker.run([command(draining)]).strip()
    rows = worker.run([f"show map {HOST_MAP}"]).splitlines()
    # `<address> <key> <value>` (management guide, 9.3, "show map").
    if not any(row.split()[1:] == ["host", _value(draining)] for row in rows):
        raise Unavailable(
            f"HAProxy did not take '{command(draining)}': {said or 'it stays as it was'}; "
            "do its templates make the host map?"
        )


def with_content(rendered: Rendered, data: bytes) -> Rendered:
    """Return a set whose host map is `data`."""
    files = tuple(
        msgspec.structs.replace(file, data=data) if file.path == HOST_MAP else file
        for file in rendered.files
    )
    return msgspec.structs.replace(rendered, files=files)


def _value(draining: bool) -> str:
    return "drain" if draining else "up"
