"""What is wanted: decoded keys, who owns what, which backend takes which share. Pure except for files."""
