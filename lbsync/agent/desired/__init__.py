"""The desired state: decoded keys, who owns what, which backend gets which share. Pure except for files."""
