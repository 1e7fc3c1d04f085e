"""The etcd door: the only code that imports `etcd3` and `grpc`.

`EtcdSource` in `source` is the one way in. How the parts lie on each other, bottom first:

    descriptors, protobuf   wire messages, so that `etcd3` imports on a current protobuf
    credentials, failures   what this host must have to get in; what an RPC error means
    connections             one etcd3 client per endpoint, fail-over, deadlines, auth
    requests                transactions in etcd's own words
    kv, lease               list, get, guarded commit; keys that live as long as their writer
    mirror, watch           the copy of all keys, and what keeps it fresh
    source                  `lbsync.clients.source.Source` on top of these
"""

import os

# gRPC's C core writes each failed connect to stderr by itself, between the lines of our own log;
# what is worth saying is said by lbsync. It reads this once, when it is loaded: so before anything
# below imports it. Whoever sets the variable keeps the last word.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
