"""What a host, the fleet and the publishers say of themselves, and which exit code that is."""
