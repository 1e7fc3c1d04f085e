"""A rendered set that HAProxy accepts: staged, validated, and who is held back when it does not."""
