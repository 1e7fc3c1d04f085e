"""Whether HAProxy serves the certificates that it should, and what puts it right. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from lbsync.agent.runtime.changes import certificate_order
from lbsync.agent.runtime.changes.certificates import Certificates, fingerprint, set_certificate
from lbsync.agent.runtime.changes.change_set import Phase, Plan, PlanBuilder
from lbsync.agent.runtime.changes.steps import ListCertificate, UnlistCertificate
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.observe import ObservedState
from lbsync.agent.runtime.readback import Mismatch
from lbsync.clients.haproxy.capabilities import Capabilities


def compare(
    running: RuntimeConfig, observed: ObservedState, can: Capabilities
) -> Iterator[tuple[Mismatch, Plan]]:
    """Yield what differs: the content of a certificate, the lines of a list, which of several answers."""
    known = Certificates(running.uses, running.files, running.files, can.payload_bytes)
    for path, now in observed.fingerprints.items():
        wanted = fingerprint(running.files.get(path, b""))
        if now != wanted and wanted:
            draft = PlanBuilder()
            set_certificate(draft, known, path, new=not now)
            yield Mismatch(path, "certificate", wanted, now or "absent"), draft.finish()
    for name, now_listed in observed.listed.items():
        lines = known.lists.get(name, (None, None))[1]
        if lines is None:
            continue
        if lines.keys() != set(now_listed):
            yield _lines(known, name, set(now_listed))
        elif observed.answering:
            yield from _order(known, name, observed.answering)


def _lines(known: Certificates, name: str, now: Collection[str]) -> tuple[Mismatch, Plan]:
    wanted = known.lists[name][1] or {}
    lost = [path for path in wanted if path not in now]
    draft = PlanBuilder()
    draft.do(Phase.ROUTE, *(ListCertificate(name, path, wanted[path]) for path in lost))
    _load_again(draft, known, name, [*(path for path in wanted if path in now), *lost])
    foreign = sorted(path for path in now if path not in wanted)
    draft.do(Phase.UNROUTE, *(UnlistCertificate(name, path) for path in foreign))
    return Mismatch(name, "certificates", str(len(wanted)), str(len(now))), draft.finish()


def _order(
    known: Certificates, name: str, answering: Mapping[str, tuple[tuple[str, ...], ...]]
) -> Iterator[tuple[Mismatch, Plan]]:
    """Yield the first name for which another certificate answers than the first in the list."""
    wanted = known.answering(name)
    wrong: set[str] = set()
    first: Mismatch | None = None
    for shared, paths in certificate_order.shared(wanted).items():
        for loaded in answering.get(shared, ()):
            now = [path for path in loaded if path in paths]
            right = [path for path in paths if path in now]
            if now != right:
                wrong.update(right[1:])
                first = first or Mismatch(f"{name}: {shared}", "certificate", right[0], now[0])
    if first is not None:
        draft = PlanBuilder()
        _load_again(draft, known, name, list(wanted), wrong)
        yield first, draft.finish()


def _load_again(
    draft: PlanBuilder,
    known: Certificates,
    name: str,
    loaded: Sequence[str],
    wrong: Collection[str] = (),
) -> None:
    for path in certificate_order.misplaced(known.answering(name), loaded, wrong):
        set_certificate(draft, known, path, new=False)
