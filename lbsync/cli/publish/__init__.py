"""Kubernetes Services: publishing them, and explaining what was published."""
