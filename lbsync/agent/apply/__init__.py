"""From what runs to what is wanted: by runtime changes, else by a reload, and back when that fails."""
