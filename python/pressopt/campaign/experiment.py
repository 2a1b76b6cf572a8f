"""An experiment as a value: what a checked experiment file says, and the protocols that its settings stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, Violation
from pressopt.impedance.cycling import CyclingPlan
from pressopt.impedance.spectrum import Sweep
from pressopt.optimizer import DesignSpace, Objective, OutcomeConstraint, Settings, Source
from pressopt.pressing import Cell, Limits, PressingProtocol, PressRecord, RollStage, SafeState, Stage

Real = npt.NDArray[np.float64]

#: The name under which the state of the measurement is searched: ``stack.pressure_mpa``.
STACK = "stack"
#: "Untouched" means first loading at this pressure, MPa, and temperature, °C, without dwell.
UNTOUCHED_MPA = 1.0
UNTOUCHED_C = 25.0
#: Names of the settings of a stage, between platens and through a nip.
PLATEN_SETTINGS = ("pressure_mpa", "ramp_mpa_s", "dwell_s", "temperature_c")
ROLLER_SETTINGS = ("line_force_n_mm", "speed_mm_s", "passes", "temperature_c")


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage as the file describes it: what is fixed, and which variable stands for what is searched.

    Attributes:
        name: Name of the stage.
        kind: Between platens, or through a nip.
        fixed: Settings that are given, by name with unit (``dwell_s``).
        searched: Settings that are varied, by name with unit, with the name of the variable.
        on_abort: What the press does when this stage is broken off.
    """

    name: str
    kind: Literal["platen", "roller"]
    fixed: Mapping[str, float]
    searched: Mapping[str, str]
    on_abort: SafeState = SafeState.RELEASE

    def value(self, setting: str, settings: Settings) -> float:
        """The value of one setting of this stage, given the values of all variables."""
        return self.fixed[setting] if setting in self.fixed else float(settings[self.searched[setting]])

    def stage(self, settings: Settings) -> Stage | RollStage:
        """The stage at these values."""
        if self.kind == "roller":
            return RollStage(
                name=self.name,
                line_force_n_mm=self.value("line_force_n_mm", settings),
                speed_mm_s=self.value("speed_mm_s", settings),
                passes=round(self.value("passes", settings)),
                temperature_c=self.value("temperature_c", settings),
            )
        return Stage(
            name=self.name,
            pressure_mpa=self.value("pressure_mpa", settings),
            ramp_mpa_s=self.value("ramp_mpa_s", settings),
            dwell_s=self.value("dwell_s", settings),
            temperature_c=self.value("temperature_c", settings),
            on_abort=self.on_abort,
        )


@dataclass(frozen=True, slots=True)
class MeasurementPlan:
    """The state in which a cell is measured, and by what.

    Attributes:
        kind: An impedance spectrum, or a four-wire resistance.
        pressure_mpa: Pressure on the sample, MPa; 0: released; ``None``: searched, as ``stack.pressure_mpa``.
        temperature_c: Temperature, °C.
        settle_s: Waiting time at that state, s.
        release_mpa_s: Rate at which pressure is taken off, MPa/s.
        readings: Readings of the four-wire meter that are averaged.
    """

    kind: Literal["impedance", "four-wire"]
    pressure_mpa: float | None
    temperature_c: float
    settle_s: float
    release_mpa_s: float
    readings: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """When a campaign ends before its budget is spent.

    Attributes:
        target_reached: Once the recommended settings are expected to meet every target.
        expected_gain_below: Once one more trial is expected to improve the result by less than this share.
    """

    target_reached: bool = False
    expected_gain_below: float | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """How many cells may be spent.

    Attributes:
        trials: Cells in all.
        initial: Space-filling trials before the strategy is asked; ``None``: as many as suit the strategy.
        replicates: Cells for each setting; ``None``: the model repeats settings where noise limits.
        stopping: When to end before.
        cell_cost: What one cell costs, in any unit; ``None``: trials cost the same, whatever their settings.
        hour_cost: What one hour of the press costs, in the same unit.
        heating_k_min: How fast platens heat, and cool, K/min.
    """

    trials: int
    initial: int | None = None
    replicates: int | None = None
    stopping: Stopping = field(default_factory=Stopping)
    cell_cost: float | None = None
    hour_cost: float = 0.0
    heating_k_min: float = 5.0


#: Cells that one piece of foil usually serves (assumed).
CELLS_PER_BATCH = 8


