"""Kubernetes objects into the contract's records: pure functions, no input or output.

`translate` is the one that counts; the rest prepares what it takes.
"""

from lbsync.publisher.translate.annotations import decides_servers
from lbsync.publisher.translate.ingress import (
    IngressClasses,
    inspect_ingress,
    is_ours,
    leading_to,
    our_classes,
)
from lbsync.publisher.translate.nodes import NodePool, node_pool
from lbsync.publisher.translate.options import Options
from lbsync.publisher.translate.report import Notice, Refusal
from lbsync.publisher.translate.translation import (
    Translation,
    endpoint_results,
    is_published,
    translate,
)

__all__ = [
    "translate",
    "endpoint_results",
    "Translation",
    "Refusal",
    "Notice",
    "Options",
    "NodePool",
    "node_pool",
    "is_published",
    "IngressClasses",
    "our_classes",
    "is_ours",
    "leading_to",
    "inspect_ingress",
    "decides_servers",
]
