"""What the wanted state means as a configuration: shown, compared, and prepared for a start."""
