"""The agent's main job on one machine, told step by step: `make demo`, or `python -m demo`.

Everything is real: etcd, HAProxy, three web servers and an agent process, on free loopback ports,
with files in one temporary directory. Each step counts only when a request through HAProxy proved it.
"""
