"""A whole Debian host with systemd as PID 1, to be thrown away: systemd-nspawn over an overlay.

Needs root, debootstrap and systemd-nspawn. The host is alone in a network namespace of its own; what it
runs is reached through `Machine.inside`, which enters that namespace for one thread.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import time
from pathlib import Path

from harness.wait import wait_until

#: What a balancer host has before lbsync comes, and what the tests use there.
PACKAGES = (
    "systemd,systemd-sysv,dbus,haproxy,etcd-server,etcd-client,"
    "python3-venv,iproute2,procps,curl,openssl"
)
SUITE = "bookworm"
_CLONE_NEWNET = 0x40000000
_BOOT_S = 60.0


def missing() -> str:
    """Say why no machine can be made here; empty when one can."""
    if os.geteuid() != 0:
        return "only root can boot a machine"
    lacking = [name for name in ("debootstrap", "systemd-nspawn", "ip") if not shutil.which(name)]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def base(directory: Path) -> Path:
    """Return the root of a fresh Debian; made once, in minutes, and kept in `directory`."""
    root = directory / SUITE
    if not root.exists():
        draft = directory / f"{SUITE}.part"
        shutil.rmtree(draft, ignore_errors=True)
        directory.mkdir(parents=True, exist_ok=True)
        argv = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(draft)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        draft.rename(root)
    return root


class Machine:
    """One host; `start` boots it, `stop` leaves nothing behind."""

    def __init__(self, directory: Path, *layers: Path) -> None:
        """`layers`: what its disk is made of, the lowest first; they are not written to."""
        self._directory = directory
        self._layers = layers
        self._namespace = f"lbvm-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self.root = directory / "root"
        """Its disk, as seen from here."""

    def start(self) -> "Machine":
        """Boot it and wait until systemd has started everything."""
        upper, work = self._directory / "upper", self._directory / "work"
        for path in (self.root, upper, work):
            path.mkdir(parents=True)
        lower = ":".join(str(layer) for layer in reversed(self._layers))
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        subprocess.run(["ip", "netns", "add", self._namespace], check=True)
        subprocess.run(["ip", "-n", self._namespace, "link", "set", "lo", "up"], check=True)
        with (self._directory / "console.log").open("wb") as console:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", "-q", "-D", str(self.root), "--register=no", "--keep-unit",
                 f"--network-namespace-path=/run/netns/{self._namespace}", "--console=pipe",
                 "--boot", "systemd.unit=multi-user.target"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
        self._leader = wait_until("the machine's systemd", self._find_leader, timeout=_BOOT_S)
        wait_until("the machine to be up", self._is_up, timeout=_BOOT_S, every=0.1)
        return self

    def stop(self) -> None:
        """Power it off and remove what it had."""
        if self._nspawn is not None:
            if self._leader:
                self.run("systemctl", "--no-block", "poweroff", check=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nspawn.wait(timeout=30)
            self._nspawn.kill()
            self._nspawn.wait(timeout=10)
        subprocess.run(["umount", "--lazy", self.root], check=False)
        subprocess.run(["ip", "netns", "del", self._namespace], check=False)

    def run(
        self, *argv: str, check: bool = True, user: str = "", timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the machine, as root or as `user` with that user's groups."""
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        enter = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-p", "-n", "-r", "-w", "--"]
        done = subprocess.run(
            [*enter, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", *become, *argv],
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def sh(self, script: str, *, check: bool = True) -> str:
        """Run lines of shell on the machine; return what they print."""
        return self.run("sh", "-ec", script, check=check).stdout

    def inside(self) -> None:
        """Let the calling thread use the machine's network from now on; that thread alone."""
        descriptor = os.open(f"/run/netns/{self._namespace}", os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)

    def _find_leader(self) -> int:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            console = (self._directory / "console.log").read_text(errors="replace")
            raise AssertionError(f"the machine did not boot: {console}")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text()
        for pid in map(int, children.split()):
            about = Path(f"/proc/{pid}/status").read_text()
            ids = next(line.split() for line in about.splitlines() if line.startswith("NSpid:"))
            # nspawn's first child only makes room for the one that is PID 1 in there.
            if ids[-1] == "1":
                return pid
        return 0

    def _is_up(self) -> bool:
        said = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return said in ("running", "degraded")
