"""The surrogate as the optimizer's prior: settings in, draws of its uncertain parameters out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pressopt.campaign.experiment import Experiment
from pressopt.optimizer.observation import Settings
from pressopt.pressing import QUANTITIES
from pressopt.surrogate import ParameterDraws, ProtocolTable, Surrogate

Real = NDArray[np.float64]
_Key = tuple[bytes, ...]

#: Parameter draws behind every answer. More cost time in every proposal, fewer make the prior grainy.
DRAWS = 128
#: Questions whose answers are kept, because several quantities are asked for at the same settings.
_RECENT = 16
#: Settings whose predictions by all draws are kept (about 9 kB each).
_REMEMBERED = 1500
#: Of these, lists that are known by themselves when they come again.
_BATCHES = 4


class SurrogatePrior:
    """Implements :class:`pressopt.optimizer.SelectivePrior` by the Rust surrogate of one experiment's cell.

    The draws are fixed by the seed, so that row ``j`` is the same parameter draw in every answer.
    """

    def __init__(self, experiment: Experiment, surrogate: Surrogate, *, draws: int = DRAWS) -> None:
        self._experiment = experiment
        self._surrogate = surrogate
        self._draws = draws
        self._parameters = surrogate.prior(draws, experiment.seed)
        # Memory of a pure function, not state: what was asked for last, and settings that are asked for again and
        # again.
        self._recent: OrderedDict[_Key, Mapping[str, Real]] = OrderedDict()
        self._places: dict[bytes, int] = {}
        self._whole: dict[str, Real] = {}
        self._batches: list[Sequence[Settings]] = []
        # Campaigns of one file share their prior under a service, and are asked for in several threads.
        self._lock = threading.Lock()

    def draws(self, quantity: str, settings: Sequence[Settings]) -> Real:
        """Shape (draws, n): predictions on the model's scale (natural logarithm of log quantities)."""
        return self.some_draws(quantity, settings, np.arange(self._draws))

    def some_draws(self, quantity: str, settings: Sequence[Settings], rows: NDArray[np.intp]) -> Real:
        """Shape (rows, n): the same for some of the draws."""
        values = self._predict(settings, rows)[quantity]
        return np.log(values) if QUANTITIES[quantity].log else values

    def separator_ohm(self, settings: Settings) -> float:
        """The least resistance, Ω, that the separator of a cell pressed so can have.

        The 2.5 % quantile over the draws of whole cell minus interfaces; 0 where the surrogate knows no separator.
        """
        found = self._predict([settings], np.arange(self._draws))
        if "cell_resistance_ohm_cm2" not in found or "interfacial_resistance_ohm_cm2" not in found:
            return 0.0
        cell = self._experiment.cell
        rest = found["cell_resistance_ohm_cm2"] - cell.interfaces * found["interfacial_resistance_ohm_cm2"]
        return float(np.quantile(np.maximum(rest, 0.0), 0.025)) / cell.area_cm2

    def remember(self, settings: Sequence[Settings]) -> None:
        """Keep the predictions at settings that will be asked for again."""
        with self._lock:
            if not any(settings is known for known in self._batches):
                self._learn(settings)
                if isinstance(settings, tuple):  # it never changes
                    self._batches = [*self._batches[1 - _BATCHES :], settings]

    def _learn(self, settings: Sequence[Settings]) -> None:
        columns = self._experiment.table(settings)
        keys = _keys(columns)
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        missing = sorted(row for key, row in first.items() if key not in self._places)
        if not missing:
            return
        if len(self._places) + len(missing) > _REMEMBERED:
            self._places, self._whole, self._batches = {}, {}, []
            missing = sorted(first.values())
        found = self._ask({name: values[missing] for name, values in columns.items()}, np.arange(self._draws))
        for row in missing:
            self._places[keys[row]] = len(self._places)
        for name, values in found.items():
            known = self._whole.get(name)
            self._whole[name] = values.T if known is None else np.vstack([known, values.T])

    def _predict(self, settings: Sequence[Settings], rows: NDArray[np.intp]) -> Mapping[str, Real]:
        """Predict all quantities at once; the optimizer asks one after the other for the same settings."""
        columns = self._experiment.table(settings)
        keys = _keys(columns)
        key = (rows.tobytes(), *keys)
        with self._lock:
            known = self._recent.get(key)
            if known is None:
                known = self._combined(columns, keys, rows)
                self._recent[key] = known
                if len(self._recent) > _RECENT:
                    self._recent.popitem(last=False)
        return known

    def _combined(
        self, columns: Mapping[str, Real], keys: list[bytes], rows: NDArray[np.intp]
    ) -> Mapping[str, Real]:
        """What is remembered, and the rest predicted now."""
        places = np.array([self._places.get(key, -1) for key in keys], dtype=np.intp)
        fresh, kept = np.flatnonzero(places < 0), np.flatnonzero(places >= 0)
        if not kept.size:
            return self._ask(columns, rows)
        whole = {name: values[np.ix_(places[kept], rows)].T for name, values in self._whole.items()}
        if not fresh.size:
            return whole
        found = {}
        for name, values in self._ask({name: some[fresh] for name, some in columns.items()}, rows).items():
            both = np.empty((len(rows), len(keys)))
            both[:, fresh], both[:, kept] = values, whole[name]
            found[name] = both
        return found

    def _ask(self, columns: Mapping[str, Real], rows: NDArray[np.intp]) -> Mapping[str, Real]:
        table = ProtocolTable.roll(**columns) if self._experiment.rolled else ProtocolTable.platen(**columns)
        names, values = self._parameters.names, self._parameters.values[rows]
        chosen = ParameterDraws(names, values, np.zeros(len(rows)))
        return self._surrogate.predict(table, parameters=chosen).draws


def _keys(columns: Mapping[str, Real]) -> list[bytes]:
    """One key per protocol: all that the surrogate is told of it."""
    wide = np.column_stack([values if values.ndim == 2 else values[:, None] for values in columns.values()])
    return [row.tobytes() for row in wide]
