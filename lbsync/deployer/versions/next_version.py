"""The start of an app's deployment: its first record, and the number of its version. Pure."""

import msgspec
from msgspec import UNSET

from lbsync.deployer.beginning import Begun, first, refuse_second, route
from lbsync.deployer.kubernetes import document, manifests
from lbsync.deployer.kubernetes.document import App
from lbsync.deployer.page import Page
from lbsync.errors import Rejected
from lbsync.model.deploying import AppRecord, DeploymentRecord, VersionRecord, VersionsRecord


class Beginning(msgspec.Struct, frozen=True):
    """What is written together."""

    record: DeploymentRecord
    versions: VersionsRecord
    app: AppRecord


def deploy(page: Page, app: App, begun: Begun) -> Beginning:
    """Return what begins the deployment of an app as its next version.

    Raises `Conflict` if another one is in progress, `Rejected` where the live version is just this one, or the route
    cannot be read and so not put back.
    """
    refuse_second(page)
    versions = page.versions()
    plain = document.to_plain(app)
    live = versions.live
    if live is not UNSET and live.document == plain:
        raise Rejected(
            f"{app.id} runs just this, as version {live.number}; nothing was begun: change the document, "
            "or name another image with --image"
        )
    before = route(page)
    number = versions.next
    version = VersionRecord(manifests.group_of(number), number, plain, begun.id)
    record = first(begun, "kubernetes", "deploy", version, app.strategy)
    record = msgspec.structs.replace(record, old=live, previous=UNSET if before is None else before)
    return Beginning(
        record,
        msgspec.structs.replace(versions, next=number + 1),
        AppRecord("kubernetes", plain, begun.by, record.created_at),
    )
