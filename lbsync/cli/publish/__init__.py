"""Services of Kubernetes: publishing them, and telling why one is published as it is."""
