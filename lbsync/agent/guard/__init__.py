"""What a change would take away, and whether that is too much to be intended. Pure."""
