"""How hypothesis runs: the same examples every time, never judged by the machine's speed.

`HYPOTHESIS_PROFILE=thorough pytest tests/unit/test_policy_laws.py` draws 10,000 examples a law.
"""

import os

from hypothesis import HealthCheck, settings

# A busy CI machine generates slowly; that says nothing about the code.
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("default", derandomize=True, deadline=None, max_examples=50, suppress_health_check=QUIET)
settings.register_profile("thorough", deadline=None, max_examples=10_000, suppress_health_check=QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
