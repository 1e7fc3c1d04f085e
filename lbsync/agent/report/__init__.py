"""The result of a pass, for the log, the status file and the fleet's records."""
