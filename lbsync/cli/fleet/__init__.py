"""Commands for all hosts of the fleet: waiting for them, forgetting one, confirming for all."""
