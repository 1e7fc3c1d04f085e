"""Apps on Kubernetes: one Deployment per version and one Service, created from one document."""
