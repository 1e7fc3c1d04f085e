"""Deployments: the new version beside the old one, verified by every balancer before and after the switch.

A deployment is a record in etcd and a phase machine. All decisions are pure functions of the record, of what
balancers and provider report, and of the time; the runner reads these, acts, and writes record and route in one
transaction. So any process can continue where another one stopped.
"""
