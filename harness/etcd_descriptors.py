"""Make lbsync/clients/etcd/descriptors.py anew: `scripts/etcd-descriptors`.

`etcd3` ships what protoc once made of etcd's .proto files, as modules that today's protobuf refuses to
import. Each holds its file's descriptor as one literal of bytes, which is read here without importing.
"""

import ast
import base64
import importlib.metadata
import importlib.util
import sys
import zlib
from pathlib import Path

from google.protobuf import descriptor_pb2

#: In the order in which they import each other.
MODULES = ("kv_pb2", "auth_pb2", "rpc_pb2")

_HEAD = '''\
"""etcd's wire messages (mvccpb, authpb, etcdserverpb of API 3.3), as data.

A serialized `google.protobuf.FileDescriptorSet` of etcd's kv.proto, auth.proto and rpc.proto as
`etcd3` {version} ships them, service definitions left out, zlib-compressed, base85. The .proto files are
copyright The etcd Authors, Apache-2.0. `lbsync.clients.etcd.protobuf` turns it into classes.

Made by `scripts/etcd-descriptors`; a test compares it with the `etcd3` that is installed.
"""

'''
_WIDTH = 95


def descriptors() -> bytes:
    """Return the set as `etcd3` ships it, without services. Raises `LookupError` where it ships none."""
    found = descriptor_pb2.FileDescriptorSet()
    for name in MODULES:
        file = found.file.add()
        file.ParseFromString(_literal(_folder() / f"{name}.py"))
        del file.service[:]
    made: bytes = found.SerializeToString(deterministic=True)
    return made


def module() -> str:
    """Return the text of descriptors.py."""
    packed = base64.b85encode(zlib.compress(descriptors(), 9)).decode()
    lines = [packed[at : at + _WIDTH] for at in range(0, len(packed), _WIDTH)]
    text = "".join(f'    "{line}"\n' for line in lines)
    release = ".".join(importlib.metadata.version("etcd3").split(".")[:2])
    return f"{_HEAD.format(version=release)}PACKED = (\n{text})\n"


def _folder() -> Path:
    spec = importlib.util.find_spec("etcd3")
    if spec is None or spec.origin is None:
        raise LookupError("etcd3 is not installed")
    return Path(spec.origin).parent / "etcdrpc"


def _literal(path: Path) -> bytes:
    """Return `serialized_pb=_b('…')`: each character is one byte (protoc's own notation)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "serialized_pb":
            inner = node.value.args[0] if isinstance(node.value, ast.Call) else node.value
            found = ast.literal_eval(inner)
            return found if isinstance(found, bytes) else str(found).encode("latin-1")
    raise LookupError(f"{path} has no serialized_pb")


if __name__ == "__main__":
    sys.stdout.write(module())
