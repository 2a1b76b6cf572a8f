"""pressopt finds, in as few cells as possible, how to press a solid-state-battery interface, and runs the press.

The names below are the library's front door; each is imported when it is first used, so that importing pressopt
costs next to nothing.

    >>> import pressopt
    >>> campaign = pressopt.run("experiments/li-lpscl-symmetric.toml")  # doctest: +SKIP
    >>> campaign.recommendation.settings  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pressopt.assembly import Campaign, begin_campaign, continue_campaign, run
    from pressopt.campaign.experiment import Experiment
    from pressopt.campaign.experiment_file import load_experiment
    from pressopt.impedance import ImpedanceSpectrum, analyse
    from pressopt.materials import Catalogue
    from pressopt.optimizer import Optimizer
    from pressopt.pressing import Cell, Die, Layer, PressingProtocol, Role, RollStage, Stage
    from pressopt.surrogate import Surrogate

_HOMES = {
    "Campaign": "pressopt.assembly",
    "Catalogue": "pressopt.materials",
    "Cell": "pressopt.pressing",
    "Die": "pressopt.pressing",
    "Experiment": "pressopt.campaign.experiment",
    "ImpedanceSpectrum": "pressopt.impedance",
    "Layer": "pressopt.pressing",
    "Optimizer": "pressopt.optimizer",
    "PressingProtocol": "pressopt.pressing",
    "Role": "pressopt.pressing",
    "RollStage": "pressopt.pressing",
    "Stage": "pressopt.pressing",
    "Surrogate": "pressopt.surrogate",
    "analyse": "pressopt.impedance",
    "begin_campaign": "pressopt.assembly",
    "continue_campaign": "pressopt.assembly",
    "load_experiment": "pressopt.campaign.experiment_file",
    "run": "pressopt.assembly",
}

__all__ = [
    "Campaign",
    "Catalogue",
    "Cell",
    "Die",
    "Experiment",
    "ImpedanceSpectrum",
    "Layer",
    "Optimizer",
    "PressingProtocol",
    "Role",
    "RollStage",
    "Stage",
    "Surrogate",
    "analyse",
    "begin_campaign",
    "continue_campaign",
    "load_experiment",
    "run",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("pressopt")
    if name not in _HOMES:
        raise AttributeError(f"module 'pressopt' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
