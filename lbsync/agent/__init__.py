"""The agent: what the store says, rendered, validated, applied and read back on this host."""
