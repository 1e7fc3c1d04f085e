"""Make `etcd3` 0.12 importable on protobuf 4.25 to 7.x.

The message modules that `etcd3` ships were generated for protobuf 3 and fail on import today
("Descriptors cannot be created directly"). The same messages are built here from descriptors and
put where `etcd3` looks for them, so that its stubs and its client work unchanged. Importing this
module imports `etcd3`; import it before anything else that does.
"""

import base64
import sys
import zlib
from types import ModuleType
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

from lbsync.clients.etcd.descriptors import PACKED

_MODULES = {"kv.proto": "kv_pb2", "auth.proto": "auth_pb2", "rpc.proto": "rpc_pb2"}


def _module(file: Any) -> ModuleType:
    """Build what protoc would have generated for one .proto file."""
    module = ModuleType(f"etcd3.etcdrpc.{_MODULES[file.name]}")
    module.DESCRIPTOR = file  # type: ignore[attr-defined]
    names = {
        name: message_factory.GetMessageClass(message)
        for name, message in file.message_types_by_name.items()
    }
    for name, enum in file.enum_types_by_name.items():
        names[name] = enum_type_wrapper.EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    vars(module).update(names)
    module.__all__ = list(names)  # type: ignore[attr-defined]
    return module


def _install() -> None:
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(zlib.decompress(base64.b85decode(PACKED)))
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
        module = _module(pool.FindFileByName(file.name))
        sys.modules[module.__name__] = module


_install()

import etcd3  # noqa: E402
from etcd3 import etcdrpc  # noqa: E402

__all__ = ["etcd3", "etcdrpc"]
