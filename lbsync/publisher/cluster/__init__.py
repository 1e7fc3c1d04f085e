"""What is read of the Kubernetes cluster: which, by which watches, and what has changed."""
