"""The section for deployments: [deployer]."""

from typing import Annotated

import msgspec
from msgspec import Meta

from lbsync.values.basic import Duration, FilePath
from lbsync.values.deploying import DeployerUrl


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Another deployer, through which `lbsync deploy promote --to NAME` deploys the image that runs here."""

    url: Annotated[
        DeployerUrl,
        Meta(description="URL of its `lbsync console`: `https://lbsync.example.com`."),
    ]
    token_file: Annotated[
        FilePath,
        Meta(
            description="File whose first line is a token for that console with the right `deploy`."
        ),
    ]
    ca_file: Annotated[
        FilePath | None,
        Meta(
            description="PEM file with the CA certificates that sign its certificate. Empty: the system's."
        ),
    ] = None


class Deployer(msgspec.Struct, frozen=True):
    """How deployments are carried out by `lbsync deploy` and `lbsync console`. docs/deployer.md describes the
    document of an app."""

    kubeconfig: Annotated[
        FilePath | None,
        Meta(description="Kubeconfig file for the API server, for apps on Kubernetes. Empty: inside a pod its "
             "ServiceAccount, otherwise the same file as kubectl."),
    ] = None  # fmt: skip
    context: Annotated[
        str, Meta(description="Context in the kubeconfig. Empty: the current one.")
    ] = ""
    lease_ttl: Annotated[
        Duration,
        Meta(extra={"min": "2s", "max": "5m"},
             description="A deployer that does not respond for this long is replaced: another one continues its "
             "deployments. A deployer that exits hands over at once."),
    ] = Duration(10_000)  # fmt: skip
    environments: Annotated[
        dict[str, Environment],
        Meta(description="By name; each is a table of its own in the file."),
    ] = {}
