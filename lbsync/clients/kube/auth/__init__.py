"""Where the API server is, and as whom it is spoken to."""
