"""Settings for all tests."""

import os

from hypothesis import HealthCheck, settings

# No deadline and no health checks: a busy machine is no fault, and building a graph takes its time.
# On CI the examples are always the same ones; elsewhere they are new each time.
settings.register_profile(
    "netglot", deadline=None, suppress_health_check=list(HealthCheck), derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("netglot")
