"""What people are told: owners of objects, and whoever runs the publisher."""
