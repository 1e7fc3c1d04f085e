"""Deployments: the new version beside the old one, proved by every balancer before and after the switch.

A deployment is a record in etcd and a phase machine. What is decided, is decided by pure functions of the record, of
what balancers and provider say, and of the time; the runner reads these, acts, and writes record and route in one
transaction. So any process may go on where another one stopped.
"""
