"""Mirrors Kubernetes Services into etcd: what is watched, translated (pure), compared and written, by one leader."""
