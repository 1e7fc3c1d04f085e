"""Checks of this host that report all problems together."""
