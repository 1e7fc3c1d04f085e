"""The section for deployments: [deployer]."""

from typing import Annotated

import msgspec
from msgspec import Meta

from lbsync.values.basic import Duration, FilePath
from lbsync.values.deploying import DeployerUrl


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Another deployer, to which `lbsync deploy promote --to NAME` gives the image that runs here."""

    url: Annotated[
        DeployerUrl,
        Meta(description="Where its `lbsync console` answers: `https://lbsync.example.com`."),
    ]
    token_file: Annotated[
        FilePath,
        Meta(
            description="File whose first line is a token of that console with the right `deploy`."
        ),
    ]
    ca_file: Annotated[
        FilePath | None,
        Meta(
            description="PEM file with the authorities that its certificate may be of. Empty: the system's."
        ),
    ] = None


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
    environments: Annotated[
        dict[str, Environment],
        Meta(description="By name; each is a table of its own in the file."),
    ] = {}
