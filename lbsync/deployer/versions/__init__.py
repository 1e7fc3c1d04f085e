"""The versions of an app: how the next one starts, and how old ones end."""
