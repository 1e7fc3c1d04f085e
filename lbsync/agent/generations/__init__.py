"""Rendered sets on disk: written whole, one live, one confirmed."""
