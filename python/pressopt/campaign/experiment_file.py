"""Reads experiment files: from TOML to a checked :class:`Experiment`, or to all that is wrong with it at once."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pressopt.campaign import reach, sense
from pressopt.campaign.elsewhere import read_source
from pressopt.campaign.experiment import (
    CELLS_PER_BATCH,
    PLATEN_SETTINGS,
    ROLLER_SETTINGS,
    STACK,
    Budget,
    Device,
    Experiment,
    LaboratoryPlan,
    MeasurementPlan,
    StagePlan,
    Stopping,
    StrategyPlan,
)
from pressopt.campaign.reading import BAD, Range, Report, read_table
from pressopt.campaign.schema import DEFAULT_PROFILES, FILE, Node, Rows, Table, Variants, spellings_of
from pressopt.campaign.sense import Draft
from pressopt.errors import ExperimentError, InputError, Violation
from pressopt.impedance.cycling import CurrentStep, CyclingPlan, ramp_plan
from pressopt.impedance.spectrum import Sweep
from pressopt.optimizer import REPEAT, DesignSpace, Goal, Objective, OutcomeConstraint, Source, Variable, goal
from pressopt.pressing import QUANTITIES, Cell, Die, Layer, Limits, Role, SafeState
from pressopt.toml_lines import LineIndex
from pressopt.toml_lines import Path as Place

#: An experiment is a page of text; a megabyte is another kind of file.
_MOST_BYTES = 1 << 20
_UNITS = {"mpa": "MPa", "mpa_s": "MPa/s", "s": "s", "c": "°C", "n_mm": "N/mm", "mm_s": "mm/s"}
_PLACE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")


def load_experiment(path: Path | str) -> Experiment:
    """Read and check an experiment file; nothing is left to be found out while it runs.

    Args:
        path: The TOML file. Paths inside it start from its folder.

    Raises:
        ExperimentError: Everything that is wrong, each with key, line, what was found and what is allowed.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise _unusable(path, "is a folder: name the experiment file in it")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise _unusable(path, "there is no such file: check the path, or write one with `pressopt init`") from None
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror or error}") from None
    if len(data) > _MOST_BYTES:
        raise _unusable(path, "is larger than 1 MB: this is no experiment file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = f"byte {error.start} is not UTF-8: save the file as UTF-8 text, or name another file"
        raise ExperimentError((Violation("", message, line),), source=str(path)) from None
    if "\0" in text:
        raise _unusable(path, "holds binary data: this is no experiment file")
    return read_experiment(text, path)


def read_experiment(text: str, path: Path | str) -> Experiment:
    """Read and check the text of an experiment file, as a journal keeps it.

    Args:
        text: TOML.
        path: Where it came from: name of the campaign, and where paths inside it start from.

    Raises:
        ExperimentError: As :func:`load_experiment`.
    """
    path = Path(path)
    data = _parse(text, path)
    report = Report(LineIndex(text))
    experiment = _Builder(data, text, path, report).build()
    if report.violations or experiment is None:
        in_order = sorted(report.violations, key=lambda v: v.line if v.line is not None else len(text))
        raise ExperimentError(in_order, source=str(path))
    return experiment


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        line = int(place[1]) if place else text.count("\n") + 1
        words = _PLACE.sub("", message).removesuffix(" (at end of document)")
        at = f" at column {place[2]}" if place else " at the end of the file"
        shown = text.splitlines()[line - 1].strip() if place and line <= len(text.splitlines()) else ""
        quoted = f" in `{shown[:60]}`" if shown else ""
        raise ExperimentError(
            (Violation("", f"is not TOML{quoted}: {words}{at}", line),), source=str(path)
        ) from None
    except RecursionError:
        raise _unusable(path, "is nested too deeply: this is no experiment file") from None


def _unusable(path: Path, message: str) -> ExperimentError:
    return ExperimentError((Violation("", message),), source=str(path))


class _Builder:
    """Turns the values of a file into an experiment, piece by piece; pieces that are wrong stay ``None``."""

    def __init__(self, data: Mapping[str, Any], text: str, path: Path, report: Report) -> None:
        self._data = data
        self._text = text
        self._path = path
        self._report = report
        self._draft = Draft(report=report, folder=path.parent)

    def build(self) -> Experiment | None:
        report, draft = self._report, self._draft
        self._learn_die()
        values = read_table(FILE, self._data, (), report)
        draft.values = values
        cell = draft.cell = self._cell(values.get("cell"))
        draft.stages = self._stages(values.get("stages", []))
        draft.measurement = self._measurement(values.get("measurement"))
        draft.cycling = self._cycling(values.get("cycling"))
        draft.limits = self._limits(values.get("limits"))
        draft.objectives = self._objectives(values.get("objectives", []))
        draft.constraints = self._constraints(values.get("constraints", []), values.get("objectives", []))
        draft.laboratory = self._laboratory(values.get("laboratory"))
        sense.check(draft)
        reach.check(draft)
        space = self._space()
        sources = self._sources(values.get("sources", ()), space)
        if report.violations or space is None or cell is None:
            return None
        assert draft.measurement is not None  # otherwise the report says why
        assert draft.limits is not None
        assert draft.laboratory is not None
        about, budget, strategy = values["experiment"], values["budget"], values["strategy"]
        materials = values.get("materials")
        experiment = Experiment(
            name=self._path.stem,
            title=about["title"],
            goal=about["goal"],
            path=self._path,
            text=self._text,
            digest=hashlib.sha256(self._text.encode()).hexdigest(),
            seed=about["seed"],
            cell=cell,
            stages=tuple(draft.stages),
            space=space,
            objectives=tuple(goal for _, goal in draft.objectives),
            constraints=tuple(bound for _, bound in draft.constraints),
            sweep=self._sweep(values["measurement"]),
            measurement=draft.measurement,
            budget=Budget(
                trials=budget["trials"],
                initial=budget.get("initial"),
                replicates=budget.get("replicates"),
                stopping=Stopping(budget["stop_at_target"], budget.get("stop_gain_below")),
                cell_cost=budget.get("cell_cost"),
                hour_cost=budget["hour_cost"],
                heating_k_min=budget["heating_rate"],
            ),
            strategy=StrategyPlan(
                strategy["name"], strategy.get("risk"), strategy.get("cells_per_batch", CELLS_PER_BATCH)
            ),
            laboratory=draft.laboratory,
            cycling=draft.cycling,
            limits=draft.limits,
            sources=sources,
            materials_file=None if materials is None else self._path.parent / materials["file"],
        )
        reach.check_physics(draft, experiment)
        return experiment

    def _sources(self, rows: Sequence[Any], space: DesignSpace | None) -> tuple[Source, ...]:
        """Tables of what was learned elsewhere; only the strategy that has a prior can learn from them."""
        name = self._draft.values.get("strategy", {}).get("name")
        if rows and name is not None and name != "physics-gp":
            self._report.add(("sources",), f'"{name}" learns from its own cells only: choose "physics-gp"')
        found = []
        for index, row in enumerate(rows):
            if space is None or row is BAD or "file" not in row:
                continue
            try:
                path = self._path.parent / row["file"]
                found.append(read_source(path, space, row.get("name", ""), row.get("trust", 1.0)))
            except InputError as error:
                for violation in error.violations:
                    at = f"line {violation.line}, " if violation.line is not None else ""
                    self._report.add(
                        ("sources", index, "file"), f"{at}{violation.where} {violation.message}".strip()
                    )
        return tuple(found)

    # ------------------------------------------------------------------ cell

    def _learn_die(self) -> None:
        """The die turns forces into pressures, so it is read before everything else."""
        holds = FILE.keys["cell"].holds
        assert isinstance(holds, Table)
        cell = self._data.get("cell")
        quiet = Report(self._report.lines)
        only = Table({"die_diameter": holds.keys["die_diameter"]})
        keys = {k: v for k, v in cell.items() if k.startswith("die_diameter")} if isinstance(cell, Mapping) else {}
        diameter_mm = read_table(only, keys, ("cell",), quiet).get("die_diameter")
        if diameter_mm is not None:
            die = self._draft.die = Die(diameter_mm)
            self._report.convert = die.pressure_mpa  # also kN/s to MPa/s: both are proportional

    def _cell(self, values: Mapping[str, Any] | None) -> Cell | None:
        if not values or self._draft.die is None:
            return None
        rows = values.get("layers", [])
        needed = {"material", "role", "thickness"}
        complete = [row for row in rows if row is not BAD and needed <= row.keys()]
        self._draft.layers = [
            ((("cell", "layers", index)), _layer(row)) for index, row in enumerate(rows) if row in complete
        ]
        diameter_mm = values.get("electrode_diameter", self._draft.die.diameter_mm)
        if len(complete) < len(rows) or len(rows) < 2:
            return None
        if diameter_mm > self._draft.die.diameter_mm * 1.001:
            key = next(key for key in self._data["cell"] if key.startswith("electrode_diameter"))
            self._report.add(
                ("cell", key),
                f"{diameter_mm:g} mm does not fit the die of {self._draft.die.diameter_mm:g} mm: "
                "give at most the die's diameter",
            )
            return None
        return Cell(tuple(layer for _, layer in self._draft.layers), self._draft.die, diameter_mm)

    # ------------------------------------------------------------------ stages

    def _stages(self, rows: list[Any]) -> list[StagePlan]:
        plans = []
        for index, row in enumerate(rows):
            if row is BAD or "name" not in row:
                continue
            path = ("stages", index)
            values = dict(row)
            if "force" in values and self._draft.die is not None:
                values["pressure"] = self._over_die(values.pop("force"))
            names = ROLLER_SETTINGS if row["kind"] == "roller" else PLATEN_SETTINGS
            fixed, searched = {}, {}
            for name in names:
                key, _ = _split(name)
                value = values.get(key)
                if isinstance(value, Range):
                    searched[name] = self._variable(row["name"], name, value, (*path, self._given(path, key)))
                elif value is not None:
                    fixed[name] = float(value)
                    self._draft.places[f"{row['name']}.{name}"] = (*path, self._given(path, key))
            plan = StagePlan(
                row["name"], row["kind"], fixed, searched, SafeState(row.get("on_abort", SafeState.RELEASE))
            )
            plans.append(plan)
            self._draft.stage_paths[len(plans) - 1] = path
        return plans

    def _over_die(self, force: Any) -> Any:
        assert self._draft.die is not None
        convert = self._draft.die.pressure_mpa
        if isinstance(force, Range):
            step = None if force.step is None else convert(force.step)
            return Range(convert(force.low), convert(force.high), force.scale, step)
        return convert(force)

    def _given(self, path: tuple[str | int, ...], key: str) -> str:
        """The key as the file spells it: ``pressure_mpa``, or ``force``, for ``pressure``."""
        table: Any = self._data
        for part in path:
            table = table[part]
        alternatives = (key, "force") if key == "pressure" else (key,)
        return next((s for one in alternatives for s in _SPELLED.get(one, (one,)) if s in table), key)

    def _variable(self, stage: str, setting: str, found: Range, path: tuple[str | int, ...]) -> str:
        name = f"{stage}.{setting}"
        key, unit = _split(setting)
        self._draft.places[name] = path
        self._draft.variables.append(
            Variable(
                name,
                found.low,
                found.high,
                scale="log" if found.scale == "log" else "linear",
                kind="integer" if setting == "passes" else "real",
                unit=unit,
                resolution=found.step,
                label=f"{stage} {key.replace('_', ' ')}",
            )
        )
        return name

    # ------------------------------------------------------------------ measurement, limits

    def _measurement(self, values: Any) -> MeasurementPlan | None:
        if not isinstance(values, Mapping):
            return None
        path = ("measurement",)
        for key in values:
            self._draft.places[f"measurement.{key}"] = (*path, self._given(path, key))
        state = values.get("pressure")
        if "force" in values and self._draft.die is not None:
            state = self._over_die(values["force"])
        if state is None or not {"temperature", "settle", "release_rate"} <= values.keys():
            return None
        place = (*path, self._given(path, "pressure"))
        self._draft.places[f"{STACK}.pressure_mpa"] = place
        if isinstance(state, Range):
            self._variable(STACK, "pressure_mpa", state, place)
        held_mpa = None if isinstance(state, Range) else 0.0 if state == "released" else float(state)
        return MeasurementPlan(
            kind=values["kind"],
            pressure_mpa=held_mpa,
            temperature_c=values["temperature"],
            settle_s=values["settle"],
            release_mpa_s=values["release_rate"],
            readings=values.get("readings", 10),
        )

    def _cycling(self, values: Mapping[str, Any] | None) -> CyclingPlan | None:
        """A rising ramp, or many cycles at one current."""
        if not values or self._draft.cell is None or not {"half_cycle", "limit_v"} <= values.keys():
            return None
        ramp = [float(values[name]) for name in ("low_ma_cm2", "high_ma_cm2", "step_ma_cm2") if name in values]
        life = [float(values[name]) for name in ("current_ma_cm2", "cycles") if name in values]
        area_cm2, half_cycle_s, limit_v = self._draft.cell.area_cm2, values["half_cycle"], values["limit_v"]
        if len(life) == 2 and not ramp:
            return CyclingPlan((CurrentStep(life[0], half_cycle_s, int(life[1])),), area_cm2, limit_v)
        if len(ramp) < 3 or life or not ramp[0] < ramp[1]:
            self._report.add(
                ("cycling",),
                "give low_ma_cm2 < high_ma_cm2 and step_ma_cm2 for the critical current, or current_ma_cm2 and "
                "cycles for life",
            )
            return None
        low, high, step = ramp
        return ramp_plan(
            low_ma_cm2=low,
            high_ma_cm2=high,
            step_ma_cm2=step,
            half_cycle_s=half_cycle_s,
            area_cm2=area_cm2,
            limit_v=limit_v,
        )

    def _sweep(self, values: Mapping[str, Any]) -> Sweep:
        if values["kind"] != "impedance":
            return Sweep()
        low_hz, high_hz = values["band"]
        return Sweep(
            high_hz=high_hz,
            low_hz=low_hz,
            points_per_decade=values["points_per_decade"],
            amplitude_mv=values["amplitude"],
            bias_v=values["bias"],
        )

    def _limits(self, values: Mapping[str, Any] | None) -> Limits | None:
        if not values or "temperature" not in values:
            return None
        for key in values:
            self._draft.places[f"limits.{key}"] = ("limits", self._given(("limits",), key))
        return Limits(
            pressure_mpa=values.get("pressure"),
            force_kn=values.get("force"),
            temperature_c=values["temperature"],
            ramp_mpa_s=values.get("ramp"),
            line_force_n_mm=values.get("line_force"),
        )

    # ------------------------------------------------------------------ goals, laboratory, space

    def _objectives(self, rows: Any) -> list[tuple[Place, Objective]]:
        """Objectives, each with its place."""
        found: list[tuple[Place, Objective]] = []
        for index, row in enumerate(rows):
            if row is BAD:
                continue
            if "goal" in row:
                found += [(("objectives", index), one) for one in self._named_goal(index, row["goal"]).objectives]
                continue
            if not {"quantity", "source", "weight"} <= row.keys():
                continue
            better = QUANTITIES[row["quantity"]].better
            goal = Objective(
                row["quantity"],
                row.get("direction", "minimize" if better == "lower" else "maximize"),
                target=row.get("target"),
                source=row["source"],
                weight=row["weight"],
            )
            found.append((("objectives", index), goal))
        return found

    def _named_goal(self, index: int, name: str) -> Goal:
        """What a goal stands for in this cell, as this instrument sees it."""
        four_wire = self._draft.measurement is not None and self._draft.measurement.kind == "four-wire"
        resistance = "contact_resistance_mohm_cm2" if four_wire else "interfacial_resistance_ohm_cm2"
        layers = [layer for _, layer in self._draft.layers]
        pressed_before = len(self._draft.stages) > 1 and any(layer.powder for layer in layers)
        layered = pressed_before or any(layer.role is Role.INTERLAYER for layer in layers)
        try:
            return goal(name, resistance=resistance, layered=layered)
        except InputError as error:
            self._report.add(("objectives", index, "goal"), str(error))
            return Goal(name, "", ())

    def _constraints(self, rows: Any, goals: Any) -> list[tuple[Place, OutcomeConstraint]]:
        """Bounds on outcomes, each with its place, those of goals first; relations are read with the space."""
        found: list[tuple[Place, OutcomeConstraint]] = [
            (("objectives", index), bound)
            for index, row in enumerate(goals)
            if row is not BAD and "goal" in row
            for bound in self._named_goal(index, row["goal"]).constraints
        ]
        for index, row in enumerate(rows):
            if row is BAD or not {"quantity", "source", "probability"} <= row.keys() or "relation" in row:
                continue
            lower, upper = row.get("lower"), row.get("upper")
            path = ("constraints", index)
            if lower is not None and upper is not None and not lower < upper:
                message = f"{lower:g} is not below upper = {upper:g}: no value lies between"
                self._report.add((*path, "lower"), message)
            elif lower is not None or upper is not None:
                bound = OutcomeConstraint(row["quantity"], upper, lower, row["source"], row["probability"])
                found.append((path, bound))
        return found

    def _laboratory(self, values: Any) -> LaboratoryPlan | None:
        """The plan, with the default profile for every device that this experiment needs."""
        if not isinstance(values, Mapping):
            return None
        rolled = any(plan.kind == "roller" for plan in self._draft.stages)
        four_wire = self._draft.measurement is not None and self._draft.measurement.kind == "four-wire"
        needed: tuple[str, ...] = ("laminator" if rolled else "press", "meter" if four_wire else "analyzer")
        needed += ("cycler",) if self._draft.cycling is not None else ()
        devices: dict[str, Device] = {}
        for role in DEFAULT_PROFILES:
            entry = values.get(role)
            if entry is not None:
                profile = entry["profile"]
                if profile.endswith(".toml"):
                    profile = str(self._path.parent / profile)
                devices[role] = Device(profile, entry["url"])
            elif role in needed:
                devices[role] = Device(DEFAULT_PROFILES[role])
        self._draft.devices_needed = needed
        return LaboratoryPlan(
            kind=values["kind"],
            seed=values.get("seed", 1),
            loading=values.get("loading", "automatic" if values["kind"] == "twin" else "person"),
            **devices,
        )

    def _space(self) -> DesignSpace | None:
        relations = sense.relations(self._draft)
        names = [variable.name for variable in self._draft.variables]
        if self._report.violations or len(set(names)) < len(names):
            return None
        repeats = self._draft.values.get("strategy", {}).get("name") == REPEAT
        if not names and not repeats:
            self._report.add(
                ("stages",),
                'nothing is searched: give a setting as { low = "1 MPa", high = "100 MPa", scale = "log" }',
            )
            return None
        if names and repeats:
            self._report.add(
                ("strategy", "name"),
                f"'{REPEAT}' presses one protocol again and again, but {', '.join(names)} "
                f"{'is' if len(names) == 1 else 'are'} searched: give one value each, or another strategy",
            )
            return None
        return DesignSpace(tuple(self._draft.variables), relations)


def _spelled_keys() -> dict[str, tuple[str, ...]]:
    """Every spelling of every key of the format."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(node: Node) -> None:
        match node:
            case Table(keys):
                for name, key in keys.items():
                    found[name] = tuple(dict.fromkeys((*found.get(name, ()), *spellings_of(name, key.holds))))
                    walk(key.holds)
            case Variants(_, _, tables):
                for table in tables.values():
                    walk(table)
            case Rows(of):
                walk(of)
            case _:
                pass

    walk(FILE)
    return found


_SPELLED = _spelled_keys()


def _layer(row: Mapping[str, Any]) -> Layer:
    return Layer(
        material=row["material"],
        role=Role(row["role"]),
        thickness_um=row["thickness"],
        roughness_um=row.get("roughness"),
        relative_density=row.get("relative_density"),
        powder=row.get("powder", False),
    )


def _split(setting: str) -> tuple[str, str]:
    """Key and unit of a setting: ``line_force_n_mm`` is ``line_force`` in N/mm."""
    for ending in sorted(_UNITS, key=len, reverse=True):
        if setting.endswith(f"_{ending}"):
            return setting.removesuffix(f"_{ending}"), _UNITS[ending]
    return setting, ""
