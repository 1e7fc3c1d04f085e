"""Which versions of an app there are: how the next one begins, and how old ones end."""
