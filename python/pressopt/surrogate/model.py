"""The surrogate of one cell: predictions over protocols and parameter draws, calibration, limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pressopt import _core
from pressopt.errors import InputError, Violation
from pressopt.materials import Catalogue, Confidence
from pressopt.pressing import Cell, PressingProtocol
from pressopt.surrogate.parameters import Parameter, describe
from pressopt.surrogate.prediction import ParameterDraws, Prediction, SensibleLimits, weighted_quantiles
from pressopt.surrogate.table import MEASURED_FIELDS, ProtocolTable

Real = npt.NDArray[np.float64]
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
        cell: The cell; metal | electrolyte, metal | interlayer | electrolyte, or metal | collector.
        catalogue: Materials; the shipped catalogue when ``None``.
        roll_radius_mm: Radius of the rolls, mm; the catalogue's (assumed) when ``None``.

    Raises:
        InputError: Layers that it cannot describe.
        MaterialError: A material that is unknown, or whose data are missing; every missing field is named.
    """

    def __init__(
        self, cell: Cell, catalogue: Catalogue | None = None, *, roll_radius_mm: float | None = None
    ) -> None:
        if roll_radius_mm is not None and not (math.isfinite(roll_radius_mm) and roll_radius_mm > 0):
            raise InputError(
                (Violation("roll_radius_mm", f"{roll_radius_mm} is not allowed: give a positive number"),)
            )
        self.cell = cell
        order = _core.physics_parameters()
        self._physics = describe(cell, catalogue or Catalogue.load(), roll_radius_mm=roll_radius_mm, order=order)
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

    def prior(self, draws: int, seed: int = 0) -> ParameterDraws:
        """``draws`` equally likely draws of the uncertain parameters; the same for the same seed."""
        if draws < 1:
            raise InputError((Violation("draws", f"{draws} is not allowed: give at least 1"),))
        standard = np.random.default_rng(seed).standard_normal((draws, len(self.parameters)))
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
        if parameters is None and draws:
            parameters = self.prior(draws, seed)
        rows = self._nominal[None, :]
        weight = np.empty(0)
        if parameters is not None:
            rows = np.concatenate([rows, self._rows(parameters)])
            weight = parameters.weight
        outcomes = self.outcomes(rows, table)
        press_time_s = table.press_time_s(self._physics.web_mm)
        drawn = {name: values[1:] for name, values in outcomes.items()}
        nominal = {name: values[0] for name, values in outcomes.items()}
        if parameters is not None and parameters.identified:
            # Posteriors are curved: the mean of the parameters need not predict the data; the median does.
            nominal = {name: weighted_quantiles(values, weight, [0.5])[0] for name, values in drawn.items()}
        nominal["press_time_s"] = press_time_s
        drawn["press_time_s"] = np.broadcast_to(press_time_s, (weight.size, len(table)))
        return Prediction(nominal, drawn, weight, self.assumed)

    def outcomes(self, rows: Real, table: ProtocolTable, *, threads: int | None = None) -> dict[str, Real]:
        """Per quantity, shape (draws, n), for full parameter rows of shape (draws, all parameters)."""
        try:
            found = _core.predict_outcomes(
                self._kind(table), np.ascontiguousarray(rows), table.stages, table.measured, threads=threads
            )
        except ValueError as error:
            raise refusal(error) from error
        return {
            name: np.ascontiguousarray(found[:, :, index])
            for index, name in enumerate(_core.physics_quantities())
            if name in self._present(table)
        }

    def influence(self, protocols: Protocols) -> dict[str, dict[str, float]]:
        """How far each quantity moves when one uncertain parameter moves by a standard deviation of its prior.

        Returns:
            Per quantity and parameter: the largest change over the protocols, of the logarithm where the quantity
            is positive at both ends, else of the value. Parameters without influence are left out.
        """
        table = as_table(protocols)
        count = len(self.parameters)
        outcomes = self.outcomes(self.rows_at(np.vstack([np.zeros(count), np.eye(count)])), table)
        result: dict[str, dict[str, float]] = {}
        for quantity, values in outcomes.items():
            positive = (values[0] > 0) & (values[1:] > 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                change = np.where(positive, np.log(values[1:] / values[0]), values[1:] - values[0])
            largest = np.abs(change).max(axis=1)
            result[quantity] = {
                parameter.name: float(size)
                for parameter, size in zip(self.parameters, largest, strict=True)
                if size > NO_INFLUENCE
            }
        return result

    def assumed_behind(self, protocols: Protocols) -> dict[str, tuple[str, ...]]:
        """Per quantity: the assumed inputs that it depends on, the most influential first."""
        assumed = set(self.assumed)
        return {
            quantity: tuple(sorted(assumed & sizes.keys(), key=sizes.__getitem__, reverse=True))
            for quantity, sizes in self.influence(protocols).items()
        }

    def gradients(self, protocols: Protocols) -> dict[str, dict[str, Real]]:
        """Exact derivatives of the nominal prediction by every setting.

        Returns:
            Per quantity and setting: shape (n, s) for a stage's setting, (n,) for one of the measurement.
        """
        table = as_table(protocols)
        try:
            found = _core.outcome_gradients(
                self._kind(table), self._nominal[None, :].copy(), table.stages, table.measured
            )
        except ValueError as error:
            raise refusal(error) from error
        count, stages = table.stages.shape[:2]
        result: dict[str, dict[str, Real]] = {}
        for index, name in enumerate(_core.physics_quantities()):
            if name in self._present(table):
                by_stage = found[:, index, : 4 * stages].reshape(count, stages, 4)
                settings = {field: by_stage[:, :, i] for i, field in enumerate(table.stage_fields)}
                measured = {field: found[:, index, 4 * stages + i] for i, field in enumerate(MEASURED_FIELDS)}
                result[name] = {**settings, **measured}
        return result

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
                # The metal goes on a pellet of usual density, formed at the pressure that Heckel's line says.
                gap = (1 - value["tap_density"]) / (1 - value["thickness_density"])
                stages = [np.full_like(pressure, value["heckel_mpa"] * math.log(gap)), pressure]
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

    @property
    def interface_capacitance_f_cm2(self) -> float:
        """Capacitance of the interfacial arc per real contact area, F/cm²; NaN for a lamination."""
        return self._physics.capacitance_f_cm2

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
        )

    def _present(self, table: ProtocolTable) -> frozenset[str]:
        if self._physics.lamination:
            return frozenset({"contact_resistance_mohm_cm2", "hot_spot_factor", "extrusion_fraction"})
        absent = {"contact_resistance_mohm_cm2"}
        layered = any(p.name == "interlayer_um" and p.nominal > 0 for p in self._physics.parameters)
        if not (layered or self._formation(table)):
            absent.add("damage_probability")
        return frozenset(_core.physics_quantities()) - absent


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
