"""Apps on Kubernetes: a Deployment for each version, and one Service, made from one document."""
