"""Deployments: starting, following and controlling them."""
