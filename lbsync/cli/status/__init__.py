"""The status of a host, the fleet and the publishers, and its exit code."""