@dataclass(frozen=True, slots=True)
class StrategyPlan:
    """How trials are chosen.

    Attributes:
        name: Name of the engine.
        risk: Largest allowed predicted probability of a short, kept from the first trial on; ``None``: no bound.
        cells_per_batch: How many cells share a foil, so that their readings err together; 0: that does not matter.
    """

    name: str = "physics-gp"
    risk: float | None = None
    cells_per_batch: int = CELLS_PER_BATCH


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a laboratory.

    Attributes:
        profile: Name of a profile that comes with pressopt, or path of a profile file.
        url: Where it is connected (``/dev/serial/by-id/...``, ``tcp://192.168.0.20:502``); ``None``: as the
            profile says, or where the twin serves it.
    """

    profile: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class LaboratoryPlan:
    """Where the campaign runs.

    Attributes:
        kind: The virtual laboratory, or a real bench.
        seed: Seed of the twin's hidden truth; of no meaning on a bench.
        loading: Whether a person confirms each cell, or a changer loads it.
        press, laminator: What works on the cell; one of the two.
        analyzer, meter: What measures it; one of the two.
        cycler: What cycles it afterwards, where the experiment asks for that.
    """

    kind: Literal["twin", "bench"]
    seed: int
    loading: Literal["automatic", "person"]
    press: Device | None = None
    laminator: Device | None = None
    analyzer: Device | None = None
    meter: Device | None = None
    cycler: Device | None = None


@dataclass(frozen=True)
class Experiment:
    """A campaign's file, read and checked.

    Attributes:
        name: Name of the file without ending: also that of the campaign.
        title: One line for people.
        goal: What is wanted, in words.
        path: The file; where paths inside the file start from.
        text: Its exact text.
        digest: SHA-256 of the text in UTF-8, hexadecimal.
        seed: Seed of all choices of the campaign.
        cell: What is pressed.
        stages: How, in order.
        space: What is varied.
        objectives: What is to improve.
        constraints: Outcomes that have to stay within bounds.
        sweep: What the impedance analyser is asked.
        measurement: In which state, and by what, a cell is measured.
        budget: How many cells may be spent.
        strategy: How trials are chosen.
        laboratory: Where it runs.
        limits: The most that this experiment allows.
        materials_file: Materials of the user, beside the catalogue.
        cycling: What a cell goes through after its measurement, for critical current or life.
        sources: What was learned elsewhere, on related cells.
    """

    name: str
    title: str
    goal: str
    path: Path
    text: str
    digest: str
    seed: int
    cell: Cell
    stages: tuple[StagePlan, ...]
    space: DesignSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[OutcomeConstraint, ...]
    sweep: Sweep
    measurement: MeasurementPlan
    budget: Budget
    strategy: StrategyPlan
    laboratory: LaboratoryPlan
    limits: Limits
    materials_file: Path | None = None
    cycling: CyclingPlan | None = None
    sources: tuple[Source, ...] = ()

    @property
    def rolled(self) -> bool:
        """Whether cells go through a laminator instead of a press."""
        return self.stages[0].kind == "roller"

    def protocol(self, settings: Settings) -> PressingProtocol:
        """The pressing programme that these settings stand for.

        Args:
            settings: A value for each variable of :attr:`space`, such as ``lamination.pressure_mpa``.

        Raises:
            InputError: A setting is missing, unknown or no finite number; all of them at once.
        """
        self._check(settings)
        return PressingProtocol(
            stages=tuple(plan.stage(settings) for plan in self.stages),
            measure_at_mpa=self._measured_at_mpa(settings),
            measure_at_c=self.measurement.temperature_c,
            settle_s=self.measurement.settle_s,
            release_mpa_s=self.measurement.release_mpa_s,
        )

    def table(self, settings: Sequence[Settings]) -> dict[str, Real]:
        """Many protocols as arrays, for the surrogate.

        Args:
            settings: n times a value for each variable.

        Returns:
            Shape (n, stages): ``pressure_mpa``, ``ramp_mpa_s``, ``dwell_s``, ``temperature_c``, or for rolls
            ``line_force_n_mm``, ``speed_mm_s``, ``passes``, ``temperature_c``.
            Shape (n,): ``measure_at_mpa``, ``measure_at_c``, ``settle_s``, ``release_mpa_s``.

        Raises:
            InputError: A setting is missing.
        """
        count = len(settings)
        columns = {
            name: np.fromiter((float(one[name]) for one in settings), dtype=np.float64, count=count)
            for name in self._known(settings)
        }
        names = ROLLER_SETTINGS if self.rolled else PLATEN_SETTINGS
        table: dict[str, Real] = {name: np.empty((count, len(self.stages))) for name in names}
        for index, plan in enumerate(self.stages):
            for name in names:
                fixed = plan.fixed.get(name)
                table[name][:, index] = columns[plan.searched[name]] if fixed is None else fixed
        if self.rolled:
            # A model that looks between whole numbers means the nearest one, as `protocol` does.
            table["passes"] = np.rint(table["passes"])
        held_mpa = self.measurement.pressure_mpa
        searched = f"{STACK}.pressure_mpa"
        table["measure_at_mpa"] = columns[searched] if held_mpa is None else np.full(count, held_mpa)
        table["measure_at_c"] = np.full(count, self.measurement.temperature_c)
        table["settle_s"] = np.full(count, self.measurement.settle_s)
        table["release_mpa_s"] = np.full(count, self.measurement.release_mpa_s)
        return table

    def untouched_protocol(self) -> PressingProtocol:
        """The cell as it is without pressing: first loading at 1 MPa and 25 °C, no dwell, measured right there.

        Rolls have no such state: there it is one pass at the lightest force and highest speed of the experiment,
        at 25 °C, measured as the experiment says.
        """
        if self.rolled:
            plan = self.stages[0]
            stage: Stage | RollStage = RollStage(
                name="untouched",
                line_force_n_mm=self._edge(plan, "line_force_n_mm", highest=False),
                speed_mm_s=self._edge(plan, "speed_mm_s", highest=True),
                passes=1,
                temperature_c=UNTOUCHED_C,
            )
            measure_at_mpa = 0.0
        else:
            ramp_mpa_s = self._edge(self.stages[-1], "ramp_mpa_s", highest=False)
            stage = Stage("untouched", UNTOUCHED_MPA, ramp_mpa_s, 0.0, UNTOUCHED_C)
            measure_at_mpa = UNTOUCHED_MPA
        return PressingProtocol(
            stages=(stage,),
            measure_at_mpa=measure_at_mpa,
            measure_at_c=UNTOUCHED_C,
            settle_s=0.0,
            release_mpa_s=self.measurement.release_mpa_s,
        )

    def achieved_settings(self, record: PressRecord, settings: Settings) -> dict[str, float]:
        """What the cell got, under the names of the variables: those that the record can tell.

        Args:
            record: The record of one pressing.
            settings: What was asked.
        """
        by_name = {stage.name: stage for stage in record.stages}
        achieved: dict[str, float] = {}
        for plan in self.stages:
            found = by_name.get(plan.name)
            if found is not None:
                for setting, variable in plan.searched.items():
                    if setting in found.achieved and variable in settings:
                        achieved[variable] = found.achieved[setting]
        if self.measurement.pressure_mpa is None and f"{STACK}.pressure_mpa" in settings:
            achieved[f"{STACK}.pressure_mpa"] = record.held_mpa
        return achieved

    def _measured_at_mpa(self, settings: Settings) -> float:
        held_mpa = self.measurement.pressure_mpa
        return float(settings[f"{STACK}.pressure_mpa"]) if held_mpa is None else held_mpa

    def _edge(self, plan: StagePlan, setting: str, *, highest: bool) -> float:
        """The fixed value of a setting, or one end of its range."""
        if setting in plan.fixed:
            return plan.fixed[setting]
        variable = next(v for v in self.space.variables if v.name == plan.searched[setting])
        return variable.high if highest else variable.low

    def _check(self, settings: Settings) -> None:
        wrong = [
            Violation(name, f"is not varied here: use {', '.join(self.space.names)}")
            for name in settings
            if name not in self.space.names
        ]
        for name in self.space.names:
            value = settings.get(name)
            if value is None:
                wrong.append(Violation(name, "is missing: give a value"))
            elif isinstance(value, str) or not np.isfinite(value):
                wrong.append(Violation(name, f"{value!r} is no finite number: give one"))
        if wrong:
            raise InputError(wrong)

    def _known(self, settings: Sequence[Settings]) -> tuple[str, ...]:
        missing = {name for one in settings for name in self.space.names if name not in one}
        if missing:
            raise InputError([Violation(name, "is missing: give a value") for name in sorted(missing)])
        return self.space.names
