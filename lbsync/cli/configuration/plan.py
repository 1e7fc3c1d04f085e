"""What the agent would do, computed by a command that changes nothing."""

from collections.abc import Mapping
from pathlib import Path

from lbsync.agent.candidate.validate import ValidConfig, validate
from lbsync.agent.desired import template_context
from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.host_files import HostFiles
from lbsync.agent.desired.states import PassInput, RenderedState
from lbsync.agent.file_names import CERTIFICATES
from lbsync.agent.generations.store import Generation
from lbsync.agent.guard.guard import Guard
from lbsync.agent.haproxycfg.config import Parser, main_data
from lbsync.cli.terminal import Terminal
from lbsync.clients.certificates import CertificateDirectory
from lbsync.clients.haproxy.options import from_settings
from lbsync.model.permission import Permission
from lbsync.model.rendered import Rendered
from lbsync.model.snapshot import Snapshot
from lbsync.settings import Settings

#: Stands where a generation's digest is, so that a diff shows what else changed.
DIGEST = "<digest>"


def make_plan(
    settings: Settings,
    snapshot: Snapshot,
    accepted: Entries | None = None,
    *,
    draining: bool = False,
) -> RenderedState:
    """Return what a pass would go for. Raises `TemplateError`, `Rejected`.

    `accepted`: last good versions of keys; left out: bad keys count as absent.
    """
    known = accepted if accepted and settings.templates.contract else {}
    return plan_with(make_builder(settings), snapshot, known, draining=draining)


def make_builder(settings: Settings) -> DesiredBuilder:
    """Return what makes plans under these settings. Raises `TemplateError`."""
    directory = settings.proxy.certificates
    return DesiredBuilder(
        template_context.make_renderer(settings),
        settings.reserved_ports,
        Permission(settings.claims, settings.etcd.endpoints),
        Guard(settings.agent.guard_percent, settings.agent.guard_window.seconds),
        CertificateDirectory(Path(directory)) if directory else None,
        raw_keys=True,
        contract=settings.templates.contract,
        host_files=HostFiles.of(settings.proxy),
    )


def plan_with(
    builder: DesiredBuilder, snapshot: Snapshot, accepted: Entries, *, draining: bool = False
) -> RenderedState:
    """Return what a pass would go for; no removal is confirmed. Raises like `make_plan`."""
    return builder.render(PassInput(snapshot, accepted, draining, lambda _hold, _confirmed: False))


def validated(staged: Generation, rendered: Rendered, settings: Settings) -> ValidConfig:
    """Let our rules and `haproxy -c` judge a staged set; no port is probed.

    Raises `Refused` with everything that is wrong, `Unavailable` when HAProxy cannot be run.
    """
    parser = Parser()
    # A port that HAProxy itself holds on this host would look taken.
    binds = [bind for _, bind in parser.read(main_data(rendered)).binds()]
    return validate(staged, rendered, parser, from_settings(settings), known_binds=binds)


def texts(rendered: Rendered) -> dict[str, bytes]:
    """Return the files of a set with the digest blotted out, for comparison."""
    digest = rendered.digest.encode()
    return {file.path: file.data.replace(digest, DIGEST.encode()) for file in rendered.files}


def show_diff(
    terminal: Terminal, old: Mapping[str, bytes], new: Mapping[str, bytes], before: str, after: str
) -> int:
    """Write the differences file by file; return how many files differ.

    What may hold a private key is named, never shown.
    """
    count = 0
    for path in sorted(old.keys() | new.keys()):
        one, other = old.get(path), new.get(path)
        if one == other:
            continue
        count += 1
        if path.startswith(f"{CERTIFICATES}/"):
            verb = "is new" if one is None else "is gone" if other is None else "differs"
            terminal.line(terminal.paint(f"{path} {verb} (not shown: it may hold a key)", "bold"))
            continue
        terminal.diff(_text(one), _text(other), f"{before}/{path}", f"{after}/{path}")
    return count


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="backslashreplace")


def warn_of_problems(terminal: Terminal, plan: RenderedState) -> None:
    """Write a line for each key that does not count as it stands, and for a held removal."""
    word = terminal.paint("warning:", "yellow")
    for problem in plan.desired.problems:
        place = f"{problem.key}: " if problem.key else ""
        terminal.line(f"{word} {place}{problem.reason}")
    if plan.hold is not None:
        terminal.line(f"{word} removal held: {plan.hold}")
