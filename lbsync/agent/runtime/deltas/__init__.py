"""Single services that changed: what differs, how HAProxy gets there, and what it shows then."""
