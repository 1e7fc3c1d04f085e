"""What a host's shells and `man` know of lbsync, made from the parser and the settings."""
