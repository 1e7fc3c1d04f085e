"""confd's template functions, for users' own templates."""
