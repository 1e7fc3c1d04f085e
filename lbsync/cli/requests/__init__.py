"""Requests of an operator to the agent on this host."""
