"""The fleet console, `lbsync console`: the state of all hosts, services and publishers in etcd, for people and
programs, and the actions that a token allows."""
