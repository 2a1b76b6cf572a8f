"""How properties are tried everywhere: a busy computer is no failure, and a failure prints how to repeat it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# On the profile that Hypothesis chose: where the environment says CI, that one tries the same examples each time.
settings.register_profile(
    "pressopt", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("pressopt")
