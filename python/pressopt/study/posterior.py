"""Calibrated parameters as a file: what data say of the physics, to be used for any cell of the same materials.

Draws are kept as distances from the prior's median in the prior's standard deviations, so that they hold for
another foil or another die: geometry moves the median, data move the distance. The catalogue is never touched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, Violation
from pressopt.surrogate import Parameter, ParameterDraws, Surrogate

Real = npt.NDArray[np.float64]

SCHEMA = "pressopt/posterior/1"


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of parameters, relative to their priors.

    Attributes:
        layers: Materials of the cell that was measured, from the bottom up.
        names: Of the parameters, p of them.
        standard: Shape (draws, p): distance from the prior's median in its standard deviations.
        identified: Standard deviation that is left, relative to the prior's, by name.
        misfit: Root mean square of the weighted residuals.
    """

    layers: tuple[str, ...]
    names: tuple[str, ...]
    standard: Real
    identified: Mapping[str, float]
    misfit: float

    @classmethod
    def of(cls, surrogate: Surrogate, draws: ParameterDraws) -> Posterior:
        """What calibration found for this cell."""
        standard = np.stack([_distance(p, draws.values[:, i]) for i, p in enumerate(surrogate.parameters)], axis=1)
        layers = tuple(layer.material for layer in surrogate.cell.layers)
        return cls(layers, draws.names, standard, dict(draws.identified), draws.misfit)

    def draws_for(self, surrogate: Surrogate, *, seed: int = 0) -> ParameterDraws:
        """The draws as parameters of a cell; parameters that were not in the calibration keep their prior.

        Raises:
            InputError: No parameter in common: the file is about something else.
        """
        place = {name: index for index, name in enumerate(self.names)}
        names = tuple(p.name for p in surrogate.parameters)
        mine = {layer.material for layer in surrogate.cell.layers}
        if not set(names) & set(self.names) or not mine & set(self.layers):
            raise InputError(
                (Violation("--calibration", f"is about {' | '.join(self.layers)}, not about this cell"),)
            )
        count = len(self.standard)
        prior = np.random.default_rng(seed).standard_normal((count, len(names)))
        values = [
            p.at(self.standard[:, place[p.name]] if p.name in place else prior[:, i])
            for i, p in enumerate(surrogate.parameters)
        ]
        left = {name: self.identified.get(name, 1.0) for name in names}
        return ParameterDraws(names, np.stack(values, axis=1), np.full(count, -math.log(count)), left, self.misfit)

    def write(self, path: Path) -> None:
        """Write it as JSON; the numbers read back to the same bits."""
        told = {
            "schema": SCHEMA,
            "layers": list(self.layers),
            "names": list(self.names),
            "identified": dict(self.identified),
            "misfit": self.misfit,
            "standard": self.standard.tolist(),
        }
        path.write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")


def read_posterior(path: Path) -> Posterior:
    """Read a posterior: the file, or the folder that ``pressopt calibrate`` wrote.

    Raises:
        InputError: There is none, or it is damaged.
    """
    path = path / "posterior.json" if path.is_dir() else path
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise ValueError(f"its schema is {told['schema']!r}, not {SCHEMA!r}")
        standard = np.array(told["standard"], dtype=np.float64)
        names = tuple(map(str, told["names"]))
        if standard.ndim != 2 or standard.shape[1] != len(names) or not np.isfinite(standard).all():
            raise ValueError("its draws do not fit its names")
        return Posterior(tuple(told["layers"]), names, standard, dict(told["identified"]), float(told["misfit"]))
    except FileNotFoundError:
        raise InputError(
            (Violation("--calibration", f"{path} is not there: `pressopt calibrate` writes it"),)
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError((Violation("--calibration", f"{path} is no posterior: {error}"),)) from None


def _distance(parameter: Parameter, values: Real) -> Real:
    if parameter.scale == "log":
        return np.asarray(np.log(values / parameter.nominal) / parameter.sd)
    odds = math.log(parameter.nominal / (1 - parameter.nominal))
    return np.asarray((np.log(values / (1 - values)) - odds) / parameter.sd)
