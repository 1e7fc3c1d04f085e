"""From the running to the desired state: by runtime changes or a reload, and back if that fails."""
