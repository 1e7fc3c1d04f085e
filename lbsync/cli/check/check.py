"""`lbsync check`: reports all problems together."""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from lbsync.agent.candidate.validate import Refused, ValidConfig, alike
from lbsync.agent.desired import template_context
from lbsync.agent.desired.accepted import peek
from lbsync.agent.desired.states import RenderedState
from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.generations.read import load
from lbsync.agent.generations.store import Store
from lbsync.agent.haproxycfg import dropped_words
from lbsync.agent.haproxycfg.config import main_text
from lbsync.agent.privileges import drop_privileges
from lbsync.cli.check import host
from lbsync.cli.configuration.plan import make_plan, validated
from lbsync.cli.context import add_output, settings_of, source_opened
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.haproxy import binary, known_faults, processes, sockets
from lbsync.clients.haproxy.options import from_settings
from lbsync.clients.source import Monitored
from lbsync.errors import Exit, LbsyncError, SettingsError
from lbsync.model.desired import Desired
from lbsync.model.snapshot import Snapshot
from lbsync.settings import Settings
from lbsync.settings.read import find_file
from lbsync.status import ending
from lbsync.values.plural import count
from lbsync.verdict import gravest

T = TypeVar("T")
_EPILOG = """\
examples:
  lbsync check
  lbsync check --offline --config new.toml --source file:examples/shop     before a change, on any machine

Checks settings, templates, source, and the resulting configuration with 'haproxy -c'; without --offline,
also the running HAProxy. Nothing is changed.

When started as root, everything is checked as the agent's user, who may have fewer permissions.

exit codes; if several apply, the most serious is returned: 7 HAProxy reads another file, 6 source or HAProxy
does not answer, 1 no file can be written to the state directory or another directory, 4 settings or templates,
5 keys, configuration or outputs are refused.
"""


class Line(msgspec.Struct, frozen=True):
    """What one check has found, as one line of the output."""

    about: str
    """`settings`, `templates`, `certificates`, `source`, `keys`, `configuration` or `haproxy`."""
    ok: bool
    text: str
    warning: bool = False
    """In order, but HAProxy finds it odd."""


