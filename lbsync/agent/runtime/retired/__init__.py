"""What was retired is deleted once nobody uses it: servers, and whole backends."""
