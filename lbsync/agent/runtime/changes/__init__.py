"""From one piece of configuration to another: the steps of the runtime API, or why there must be a reload. Pure."""
