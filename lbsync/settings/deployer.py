"""The section for deployments: [deployer]."""

from typing import Annotated

import msgspec
from msgspec import Meta

from lbsync.values.basic import Duration, FilePath


class Deployer(msgspec.Struct, frozen=True):
    """From where deployments are carried out, for `lbsync deploy` and `lbsync console`. What an app may say is in
    docs/deployer.md."""

    kubeconfig: Annotated[
        FilePath | None,
        Meta(description="File that tells where the API server is, for apps on Kubernetes. Empty: inside a pod its "
             "ServiceAccount, else what kubectl would use."),
    ] = None  # fmt: skip
    context: Annotated[
        str, Meta(description="Context of the kubeconfig. Empty: its current one.")
    ] = ""
    lease_ttl: Annotated[
        Duration,
        Meta(extra={"min": "2s", "max": "5m"},
             description="A deployer that is silent for this long is replaced: another one goes on with its "
             "deployments. One that ends by itself hands over at once."),
    ] = Duration(10_000)  # fmt: skip
