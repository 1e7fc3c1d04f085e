"""Services and their servers in the source: list, show, write and remove."""
