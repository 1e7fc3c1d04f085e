"""Kubernetes Services into the contract in etcd: translation (pure), mirror, leadership."""
