"""Deployments: begin one, follow it, and say what is to become of it."""
