"""The message descriptors that are data in our tree are those that `etcd3` ships."""

import base64
import zlib

from harness import etcd_descriptors
from lbsync.clients.etcd.descriptors import PACKED


def test_the_descriptors_are_those_of_the_installed_etcd3() -> None:
    """Compared unpacked: two releases of zlib may pack the same bytes in two ways."""
    assert zlib.decompress(base64.b85decode(PACKED)) == etcd_descriptors.descriptors(), (
        "run scripts/etcd-descriptors, and the tests of the etcd client"
    )


def test_the_recipe_makes_a_module_of_them() -> None:
    made: dict[str, str] = {}
    exec(etcd_descriptors.module(), made)
    unpacked = zlib.decompress(base64.b85decode(made["PACKED"]))
    assert unpacked == etcd_descriptors.descriptors()
