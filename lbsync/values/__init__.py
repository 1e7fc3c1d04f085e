"""Values that are valid by construction: `parse` returns one, or raises ValueError with the cure. Pure."""
