"""Annotations of other controllers: what they become here, and which are reported."""
