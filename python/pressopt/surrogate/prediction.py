"""What the surrogate answers: nominal values, draws, intervals; and draws of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, Violation

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class ParameterDraws:
    """Draws of the uncertain parameters, from the prior or after calibration.

    Attributes:
        names: Names of the parameters, ``p`` of them.
        values: Shape (draws, p), each in the unit of its name.
        log_weight: Shape (draws,): logarithm of each draw's weight, normalised so that the weights sum to one.
        identified: Per parameter, the standard deviation that is left relative to the prior's: near 1, the data
            say nothing about it. Empty for draws from the prior.
        misfit: Root mean square of the weighted residuals of the median prediction: near 1 is as good as the
            stated errors; far above, the physics cannot explain the data. NaN for draws from the prior.
    """

    names: tuple[str, ...]
    values: Real
    log_weight: Real
    identified: Mapping[str, float] = field(default_factory=dict)
    misfit: float = float("nan")

    @property
    def weight(self) -> Real:
        """Shape (draws,): weights, summing to one."""
        weight = np.exp(self.log_weight - self.log_weight.max())
        return np.asarray(weight / weight.sum())

    def unidentified(self, above: float = 0.9) -> tuple[str, ...]:
        """Parameters that the data did not narrow below ``above`` of the prior's standard deviation."""
        return tuple(name for name, ratio in self.identified.items() if ratio > above)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted quality of ``n`` protocols.

    Attributes:
        nominal: Per quantity, shape (n,): at the median of the prior; after calibration the median over the
            draws. Names and units are those of :data:`pressopt.pressing.QUANTITIES`; resistances are those of a
            cell that neither shorted nor cracked.
        draws: Per quantity, shape (draws, n): one row per parameter draw; empty when none were asked for.
        weight: Shape (draws,): weights of the rows, summing to one.
        assumed: Names of the inputs behind it that nobody has measured.
    """

    nominal: Mapping[str, Real]
    draws: Mapping[str, Real]
    weight: Real
    assumed: tuple[str, ...]

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of the quantities that this cell has."""
        return tuple(self.nominal)

    def interval(self, quantity: str, probability: float = 0.95) -> tuple[Real, Real, Real]:
        """Lower bound, median and upper bound of the central interval over the draws, shape (n,) each.

        Raises:
            InputError: No such quantity, no draws, or a probability outside (0, 1).
        """
        if quantity not in self.nominal:
            allowed = ", ".join(self.nominal)
            raise InputError(
                (Violation("quantity", f"{quantity!r} is not predicted for this cell: {allowed} are"),)
            )
        if not 0 < probability < 1:
            raise InputError((Violation("probability", f"{probability} is not allowed: give a number in (0, 1)"),))
        if self.weight.size == 0:
            raise InputError((Violation("draws", "no draws were asked for: predict with draws=64 or more"),))
        tails = [(1 - probability) / 2, 0.5, (1 + probability) / 2]
        low, median, high = weighted_quantiles(self.draws[quantity], self.weight, tails)
        return low, median, high


def weighted_quantiles(values: Real, weight: Real, levels: Sequence[float]) -> Real:
    """Quantiles over the draws, shape (levels, n), of values (draws, n) with weights (draws,) that sum to one."""
    order = np.argsort(values, axis=0)
    ranked = np.take_along_axis(values, order, axis=0)
    # Middle of each draw's step in the weighted distribution.
    ordered = weight[order]
    place = np.cumsum(ordered, axis=0) - ordered / 2
    columns = [np.interp(levels, place[:, i], ranked[:, i]) for i in range(values.shape[1])]
    return np.array(columns).reshape(-1, len(levels)).T


@dataclass(frozen=True, eq=False)
class PredictedSpectrum:
    """Predicted impedance of ``n`` cells at ``f`` frequencies, Ω cm².

    Attributes:
        frequency_hz: Shape (f,).
        cell: Shape (n, f), complex: electrolyte and all interfaces, at the nominal parameters.
        interface: Shape (n, f), complex: one interface.
        cell_draws: Shape (draws, n, f).
        interface_draws: Shape (draws, n, f).
        elements: Resistances and capacitances behind it, with the weights of the draws and what is assumed.
    """

    frequency_hz: Real
    cell: Complex
    interface: Complex
    cell_draws: Complex
    interface_draws: Complex
    elements: Prediction

    @property
    def assumed(self) -> tuple[str, ...]:
        """Names of the inputs behind it that nobody has measured."""
        return self.elements.assumed


@dataclass(frozen=True, slots=True)
class SensibleLimits:
    """Where the surrogate stops to be sensible for a cell.

    Attributes:
        melting_c: Melting point of the metal, °C: hotter is refused.
        highest_c: Highest temperature that leaves a margin for the error of the platens, °C.
        margin_c: That margin, K.
        short_mpa: Pressure at which a hold of 60 s shorts 1 in 100 cells by the nominal parameters, MPa; ``None``
            where there are no connected pores.
        crack_mpa: Pressure at which 1 in 100 electrolytes cracks by the nominal parameters, MPa; ``None`` for a
            lamination.
    """

    melting_c: float
    highest_c: float
    margin_c: float
    short_mpa: float | None
    crack_mpa: float | None
