"""Everything that is wrong on this host, in one go."""
