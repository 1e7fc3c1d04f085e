"""What a pass did, as the log, the status file and the fleet's records tell it."""
