"""The surrogate of one cell: predictions over protocols and parameter draws, calibration, limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pressopt import _core
from pressopt.errors import InputError, Violation
from pressopt.materials import Catalogue, Confidence
from pressopt.pressing import Cell, PressingProtocol
from pressopt.surrogate.parameters import Parameter, describe
from pressopt.surrogate.prediction import (
    ParameterDraws,
    PredictedSpectrum,
    Prediction,
    SensibleLimits,
    weighted_quantiles,
)
from pressopt.surrogate.table import MEASURED_FIELDS, ProtocolTable

Real = npt.NDArray[np.float64]
Face = Callable[..., Real]
Protocols = ProtocolTable | PressingProtocol | Sequence[PressingProtocol]

#: Distance to the melting point that platens of a laboratory press need, K (assumed: gradient and control error).
MELTING_MARGIN_C = 10.0
#: First loading at 1 MPa and 25 °C with no dwell to speak of: what `untouched` means.
UNTOUCHED_MPA, UNTOUCHED_C = 1.0, 25.0
#: Relative change that counts as none: rounding.
NO_INFLUENCE = 1e-9
#: Chance of failure that the sensible limits allow.
RARE = 0.01


class Surrogate:
    """Fast physics of one cell.

    Args:
        cell: The cell; metal | electrolyte, metal | interlayer | electrolyte, either with a composite electrode
            and with collectors at its ends, or metal | collector.
        catalogue: Materials; the shipped catalogue when ``None``.
        roll_radius_mm: Radius of the rolls, mm; the catalogue's (assumed) when ``None``.
        cycled_mah_cm2: Charge of one half-cycle in service, mAh/cm²; that of the published times to short when
            ``None``.

    Raises:
        InputError: Layers that it cannot describe.
        MaterialError: A material that is unknown, or whose data are missing; every missing field is named.
    """

    def __init__(
        self,
        cell: Cell,
        catalogue: Catalogue | None = None,
        *,
        roll_radius_mm: float | None = None,
        cycled_mah_cm2: float | None = None,
    ) -> None:
        given = {"roll_radius_mm": roll_radius_mm, "cycled_mah_cm2": cycled_mah_cm2}
        wrong = [
            Violation(name, f"{value} is not allowed: give a positive number")
            for name, value in given.items()
            if value is not None and not (math.isfinite(value) and value > 0)
        ]
        if wrong:
            raise InputError(wrong)
        self.cell = cell
        self._physics = describe(
            cell,
            catalogue or Catalogue.load(),
            order=_core.physics_parameters(),
            roll_radius_mm=roll_radius_mm,
            cycled_mah_cm2=cycled_mah_cm2,
        )
        self._nominal = np.array([parameter.nominal for parameter in self._physics.parameters])
        self._uncertain = np.array([p.uncertain for p in self._physics.parameters])

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The uncertain parameters, each with its prior, source and confidence."""
        return tuple(p for p in self._physics.parameters if p.uncertain)

    @property
    def settled(self) -> tuple[Parameter, ...]:
        """The parameters that the cell states, or that are exact."""
        return tuple(p for p in self._physics.parameters if not p.uncertain)

    @property
    def assumed(self) -> tuple[str, ...]:
        """Names of the inputs that nobody has measured."""
        return tuple(p.name for p in self._physics.parameters if p.confidence is Confidence.ASSUMED)

    @property
    def qualities(self) -> tuple[str, ...]:
        """Names of all qualities, in the order of :meth:`slopes`; a cell has not all of them."""
        return tuple(_core.physics_qualities())

    def prior(self, draws: int, seed: int = 0) -> ParameterDraws:
        """``draws`` equally likely draws of the uncertain parameters; the same for the same seed."""
        if draws < 1:
            raise InputError((Violation("draws", f"{draws} is not allowed: give at least 1"),))
        # One parameter after the other, so that one more at the end leaves the draws of the others as they are.
        standard = np.random.default_rng(seed).standard_normal((len(self.parameters), draws)).T
        return self._draws(standard, np.full(draws, -math.log(draws)))

    def predict(
        self,
        protocols: Protocols,
        *,
        draws: int = 0,
        seed: int = 0,
        parameters: ParameterDraws | None = None,
    ) -> Prediction:
        """Predict the quality of each protocol.

        Args:
            protocols: One protocol, several of one shape, or a table of ``n``.
            draws: How many parameter draws from the prior to predict with; 0: nominal values only.
            seed: Seed of those draws.
            parameters: Use these draws (from :meth:`calibrate`) instead; nominal values then are their median.

        Raises:
            InputError: A setting that is not allowed, named; melting is one.
        """
        table = as_table(protocols)
        rows, weight, posterior = self._sampled(draws, seed, parameters)
        outcomes = self.outcomes(rows, table)
        time_s = table.press_time_s(self._physics.web_mm)
        outcomes["press_time_s"] = np.broadcast_to(time_s, (len(rows), len(table)))
        return self._prediction(outcomes, weight, posterior)

    def elements(
        self,
        protocols: Protocols,
        *,
        draws: int = 0,
        seed: int = 0,
        parameters: ParameterDraws | None = None,
    ) -> Prediction:
        """What stands behind the qualities of each protocol: see :data:`pressopt.surrogate.ELEMENTS`.

        The resistances add up to the qualities exactly: ``bulk + boundary + interfaces x (interlayer + joint +
        constriction + transfer + interphase) + collector + back + composite`` is the whole cell. Arguments as in
        :meth:`predict`.

        Raises:
            InputError: A setting that is not allowed, named; a lamination, which has no electrolyte.
        """
        table = as_table(protocols)
        if self._physics.lamination:
            raise InputError((Violation("layers", "a lamination has no electrolyte: give a cell with one"),))
        rows, weight, posterior = self._sampled(draws, seed, parameters)
        found = self._ask(_core.predict_elements, rows, table, None)
        return self._prediction(dict(zip(_core.physics_elements(), found, strict=True)), weight, posterior)

    def spectrum(
        self,
        protocols: Protocols,
        frequency_hz: npt.ArrayLike,
        *,
        draws: int = 0,
        seed: int = 0,
        parameters: ParameterDraws | None = None,
    ) -> PredictedSpectrum:
        """Impedance of each cell after its protocol, whole cell and one interface apart.

        Args:
            protocols: As in :meth:`predict`, ``n`` of them.
            frequency_hz: Shape (f,), Hz, positive.
            draws: Parameter draws from the prior to predict with, beside the nominal values.
            seed: Seed of those draws.
            parameters: Use these draws (from :meth:`calibrate`) instead.
        """
        frequency = np.atleast_1d(np.asarray(frequency_hz, dtype=np.float64))
        if frequency.ndim != 1 or not (np.isfinite(frequency) & (frequency > 0)).all():
            raise InputError((Violation("frequency_hz", "give positive, finite frequencies in one row"),))
        table = as_table(protocols)
        elements = self.elements(table, draws=draws, seed=seed, parameters=parameters)
        names = _core.physics_elements()
        nominal = np.stack([elements.nominal[name] for name in names])[:, None, :]
        drawn = np.stack([elements.draws[name] for name in names])
        columns = np.concatenate([nominal, drawn], axis=1)
        parts = _core.element_spectra(self._kind(table), columns, np.ascontiguousarray(frequency))
        cell, interface = parts[0] + 1j * parts[1], parts[2] + 1j * parts[3]
        return PredictedSpectrum(frequency, cell[0], interface[0], cell[1:], interface[1:], elements)

    def _sampled(self, draws: int, seed: int, parameters: ParameterDraws | None) -> tuple[Real, Real, bool]:
        """Rows to predict with (nominal first), weights of the others, and whether they are a posterior."""
        if parameters is None and draws:
            parameters = self.prior(draws, seed)
        nominal = self._nominal[None, :]
        if parameters is None:
            return nominal, np.empty(0), False
        return np.concatenate([nominal, self._rows(parameters)]), parameters.weight, bool(parameters.identified)

    def _prediction(self, values: Mapping[str, Real], weight: Real, posterior: bool) -> Prediction:
        drawn = {name: value[1:] for name, value in values.items()}
        nominal = {name: value[0] for name, value in values.items()}
        if posterior:
            # Posteriors are curved: the mean of the parameters need not predict the data; the median does.
            nominal = {name: weighted_quantiles(value, weight, [0.5])[0] for name, value in drawn.items()}
        return Prediction(nominal, drawn, weight, self.assumed)

    def outcomes(self, rows: Real, table: ProtocolTable, *, threads: int | None = None) -> dict[str, Real]:
        """Per quality, shape (draws, n), for full parameter rows of shape (draws, all parameters)."""
        found = self._ask(_core.predict_qualities, rows, table, threads)
        present = self._present(table)
        return {
            name: values for name, values in zip(_core.physics_qualities(), found, strict=True) if name in present
        }

    def _ask(self, face: Face, rows: Real, table: ProtocolTable, threads: int | None) -> Real:
        """Shape (numbers, draws, n) of one of the core's faces."""
        try:
            return face(
                self._kind(table), np.ascontiguousarray(rows), table.stages, table.measured, threads=threads
            )
        except ValueError as error:
            raise refusal(error) from error

    def influence(self, protocols: Protocols, *, elements: bool = False) -> dict[str, dict[str, float]]:
        """How far each quality moves when one uncertain parameter moves by a standard deviation of its prior.

        Args:
            protocols: Where.
            elements: The same of each element (:meth:`elements`) too.

        Returns:
            Per quantity and parameter: the largest change over the protocols, of the logarithm where the quantity
            is positive at both ends, else of the value. Parameters without influence are left out.
        """
        table = as_table(protocols)
        count = len(self.parameters)
        rows = self.rows_at(np.vstack([np.zeros(count), np.eye(count)]))
        outcomes = self.outcomes(rows, table)
        if elements and not self._physics.lamination:
            found = self._ask(_core.predict_elements, rows, table, None)
            outcomes |= dict(zip(_core.physics_elements(), found, strict=True))
        result: dict[str, dict[str, float]] = {}
        for quantity, values in outcomes.items():
            positive = (values[0] > 0) & (values[1:] > 0) & np.isfinite(values[0])
            with np.errstate(divide="ignore", invalid="ignore"):
                change = np.where(positive, np.log(values[1:] / values[0]), values[1:] - values[0])
            change = np.nan_to_num(change)  # a life without end does not change
            largest = np.abs(change).max(axis=1)
            result[quantity] = {
                parameter.name: float(size)
                for parameter, size in zip(self.parameters, largest, strict=True)
                if size > NO_INFLUENCE
            }
        return result

    def assumed_behind(self, protocols: Protocols, *, elements: bool = False) -> dict[str, tuple[str, ...]]:
        """Per quality (and element): the assumed inputs that it depends on, the most influential first."""
        assumed = set(self.assumed)
        return {
            quantity: tuple(sorted(assumed & sizes.keys(), key=sizes.__getitem__, reverse=True))
            for quantity, sizes in self.influence(protocols, elements=elements).items()
        }

    def gradients(self, protocols: Protocols) -> dict[str, dict[str, Real]]:
        """Exact derivatives of the nominal prediction by every setting.

        Returns:
            Per quantity and setting: shape (n, s) for a stage's setting, (n,) for one of the measurement.
        """
        table = as_table(protocols)
        try:
            found = _core.setting_gradients(
                self._kind(table), self._nominal[None, :].copy(), table.stages, table.measured
            )
        except ValueError as error:
            raise refusal(error) from error
        count, stages = table.stages.shape[:2]
        result: dict[str, dict[str, Real]] = {}
        for index, name in enumerate(_core.physics_qualities()):
            if name in self._present(table):
                by_stage = found[:, index, : 4 * stages].reshape(count, stages, 4)
                settings = {field: by_stage[:, :, i] for i, field in enumerate(table.stage_fields)}
                measured = {field: found[:, index, 4 * stages + i] for i, field in enumerate(MEASURED_FIELDS)}
                result[name] = {**settings, **measured}
        return result

    def parameter_gradients(
        self, protocols: Protocols, *, parameters: ParameterDraws | None = None
    ) -> dict[str, dict[str, Real]]:
        """Exact derivatives of the prediction by every uncertain parameter, in its own unit.

        Args:
            protocols: Where, ``n`` of them.
            parameters: At these draws; at the nominal values when ``None``.

        Returns:
            Per quality and parameter: shape (n,), or (draws, n) for ``parameters``.
        """
        table = as_table(protocols)
        rows = self._nominal[None, :].copy() if parameters is None else self._rows(parameters)
        found = self.slopes(rows, table)
        if parameters is None:
            found = found[0]
        present = self._present(table)
        return {
            quality: {p.name: found[..., index, i] for i, p in enumerate(self.parameters)}
            for index, quality in enumerate(_core.physics_qualities())
            if quality in present
        }

    def slopes(self, rows: Real, table: ProtocolTable) -> Real:
        """Shape (draws, n, qualities, uncertain parameters): exact derivatives at full parameter rows."""
        by = np.flatnonzero(self._uncertain).tolist()
        try:
            return _core.parameter_gradients(
                self._kind(table), np.ascontiguousarray(rows), table.stages, table.measured, by
            )
        except ValueError as error:
            raise refusal(error) from error

    def untouched(self, *, draws: int = 0, seed: int = 0, parameters: ParameterDraws | None = None) -> Prediction:
        """The cell as put together: first loading at 1 MPa and 25 °C, measured there at once."""
        table = ProtocolTable.platen(
            pressure_mpa=UNTOUCHED_MPA,
            ramp_mpa_s=UNTOUCHED_MPA,
            dwell_s=0.0,
            temperature_c=UNTOUCHED_C,
            measure_at_mpa=UNTOUCHED_MPA,
            measure_at_c=UNTOUCHED_C,
            settle_s=1.0,
        )
        return self.predict(table, draws=draws, seed=seed, parameters=parameters)

    def calibrate(
        self,
        protocols: Protocols,
        measured: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
        *,
        draws: int = 1024,
        seed: int = 0,
    ) -> ParameterDraws:
        """Turn measurements into a posterior of the parameters; see :mod:`pressopt.surrogate.calibration`.

        Args:
            protocols: What was done to the ``n`` measured cells.
            measured: Per quantity, values of shape (n,) in its unit (NaN: not measured) and the standard deviation
                of their logarithm, shape (n,) or one number.
            draws: Size of the sample.
            seed: The result is a function of the data and this seed.
        """
        from pressopt.surrogate.calibration import calibrate

        return calibrate(self, as_table(protocols), measured, draws=draws, seed=seed)

    def limits(self) -> SensibleLimits:
        """Melting margin and the pressures at which failures begin, by the nominal parameters."""
        value = {p.name: p.nominal for p in self._physics.parameters}
        melting = self._physics.melting_c
        short = crack = None
        if not self._physics.lamination:
            pressure = np.geomspace(0.5, 2000.0, 400)
            stages = [pressure]
            if self._physics.powder:
                # The metal goes on a pellet of usual density.
                stages = [np.full_like(pressure, self._physics.forming_mpa(value)), pressure]
            table = ProtocolTable.platen(
                pressure_mpa=np.stack(stages, axis=1),
                ramp_mpa_s=1e3,
                dwell_s=60.0,
                temperature_c=25.0,
                measure_at_mpa=0.0,
            )
            chance = self.predict(table).nominal["short_probability"]
            short = float(pressure[np.argmax(chance > RARE)]) if chance.max() > RARE else None
            weaker = math.exp(
                value["strength_density"] * (value["thickness_density"] - value["conductivity_density"])
            )
            crack = value["crack_mpa"] * weaker * (-math.log1p(-RARE)) ** (1 / value["weibull_modulus"])
        return SensibleLimits(melting, melting - MELTING_MARGIN_C, MELTING_MARGIN_C, short, crack)

    def rows_at(self, standard: Real) -> Real:
        """Full parameter rows for standard-normal numbers of shape (draws, uncertain parameters)."""
        rows = np.repeat(self._nominal[None, :], len(standard), axis=0)
        rows[:, self._uncertain] = np.stack([p.at(standard[:, i]) for i, p in enumerate(self.parameters)], axis=1)
        return rows

    def _draws(self, standard: Real, log_weight: Real) -> ParameterDraws:
        names = tuple(p.name for p in self.parameters)
        return ParameterDraws(names, self.rows_at(standard)[:, self._uncertain], log_weight)

    def _rows(self, parameters: ParameterDraws) -> Real:
        expected = tuple(p.name for p in self.parameters)
        if parameters.names != expected:
            raise InputError((Violation("parameters", "these draws belong to another cell or catalogue"),))
        rows = np.repeat(self._nominal[None, :], len(parameters.values), axis=0)
        rows[:, self._uncertain] = parameters.values
        return rows

    def _formation(self, table: ProtocolTable) -> bool:
        return self._physics.powder and table.stages.shape[1] > 1

    def _kind(self, table: ProtocolTable) -> _core.CellKind:
        if table.rolled and not self._physics.lamination:
            raise InputError(
                (Violation("stages", "rolls laminate foils; a cell with an electrolyte goes between platens"),)
            )
        return _core.CellKind(
            lamination=self._physics.lamination,
            rolled=table.rolled,
            formation=self._formation(table),
            interfaces=self._physics.interfaces,
            melting_c=self._physics.melting_c,
            compaction=self._physics.compaction,
            composite_compaction=self._physics.composite_compaction,
        )

    def _present(self, table: ProtocolTable) -> frozenset[str]:
        if self._physics.lamination:
            return frozenset({"contact_resistance_mohm_cm2", "hot_spot_factor", "extrusion_fraction"})
        absent = {"contact_resistance_mohm_cm2"}
        layered = any(p.name == "interlayer_um" and p.nominal > 0 for p in self._physics.parameters)
        if not (layered or self._formation(table)):
            absent.add("damage_probability")
        return frozenset(_core.physics_qualities()) - absent


def as_table(protocols: Protocols) -> ProtocolTable:
    """Whatever holds protocols, as a table."""
    if isinstance(protocols, ProtocolTable):
        return protocols
    return ProtocolTable.from_protocols([protocols] if isinstance(protocols, PressingProtocol) else protocols)


def refusal(error: ValueError) -> InputError:
    """The core's refusal (``field: what is wrong; field: ...``) as ours, one violation per field."""
    violations = []
    for part in str(error).split("; "):
        where, colon, message = part.partition(": ")
        violations.append(Violation(where, message) if colon else Violation("", part))
    return InputError(violations)
