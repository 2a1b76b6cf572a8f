"""The surrogate as the optimizer's prior: settings in, draws of its uncertain parameters out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pressopt.campaign.experiment import Experiment
from pressopt.optimizer.observation import Settings
from pressopt.pressing import QUANTITIES
from pressopt.surrogate import Prediction, ProtocolTable, Surrogate

#: Parameter draws behind every answer. More cost time in every proposal, fewer make the prior grainy.
DRAWS = 128


class SurrogatePrior:
    """Implements :class:`pressopt.optimizer.Prior` by the Rust surrogate of one experiment's cell.

    The draws are fixed by the seed, so that row ``j`` is the same parameter draw in every answer.
    """

    def __init__(self, experiment: Experiment, surrogate: Surrogate, *, draws: int = DRAWS) -> None:
        self._experiment = experiment
        self._surrogate = surrogate
        self._parameters = surrogate.prior(draws, experiment.seed)
        self._last: tuple[tuple[tuple[tuple[str, float | int | str], ...], ...], Prediction] | None = None

    def draws(self, quantity: str, settings: Sequence[Settings]) -> NDArray[np.float64]:
        """Shape (draws, n): predictions on the model's scale (natural logarithm of log quantities)."""
        values = self._predict(settings).draws[quantity]
        return np.log(values) if QUANTITIES[quantity].log else values

    def separator_ohm(self, settings: Settings) -> float:
        """The least resistance, Ω, that the separator of a cell pressed so can have.

        The 2.5 % quantile over the draws of whole cell minus interfaces; 0 where the surrogate knows no separator.
        """
        found = self._predict([settings]).draws
        if "cell_resistance_ohm_cm2" not in found or "interfacial_resistance_ohm_cm2" not in found:
            return 0.0
        cell = self._experiment.cell
        rest = found["cell_resistance_ohm_cm2"] - cell.interfaces * found["interfacial_resistance_ohm_cm2"]
        return float(np.quantile(np.maximum(rest, 0.0), 0.025)) / cell.area_cm2

    def _predict(self, settings: Sequence[Settings]) -> Prediction:
        """Predict all quantities at once; the optimizer asks one after the other for the same settings."""
        key = tuple(tuple(one.items()) for one in settings)
        if self._last is None or self._last[0] != key:
            columns = self._experiment.table(settings)
            table = ProtocolTable.roll(**columns) if self._experiment.rolled else ProtocolTable.platen(**columns)
            found = self._surrogate.predict(table, parameters=self._parameters)
            self._last = (key, found)
        return self._last[1]
