"""Shared by all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A slow shared machine is no failure; `make test-long` looks further with the same tests.
settings.register_profile(
    "test", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", parent=settings.get_profile("test"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))
