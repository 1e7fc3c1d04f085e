"""What is wanted: the store's keys decoded, who owns what, which backend takes which share. Pure but for files."""
