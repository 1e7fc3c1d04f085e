"""What tests of several rooms share: real daemons, started once where they can be."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from harness import etcd as etcd_harness
from harness import launch
from harness.etcd import Etcd
from harness.haproxy import one_branch

TESTS = Path(__file__).parent

# Images set this to stay small; here it would have each run, and each process of it, compile all modules anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A property test passes or fails by what it tests: not by how slow the machine is, nor by what was drawn
# today. Whoever searches for more says `--hypothesis-profile=search`.
for name, drawn_anew in {"lbsync": False, "search": True}.items():
    settings.register_profile(
        name,
        deadline=None,
        derandomize=not drawn_anew,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
settings.load_profile("lbsync")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have all of several workers but the last begin with what waits for daemons, and the last with what keeps
    a processor busy; what is left of that comes last, so that at the end none is waited for.

    xdist gives each an equal part of the list; who is done takes from the end of another's (`worksteal`).
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    rooms: dict[str, list[pytest.Item]] = {"e2e": [], "integration": [], "quick": []}
    for item in items:
        room = item.path.relative_to(TESTS).parts[0]
        rooms[room if room in rooms else "quick"].append(item)
    quick, others = rooms.pop("quick"), workers - 1
    part, ordered = len(items) // workers, []
    for worker in range(others):
        mine = [
            item
            for found in rooms.values()
            for item in found[len(found) * worker // others : len(found) * (worker + 1) // others]
        ]
        rest = max(0, part - len(mine))
        ordered += [*mine, *quick[:rest]]
        quick = quick[rest:]
    items[:] = [*ordered, *quick]


def pytest_collection_finish() -> None:
    """Spare the garbage collector the tests themselves: it would look through all of them again and again."""
    gc.collect()
    gc.freeze()


def demand(installed: bool, what: str) -> None:
    """Skip the test on a laptop where something is not installed; fail on a build machine."""
    if installed:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed, and CI must test everything")
    pytest.skip(f"{what} is not installed")


def on_one_release(fixture: str) -> pytest.MarkDecorator:
    """Run a test on one release of HAProxy, not on two: `fixture` is a host, and what is tested is
    not what HAProxy does. With HAPROXY_BRANCHES it runs on each of those all the same."""
    return pytest.mark.parametrize(fixture, one_branch(), indirect=True)


def interpreter(user: str | int) -> str:
    """Return a Python of this version that `user` may run; the tests' own may lie in root's home."""
    for program in (sys.executable, "/usr/bin/python3"):
        try:
            tried = subprocess.run(
                [program, "-c", "import pprint, sys; print(sys.version_info[:2])"],
                user=user, capture_output=True, text=True, check=False,
            )  # fmt: skip
        except OSError:
            continue
        if tried.stdout.strip() == str(sys.version_info[:2]):
            return program
    pytest.skip("no Python here that another user may run")


@pytest.fixture(scope="session", autouse=True)
def quick_starts() -> Iterator[None]:
    """Most of what the tests start are `lbsync` commands, and most of a start is imports."""
    with launch.forking():
        yield


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """One etcd node for all tests that only read and write; each takes a prefix of its own."""
    demand(etcd_harness.installed(), "etcd")
    cluster = Etcd(tmp_path_factory.mktemp("etcd")).start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def shared_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """What `hosts_etcd` is made of."""
    demand(etcd_harness.installed(), "etcd")
    cluster = Etcd(tmp_path_factory.mktemp("hosts-etcd"))
    yield cluster
    cluster.stop()


@pytest.fixture
def hosts_etcd(shared_etcd: Etcd) -> Etcd:
    """A running etcd without keys, for hosts with the usual prefix: one after the other has it, since
    starting one takes longer than most tests. It may be stopped."""
    if shared_etcd.node.running():
        shared_etcd.node.send(signal.SIGCONT)  # a test that failed may have left it frozen
    else:
        shared_etcd.start()
    shared_etcd.clear()
    return shared_etcd


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Callable[..., Etcd]]:
    """Make clusters for one test alone, to be harmed: `clusters(nodes=3)`. Not started."""
    demand(etcd_harness.installed(), "etcd")
    made: list[Etcd] = []

    def make(nodes: int = 1, **options: str) -> Etcd:
        made.append(Etcd(tmp_path / f"etcd{len(made)}", nodes, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()
