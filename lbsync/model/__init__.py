"""Frozen values that all rooms share. No I/O here, and no import of anything above."""
