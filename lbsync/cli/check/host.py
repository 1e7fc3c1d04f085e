"""The checks of `lbsync check` on the host itself: certificates, files that the agent must be able to write, and
the files that HAProxy reads.

All checks use the permissions of the current user; when started as root, `check` has become the agent's user by
then.
"""

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lbsync.agent.desired.certificates import Certificates
from lbsync.agent.desired.quarantine import Quarantine
from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.generations.store import Generation
from lbsync.agent.install import examine
from lbsync.clients import kube, x509
from lbsync.clients.certificates import CertificateDirectory
from lbsync.clients.haproxy import processes
from lbsync.clients.kube.auth import expiry
from lbsync.errors import LbsyncError
from lbsync.http.listener import obstacle
from lbsync.model.snapshot import Snapshot
from lbsync.settings import Settings

DEFAULTS = Path("/etc/default/haproxy")
"""Where Debian's haproxy.service takes variables from; its lines win over those of a drop-in."""
DROP_IN = Path("/etc/lbsync/haproxy.service.conf")
"""What tells haproxy.service to start from lbsync's file, once it is linked below /etc/systemd/system."""
_VARIABLES = frozenset(("CONFIG", "EXTRAOPTS"))


def certificate_ends(settings: Settings) -> dict[str, float]:
    """Return when the certificates end that this host shows to clients, to etcd and to Kubernetes, in
    seconds since 1970, by file. Raises `LbsyncError`."""
    etcd, folder = settings.etcd, settings.proxy.certificates
    found = x509.ends([etcd.cert], [etcd.ca])
    if folder:
        certificates = Certificates(CertificateDirectory(Path(folder)))
        certificates.read(Quarantine(), frozenset())
        found |= certificates.ends
    chosen = settings.publisher
    if chosen.kubeconfig:
        cluster = kube.load(chosen.kubeconfig, chosen.context)
        found |= expiry.certificate_ends(cluster)
    return found


def unwritable(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each file beside the generations that could not be replaced."""
    places = [("[agent] metrics_file", settings.agent.metrics_file or "")]
    places += [(f"[[outputs]] {one.path}", one.path) for one in settings.outputs]
    for what, path in places:
        if not path.startswith("/"):
            continue
        folder = Path(path).parent
        if not folder.is_dir():
            yield f"{what}: {folder} is no directory, or is closed to this user"
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield (
                f"{what}: this user may not write in {folder}; chgrp and chmod g+w it, and name it in "
                "ReadWritePaths= of a drop-in of lbsync-agent.service"
            )


def unexpected(settings: Settings, snapshot: Snapshot) -> Iterator[str]:
    """Yield a sentence where the source is not what somebody may think it is."""
    if not snapshot.items and settings.source.path is None:
        yield f"no key is below {settings.prefix}: a new fleet, or another prefix"


def unanswerable(settings: Settings) -> Iterator[str]:
    """Yield a sentence where nobody could be answered over HTTP."""
    bind = settings.agent.http_bind
    if bind is not None and (why := obstacle(bind)):
        yield f"[agent] http_bind: {why}"


def refused(settings: Settings, texts: Mapping[str, bytes]) -> Iterator[str]:
    """Yield a sentence for each installed file that its own check command refuses.

    `texts`: what would be installed, by absolute path.
    """
    for output in settings.outputs:
        if output.path in texts:
            try:
                examine(output, texts[output.path])
            except (LbsyncError, OSError) as error:
                yield f"{output.path}: {error}"


def overruled(
    live_link: Path, master_socket: str | None, defaults: Path = DEFAULTS
) -> Iterator[str]:
    """Yield a sentence for each line of `defaults` that keeps HAProxy from what is live."""
    try:
        found = dict(_assignments(defaults.read_text(errors="replace")))
    except OSError:
        return
    main_file = str(live_link / MAIN_FILE)
    if found.get("CONFIG", main_file) != main_file:
        yield (
            f"{defaults}: CONFIG={found['CONFIG']} wins over the drop-in, so HAProxy does not start from "
            f"{main_file}; comment it out and restart HAProxy"
        )
    if master_socket and found.get("EXTRAOPTS") and master_socket not in found["EXTRAOPTS"]:
        yield (
            f"{defaults}: EXTRAOPTS={found['EXTRAOPTS']} wins over the drop-in, so there is no master "
            f"socket {master_socket}; comment it out and restart HAProxy"
        )


def started_apart(
    main_file: Path, drop_in: Path = DROP_IN, pid_file: str = "/run/haproxy.pid"
) -> Iterator[str]:
    """Yield a sentence where Debian's haproxy.service runs, but was started from another file, as it is until
    the drop-in that came with lbsync is linked. Without that drop-in HAProxy may be started by anything."""
    if not drop_in.exists():
        return
    try:
        started = processes.command_line(processes.master_pid(pid_file))
    except LbsyncError:
        return
    if started and str(main_file) not in started:
        yield (
            f"HAProxy was started as `{' '.join(started)}`, not from {main_file}: ln -s {drop_in} "
            "/etc/systemd/system/haproxy.service.d/lbsync.conf, systemctl daemon-reload, and restart it"
        )


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Yield the variables that count, of a file of lines `[export] NAME=value`, the value without quotes."""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        words = name.split()
        if equals and words[-1:] and words[-1] in _VARIABLES and words[:-1] in ([], ["export"]):
            yield words[-1], value.strip().strip("\"'")


def read_beside(command_line: Sequence[str], main_file: Path) -> Iterator[str]:
    """Yield a sentence for each file that HAProxy reads besides `main_file` (management guide, section 3: `-f`,
    and what follows `--`). Debian's unit of HAProxy 3.4 names a directory so."""
    words = list(command_line[1:])
    end = words.index("--") if "--" in words else len(words)
    named = [value for flag, value in itertools.pairwise(words[:end]) if flag == "-f"]
    for name in [*named, *words[end + 1 :]]:
        path = Path(name)
        # Of a directory HAProxy reads what ends in .cfg and is not hidden.
        found = sorted(path.glob("[!.]*.cfg")) if path.is_dir() else [path]
        for file in found:
            if file not in (main_file, Path(os.devnull)) and not _is_same(file, main_file):
                yield (
                    f"HAProxy also reads {file} (-f {name}), which lbsync neither validates nor reads back: move "
                    "it away, or set CFGDIR=/dev/null in a drop-in of haproxy.service, and restart HAProxy"
                )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def elsewhere(live: Generation | None, description: str) -> Iterator[str]:
    """Yield a sentence where the running HAProxy is not one that lbsync's generations drive."""
    if live is not None and not re.search(r"\b[0-9a-f]{8,}\b", description):
        yield (
            "HAProxy answers, but runs a configuration that lbsync did not make; "
            f"is it started with `-f {live.path.parents[1] / 'live' / MAIN_FILE}`?"
        )