class Findings:
    """Collects what was looked at, and remembers the gravest."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.code = Exit.OK

    def good(self, about: str, text: str) -> None:
        """Note that something is in order."""
        self.lines.append(Line(about, True, text))

    def warn(self, about: str, text: str) -> None:
        """Note what is in order, but odd."""
        self.lines.append(Line(about, True, text, warning=True))

    def bad(self, about: str, texts: list[str], code: Exit) -> None:
        """Note what is wrong."""
        self.lines += [Line(about, False, text) for text in texts]
        if texts:
            self.code = gravest((self.code, code))

    def attempt(self, about: str, work: Callable[[], T]) -> T | None:
        """Return what `work` returns; None when it raised, which is noted."""
        try:
            return work()
        except SettingsError as error:
            self.bad(about, error.problems, error.exit_code)
        except Refused as error:
            self.bad(about, [str(finding) for finding in error.findings], error.exit_code)
        except LbsyncError as error:
            self.bad(about, [str(error)], error.exit_code)
        return None


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Find everything that is wrong, and show it at once."
    parser.epilog = _EPILOG
    parser.add_argument("--offline", action="store_true", help="do not ask the running HAProxy")
    add_output(parser)


def run(args: argparse.Namespace) -> Exit:
    """Look at everything in turn."""
    findings = Findings()
    settings = findings.attempt("settings", lambda: settings_of(args))
    if settings is not None:
        read = find_file(args.config, os.environ)
        findings.good("settings", f"{read or 'no file, so the defaults'}: in order")
        if _look_as_agent(findings, settings, read):
            _check_state(findings, settings)
        _check_templates(findings, settings)
        findings.bad("files", list(host.unwritable(settings)), Exit.FAILED)
        findings.bad("http", list(host.unanswerable(settings)), Exit.FAILED)
        _check_certificates(findings, settings)
        snapshot = _check_source(findings, settings)
        _check_configuration(findings, settings, snapshot)
        if not args.offline:
            _check_haproxy(findings, settings)
    _show(findings, args.output)
    return findings.code


def _look_as_agent(findings: Findings, settings: Settings, read: Path | None) -> bool:
    """As root, go on as the agent's user: what root may read says nothing about the agent.

    Tell whether there is a state directory, whose owner that is.
    """
    place = Path(settings.state_dir)
    if not place.is_dir():
        return False
    user = findings.attempt("user", lambda: drop_privileges(place))
    if user:
        findings.good("user", f"looked at all of it as {user}, who owns {place}")
    if read is not None and not os.access(read, os.R_OK):
        findings.bad("settings", [f"{read}: the agent may not read it"], Exit.SETTINGS)
    return user is not None


def _check_state(findings: Findings, settings: Settings) -> None:
    """Find out whether the disk of the state directory takes a file; who may write is not asked here."""
    place = Path(settings.state_dir)
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".check-") as file:
            file.write(b"x" * 65536)
            file.flush()
    except PermissionError:
        return
    except OSError as error:
        findings.bad(
            "state",
            [
                f"{place}: nothing can be written ({error.strerror}): make room, or mount it for writing"
            ],
            Exit.FAILED,
        )


def _check_templates(findings: Findings, settings: Settings) -> None:
    renderer = findings.attempt("templates", lambda: template_context.make_renderer(settings))
    if renderer is not None:
        where = settings.templates.directory or "the packaged ones"
        findings.good("templates", f"{len(renderer.outputs)} outputs from {where}")
        for sentence in template_context.idle_templates(settings, renderer):
            findings.warn("templates", sentence)


def _check_certificates(findings: Findings, settings: Settings) -> None:
    ends = findings.attempt("certificates", lambda: host.certificate_ends(settings))
    if not ends:
        return
    soon = ending(ends, time.time())
    for sentence in soon:
        findings.warn("certificates", sentence)
    if not soon:
        next_file = min(ends, key=lambda file: ends[file])
        findings.good(
            "certificates",
            f"{count(len(ends), 'file')}, none ends within 30 days; the first is {next_file}",
        )


def _check_source(findings: Findings, settings: Settings) -> Snapshot | None:
    def read() -> tuple[Snapshot, list[str]]:
        with source_opened(settings) as source:
            return source.snapshot(), source.warnings() if isinstance(source, Monitored) else []

    snapshot, warnings = findings.attempt("source", read) or (None, [])
    if snapshot is not None:
        text = f"{settings.source}: {count(len(snapshot.items), 'key')} at revision {snapshot.revision}"
        findings.good("source", text)
        for sentence in [*warnings, *host.unexpected(settings, snapshot)]:
            findings.warn("source", sentence)
    return snapshot


def _check_configuration(findings: Findings, settings: Settings, snapshot: Snapshot | None) -> None:
    """Render and validate; without a source at least what the templates make of nothing."""
    accepted = peek(Path(settings.state_dir) / "accepted.db")
    wanted = snapshot or Snapshot(0, 0, {})
    plan = findings.attempt("configuration", lambda: make_plan(settings, wanted, accepted))
    if plan is None:
        return
    if snapshot is not None:
        problems = [f"{p.key}: {p.reason}" if p.key else p.reason for p in plan.desired.problems]
        if plan.hold is not None:
            problems.append(f"removal held: {plan.hold}")
        findings.bad("keys", problems, Exit.REJECTED)
        if not problems:
            findings.good("keys", "all of them read well")
    tls = bool(template_context.certificates_in(plan.rendered))
    odd = endless_redirect(settings, plan.desired, tls=tls)
    if odd is not None:
        findings.warn("configuration", odd)
    refused = list(host.refused(settings, plan.outside))
    findings.bad("outputs", refused, Exit.REJECTED)
    verdict = findings.attempt("configuration", lambda: _validate(plan, settings))
    if verdict is None:
        return
    said = findings.attempt("configuration", lambda: _accepted(plan, settings))
    if said is not None:
        findings.good("configuration", said)
        release = binary.version(settings.haproxy.binary)[:2]
        for sentence in dropped_words.sentences(verdict.config, release):
            findings.warn("configuration", sentence)
    for first, *others in alike(verdict.warnings).values():
        findings.warn("configuration", f"{first} (and {len(others)} like it)" if others else first)


def endless_redirect(settings: Settings, desired: Desired, *, tls: bool) -> str | None:
    """Return what is odd where services redirect to https, but no request can ever count as such:
    TLS does not end here (`tls`), and nobody is trusted to say that it ended in front."""
    redirected = [service.id for service in desired.services if service.backends[0].https]
    if tls or settings.proxy.trusted_proxies or not redirected or not settings.templates.packaged:
        return None
    return (
        f"{count(len(redirected), 'service')} ({redirected[0]}, for one) redirect to https, but no "
        "request counts as https here, so clients are redirected without end: set proxy.certificates, "
        "or proxy.trusted_proxies to the networks of the load balancer that ends TLS"
    )


def _accepted(plan: RenderedState, settings: Settings) -> str:
    version = ".".join(map(str, binary.version(settings.haproxy.binary)))
    counts = f"{count(len(plan.desired.services), 'service')}, {count(plan.desired.server_count, 'server')}"
    return f"accepted by HAProxy {version}: {counts}"


def _validate(plan: RenderedState, settings: Settings) -> ValidConfig:
    with tempfile.TemporaryDirectory(prefix="lbsync-check-") as folder:
        staged = Store(folder, keep=1).stage(plan.rendered)
        return validated(staged, plan.rendered, settings)


def _check_haproxy(findings: Findings, settings: Settings) -> None:
    options = from_settings(settings)
    store = Store(settings.state_dir, settings.agent.keep_generations)
    overruled = host.overruled(store.live_link, settings.haproxy.master_socket)
    findings.bad("haproxy", list(overruled), Exit.APPLY_FAILED)
    apart = list(host.started_apart(store.live_link / MAIN_FILE))
    findings.bad("haproxy", apart, Exit.APPLY_FAILED)

    def ask() -> str:
        info = sockets.stats(options).show_info(retry_s=1.0)
        master = sockets.master(options)
        if master is not None and settings.haproxy.reload == "master":
            started = processes.command_line(master.show_proc(retry_s=1.0).pid)
            beside = host.read_beside(started, store.live_link / MAIN_FILE)
            findings.bad("haproxy", list(beside), Exit.APPLY_FAILED)
        other = host.elsewhere(store.live(), info.get("description", ""))
        findings.bad("haproxy", list(other), Exit.APPLY_FAILED)
        live = store.live()
        for sentence in known_faults.sentences(
            info["Version"],
            by_signal=settings.haproxy.reload == "signal",
            config=main_text(load(live)) if live else "",
        ):
            findings.warn("haproxy", sentence)
        return f"HAProxy {info['Version']} answers, worker {info['Pid']}"

    said = findings.attempt("haproxy", ask)
    if said is not None:
        findings.good("haproxy", said)


def _show(findings: Findings, output: str) -> None:
    terminal = Terminal()
    if output == "json":
        terminal.block(to_json(findings.lines))
        return
    for line in findings.lines:
        mark = terminal.paint("ok   ", "green") if line.ok else terminal.paint("WRONG", "red")
        if line.warning:
            mark = terminal.paint("warn ", "yellow")
        terminal.line(f"{mark} {line.about:<14} {line.text}")
