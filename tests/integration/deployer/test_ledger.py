"""Deployments as etcd has them: whatever the clocks of those who began them said."""

from lbsync.clients.source import Put
from lbsync.deployer.ledger import Ledger
from lbsync.model.deploying import DeploymentRecord, VersionRecord
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from tests.integration.deployer.conftest import CART


def test_the_newest_deployment_is_the_one_that_was_begun_last(ledger: Ledger) -> None:
    """The first one by a host whose clock is an hour ahead, then two within one second."""
    ids = ["20260131-130000-abc123", "20260131-120000-ffffff", "20260131-120000-000000"]
    for name in ids:
        record = DeploymentRecord(name, "groups", "switch", VersionRecord("green"))
        ledger.commit([], [Put(deploying.deployment_key(CART, name), encode(record))])
    assert [record.id for record in ledger.deployments(CART)] == ids[::-1]
