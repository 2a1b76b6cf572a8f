"""How settings, results and times are written for people: three digits, the unit, no more."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pressopt.campaign.replay import TrialState
from pressopt.optimizer import DesignSpace
from pressopt.pressing import QUANTITIES


def number(value: float, digits: int = 3) -> str:
    """Return ``value`` with ``digits`` significant digits, without an exponent where people would not write one."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 10**5:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:.{decimals}f}"
    return f"{value:.{digits - 1}e}"


def duration(seconds: float) -> str:
    """Return a time as people say it: 45 s, 10 min, 1 h 30 min."""
    if seconds < 120:
        return f"{number(seconds)} s"
    minutes = seconds / 60
    if minutes < 120:
        return f"{number(minutes)} min"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def setting(name: str, value: float | int | str, unit: str) -> str:
    """Return one setting with its unit."""
    if isinstance(value, str):
        return value
    if unit == "s" and name.endswith("_s"):
        return duration(float(value))
    return f"{number(float(value))} {unit}".strip()


def asked_and_achieved(
    space: DesignSpace, asked: Mapping[str, float | int | str], got: Mapping[str, float]
) -> str:
    """Return the searched settings in one line: ``25.0 → 25.2 MPa · 10.0 min · 60.0 → 59.8 °C``."""
    parts = []
    for variable in space.variables:
        if variable.name not in asked:
            continue
        want, have = asked[variable.name], got.get(variable.name)
        text = setting(variable.name, want, variable.unit)
        if have is not None and isinstance(want, (int, float)):
            done = setting(variable.name, have, variable.unit)
            if done != text:
                text = f"{text} → {done}"
        parts.append(text)
    return " · ".join(parts)


def result(value: float, sd: float) -> str:
    """Return a measured value with its standard deviation, cut where the uncertainty cuts it."""
    if not sd > 0:
        return number(value)
    decimals = max(0, min(6, 1 - math.floor(math.log10(sd))))
    return f"{value:.{decimals}f} ± {sd:.{decimals}f}"


def outcome(trial: TrialState, quantity: str) -> str:
    """Return what a trial gave for a quantity: the number, or how it failed."""
    if quantity in trial.outcomes:
        text = result(*trial.outcomes[quantity])
        return text if not trial.failures else f"{text} ({', '.join(trial.failures)})"
    if trial.failures:
        return ", ".join(trial.failures).replace("_", " ")
    return trial.phase.value


def unit_of(quantity: str) -> str:
    """Return the unit of a quantity as people write it."""
    return QUANTITIES[quantity].unit
