"""Many keys at once: `lbsync apply` and `lbsync export`."""
