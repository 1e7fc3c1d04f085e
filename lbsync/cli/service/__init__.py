"""Services and their servers in the source: listed, shown, written and removed."""
