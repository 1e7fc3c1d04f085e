"""Settings of the property tests: a noisy machine must not fail a correct test by being slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("lbsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lbsync")
