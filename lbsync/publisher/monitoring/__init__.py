"""What a publisher tells over HTTP: probes, metrics, status."""
