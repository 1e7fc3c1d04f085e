"""A rendered set that HAProxy accepts: staged, validated, and what is quarantined if it is refused."""
