"""A trial in one line: what was asked and achieved, and what came out."""

from __future__ import annotations

from collections.abc import Mapping

from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.replay import TrialState
from pressopt.export.wording import number, setting, with_sd
from pressopt.optimizer import DesignSpace

DIGITS = 3
#: A value and its unit stay on one line.
NO_BREAK = "\u00a0"


def asked_and_achieved(
    space: DesignSpace, asked: Mapping[str, float | int | str], got: Mapping[str, float]
) -> str:
    """Return the searched settings in one line: ``25 → 25.2 MPa · 10 min · 60 → 59.8 °C``."""
    parts = []
    for variable in space.variables:
        if variable.name not in asked:
            continue
        text = setting(variable.name, asked[variable.name], DIGITS)
        have = got.get(variable.name)
        done = setting(variable.name, have, DIGITS) if have is not None and variable.kind == "real" else text
        amount, _, unit = text.rpartition(" ")
        # The unit once where both share it; a time may be said in two units.
        same_unit = done.rpartition(" ")[2] == unit and " " not in amount
        shown = text if done == text else f"{amount} → {done}" if same_unit else f"{text} → {done}"
        parts.append(shown.replace(" ", NO_BREAK))
    return " · ".join(parts)


def outcome(trial: TrialState, quantity: str) -> str:
    """Return what a trial gave for a quantity: the number, how it failed, or what nobody could but predict."""
    failed = ", ".join(trial.failures).replace("_", " ")
    if quantity in trial.outcomes:
        text = with_sd(*trial.outcomes[quantity])
        return f"{text} ({failed})" if failed else text
    if failed or trial.phase is not Phase.DONE or quantity not in trial.predicted:
        return failed or trial.phase.value
    return f"{number(trial.predicted[quantity][0])} (predicted)"
