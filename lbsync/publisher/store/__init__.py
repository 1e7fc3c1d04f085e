"""What the store holds of Services, and how it is brought to what the cluster says."""
