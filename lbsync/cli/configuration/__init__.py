"""The configuration for the desired state: shown, compared, and prepared for HAProxy's start."""
