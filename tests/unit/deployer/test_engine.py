"""All deployments at once: what is wrong with one of them is told, and goes on."""

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from harness.wait import wait_until
from lbsync.clients.source import Put
from lbsync.deployer import engine
from lbsync.deployer.assembly import providers
from lbsync.deployer.engine import Engine
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.run import Tools
from lbsync.model.deploying import VersionsRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema.decode import encode
from lbsync.settings import Settings
from tests.fakes import FakeSource

LOUD = ("warning", "error", "critical")


class Counting(FakeSource):
    """A store that counts how often an app is looked at."""

    reads = 0

    def read(self, keys: Sequence[str], folders: Sequence[str] = ()) -> Snapshot:
        self.reads += 1
        return super().read(keys, folders)


def test_what_is_wrong_with_a_deployment_is_said_once_however_often_it_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "LOOK_S", 0.001)
    active = encode(VersionsRecord(active="20260131-120000-abc123"))
    store, versions = Counting(), FakeSource()
    store.commit([], [Put("versions/shop/cart", active)])
    versions.commit([], [Put("shop/cart", active), Put("nobody", active)])
    tools = Tools(Ledger(store, "/lbsync/", "a test"), FakeSource(), providers(Settings()), 10.0)
    with capture_logs() as logs:
        made = Engine(tools, versions, lambda: True)
        made.start()
        wait_until("a few tries", lambda: store.reads > 5)
        made.close()
    said = [f"{each['log_level']} {each['event']}" for each in logs if each["log_level"] in LOUD]
    assert said == [
        "error shop/cart: this deployment is left alone: there is no deployment "
        "20260131-120000-abc123 of shop/cart"
    ]
