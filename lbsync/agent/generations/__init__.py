"""Rendered sets on disk: written completely, one live, one confirmed."""
