"""Deployments, Pods with their state, and Events: what a rollout is followed by. Asked for when it is wanted to
be known; nothing of it is watched."""
