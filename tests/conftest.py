"""How properties are tried everywhere: a busy computer is no failure, and a failure prints how to repeat it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("pressopt", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("pressopt")
