"""Settings for all tests."""

import os
import random
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# No deadline and no health checks: a busy machine is no fault, and building a graph takes its time.
# On CI the examples are always the same ones; elsewhere they are new each time.
settings.register_profile(
    "netglot", deadline=None, suppress_health_check=list(HealthCheck), derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("netglot")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a framework draws when it initialises a layer is the same in every run, in fixtures of modules too.

    Keras takes its seeds from `random`; torch has a generator of its own, and so has TensorFlow.
    """
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(0)
