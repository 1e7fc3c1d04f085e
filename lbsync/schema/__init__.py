"""The contract in etcd that all rooms share: the layout of keys, decoding, encoding. No I/O."""
