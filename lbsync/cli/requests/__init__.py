"""What an operator asks of the agent on this host."""
