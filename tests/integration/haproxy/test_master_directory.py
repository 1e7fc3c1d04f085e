"""A reload that fails while HAProxy parses must not take its master's working directory away."""

import os
from pathlib import Path

import pytest

from harness.wait import wait_until
from lbsync.agent.generations.master_directory import MasterDirectory
from lbsync.agent.generations.store import Store
from lbsync.errors import ApplyFailed
from lbsync.model.rendered import Rendered
from tests.haproxy_bench import Bench


class Unseen(MasterDirectory):
    """As where the master is root's, or in another container."""

    def is_in(self, directory: Path) -> bool | None:
        return None


def unreadable(bench: Bench, tag: str) -> Rendered:
    """What `haproxy -c` took when it ran as the agent, and HAProxy itself cannot open."""
    return bench.rendered(tag, binds="    http-request deny if { src -f maps/nosuch.lst }")


def leftovers(store: Store) -> list[str]:
    root = store.live_link.parent / "generations"
    return sorted(entry.name for entry in root.iterdir() if entry.name.startswith("."))


@pytest.mark.parametrize("unseen", [False, True], ids=["seen", "unseen"])
def test_after_a_reload_that_failed_the_next_good_one_is_served(
    served: Bench, unseen: bool
) -> None:
    served.store = Store(served.state, 5, (Unseen if unseen else MasterDirectory)(served.options))
    for tag in ("bad", "worse"):
        with pytest.raises(ApplyFailed):
            served.apply(unreadable(served, tag), checked=False)
        two = served.rendered(f"good after {tag}")
        assert served.apply(two).outcome == "confirmed"
        assert two.digest in served.description()
    # However many generations follow: the master may stand there for as long as it lives.
    for number in range(7):
        served.apply(served.rendered(f"more {number}"))
        served.store.prune()
    assert Path(f"/proc/{served.haproxy.pid}/cwd").is_dir(), "the master stands somewhere"
    assert served.apply(served.rendered("the last")).outcome == "confirmed"
    for name in leftovers(served.store):
        assert not list((served.state / "generations" / name).iterdir()), "it is empty"


@pytest.mark.parametrize("unseen", [False, True], ids=["seen", "unseen"])
def test_what_a_master_stood_in_goes_once_it_is_another_one(served: Bench, unseen: bool) -> None:
    served.store = Store(served.state, 5, (Unseen if unseen else MasterDirectory)(served.options))
    with pytest.raises(ApplyFailed):
        served.apply(unreadable(served, "bad"), checked=False)
    (left,) = leftovers(served.store) or [""]
    if not left:
        return  # this release goes back to where it was
    served.haproxy.stop()
    served.haproxy.start()
    long_ago = served.state / "generations" / left
    os.utime(long_ago, (0, 0))
    served.store.prune()
    assert not long_ago.exists()


def test_a_failed_reload_of_somebody_else_takes_no_generation_away_either(served: Bench) -> None:
    served.store = Store(served.state, 2, Unseen(served.options))
    live = served.store.live()
    assert live is not None
    secret = live.path / "maps" / "denied.lst"
    secret.rename(secret.with_suffix(".away"))
    served.haproxy.ask("reload")
    wait_until("the failure to be told", lambda: "failed: 1" in served.haproxy.ask("show proc"))
    secret.with_suffix(".away").rename(secret)
    for number in range(4):
        assert served.apply(served.rendered(f"more {number}")).outcome == "confirmed"
        served.store.prune()
