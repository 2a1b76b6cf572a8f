"""The loop under a Bluesky RunEngine: press and analyser as one ophyd-style device, and a plan around them.

A beamline adds its own detectors to the plan, so that every cell is pressed, measured by us and looked at by them
in one run, with one stream of documents (extra ``beamline``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pressopt.campaign.experiment import Experiment
from pressopt.campaign.laboratory import Laboratory
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.measuring import judged
from pressopt.campaign.replay import TrialState
from pressopt.errors import InputError
from pressopt.export.frames import extra
from pressopt.export.wording import quantity_unit
from pressopt.optimizer import Measurement, Observation, Recommender, Settings
from pressopt.pressing.execution import check_protocol, execute, finish

#: What a failed cell reads: a number that no analysis takes for a resistance.
_NOT_MEASURED = float("nan")


class Finished:
    """A status that is done: pressing and measuring return when they are over, or raise."""

    done = True
    success = True

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error
        self.success = error is None

    def add_callback(self, callback: Callable[[Finished], None]) -> None:
        """Call at once: it is over."""
        callback(self)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what went wrong, or None."""
        return self._error


class CellStation:
    """A press with its analyser, as Bluesky sees a device: ``set`` presses a cell, ``trigger`` measures it.

    Args:
        experiment: Cell, protocol and sweep.
        laboratory: The wired press and analyser; those of the twin as well as of a bench.
        name: Prefix of all fields.

    Raises:
        InputError: The laboratory has no press or no analyser.
    """

    def __init__(self, experiment: Experiment, laboratory: Laboratory, name: str = "cell") -> None:
        if laboratory.press is None or laboratory.analyzer is None:
            raise InputError("a cell station needs a press and an impedance analyser")
        self.name, self.parent = name, None
        self._experiment, self._press, self._analyzer = experiment, laboratory.press, laboratory.analyzer
        self._clock, self._changer = laboratory.clock, laboratory.changer
        self._quantities = tuple(goal.quantity for goal in experiment.objectives if goal.source == "measured")
        self._trial = TrialState(0)
        self._found: Observation | None = None

    # ------------------------------------------------------------------ what Bluesky calls

    def stage(self) -> list[CellStation]:
        """Nothing is held from one run to the next."""
        return [self]

    def unstage(self) -> list[CellStation]:
        """Open the press, whatever happened."""
        finish(self._press, self._clock)
        return [self]

    def stop(self, *, success: bool = False) -> None:
        """Make everything safe when a run is aborted."""
        if not success:
            self._press.make_safe()
            self._analyzer.make_safe()

    def set(self, settings: Settings) -> Finished:
        """Press the next cell with these settings; refused, with all reasons, before anything moves.

        Raises:
            LimitError: Press, die or experiment do not allow it.
        """
        protocol = self._experiment.protocol(settings)
        check_protocol(protocol, self._experiment.cell, self._experiment.limits, self._press.capability)
        finish(self._press, self._clock)
        number = self._trial.number + 1
        if self._changer is not None:
            self._changer.load(number)
        record = execute(self._press, self._clock, protocol, self._experiment.cell, self._experiment.limits)
        self._trial = TrialState(
            number,
            Phase.MEASURING,
            settings=dict(settings),
            achieved=self._experiment.achieved_settings(record, settings),
            held_mpa=record.held_mpa,
            held_c=record.held_c,
            deviations=record.deviations,
        )
        self._found = None
        return Finished()

    def trigger(self) -> Finished:
        """Measure the cell under the press and judge its spectrum."""
        spectrum = self._analyzer.measure(self._experiment.sweep)
        said = judged(self._experiment, self._trial, spectrum, None)
        self._found = Observation(
            self._trial.number,
            self._trial.settings,
            achieved=self._trial.achieved,
            outcomes={name: Measurement(*pair) for name, pair in said.outcomes.items()},
            failures=frozenset(said.failures),
            blameless=frozenset(said.blameless),
        )
        return Finished()

    def read(self) -> dict[str, dict[str, Any]]:
        """Return settings, what was achieved, and the results; a failed cell reads NaN and its failure."""
        found = self.observation
        now = self._clock.now_s()
        values: dict[str, Any] = {}
        for name in self._experiment.space.names:
            values[f"asked.{name}"] = found.settings[name]
            values[f"achieved.{name}"] = found.achieved.get(name, found.settings[name])
        for name in self._quantities:
            outcome = found.outcomes.get(name)
            values[name] = _NOT_MEASURED if outcome is None else outcome.value
            values[f"{name}.sd"] = _NOT_MEASURED if outcome is None else outcome.sd
        values["failures"] = " ".join(sorted(found.failures))
        return _stamped(self.name, values, now)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return type, unit and source of every field of :meth:`read`."""
        units = {variable.name: variable.unit for variable in self._experiment.space.variables}
        found: OrderedDict[str, dict[str, Any]] = OrderedDict()
        press, analyser = self._press.capability.name, self._analyzer.capability.name
        for name in self._experiment.space.names:
            for kind in ("asked", "achieved"):
                found[_field(self.name, f"{kind}.{name}")] = _key(f"press:{press}", units[name])
        for name in self._quantities:
            for key in (name, f"{name}.sd"):
                found[_field(self.name, key)] = _key(f"analyser:{analyser}", quantity_unit(name))
        found[_field(self.name, "failures")] = {"source": f"analyser:{analyser}", "dtype": "string", "shape": []}
        return found

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Return what stays the same in a run: die and experiment."""
        now = self._clock.now_s()
        values = {"die_diameter_mm": self._experiment.cell.die.diameter_mm, "experiment": self._experiment.digest}
        return _stamped(self.name, values, now)

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Return type and unit of :meth:`read_configuration`."""
        return OrderedDict(
            {
                _field(self.name, "die_diameter_mm"): _key("experiment", "mm"),
                _field(self.name, "experiment"): {"source": "experiment", "dtype": "string", "shape": []},
            }
        )

    @property
    def observation(self) -> Observation:
        """The last cell as the optimizer sees it.

        Raises:
            InputError: No cell has been measured.
        """
        if self._found is None:
            raise InputError("no cell has been measured: set and trigger first")
        return self._found


def pressing_plan(
    station: CellStation,
    recommender: Recommender,
    *,
    cells: int,
    detectors: Sequence[Any] = (),
    history: Sequence[Observation] = (),
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[Any]:
    """Return a plan for a RunEngine: ask, press, measure, tell, ``cells`` times, in one run.

    Args:
        station: Press and analyser.
        recommender: Proposes; a function of the history alone.
        cells: How many.
        detectors: The beamline's own, triggered and read with every cell.
        history: Trials from before.
        metadata: For the start document.

    Raises:
        ExtraMissing: bluesky is not installed.
    """
    stubs = extra("bluesky.plan_stubs", "beamline")
    wrap = extra("bluesky.preprocessors", "beamline")
    told = list(history)
    start = {"plan_name": "pressing_plan", "strategy": recommender.strategy, "seed": recommender.seed}

    @wrap.stage_decorator([station, *detectors])  # type: ignore[untyped-decorator]
    @wrap.run_decorator(md={**start, **(metadata or {})})  # type: ignore[untyped-decorator]
    def inner() -> Iterator[Any]:
        for _ in range(cells):
            (proposal,) = recommender.ask(told)
            yield from stubs.abs_set(station, dict(proposal.settings), wait=True)
            yield from stubs.trigger_and_read([station, *detectors])
            told.append(station.observation)

    return inner()  # type: ignore[no-any-return]


def _stamped(name: str, values: Mapping[str, Any], now_s: float) -> dict[str, dict[str, Any]]:
    return OrderedDict((_field(name, key), {"value": value, "timestamp": now_s}) for key, value in values.items())


def _field(name: str, key: str) -> str:
    """Name of a field: Bluesky's documents allow no dots in them."""
    return f"{name}_{key}".replace(".", "_")


def _key(source: str, unit: str) -> dict[str, Any]:
    return {"source": source, "dtype": "number", "shape": [], "units": unit}
