"""HTTP requests and their responses: pages, the API, and streams of changes."""
