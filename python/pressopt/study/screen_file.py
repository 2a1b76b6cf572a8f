"""Reads screen files: from TOML to a checked :class:`~pressopt.study.screen.Screen`, or to all that is wrong.

The words are those of experiment files; what is searched there is listed or cut into points here.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pressopt.campaign.experiment import PLATEN_SETTINGS, ROLLER_SETTINGS, STACK
from pressopt.campaign.experiment_file import load_experiment
from pressopt.campaign.reading import BAD, Report, read_table
from pressopt.campaign.schema import (
    FILE,
    Amount,
    Choice,
    Key,
    Number,
    Rows,
    Setting,
    Table,
    Text,
    Variants,
    spellings_of,
)
from pressopt.errors import ExperimentError, InputError
from pressopt.materials import Catalogue
from pressopt.pressing import QUANTITIES, Cell, Die, Layer, Role
from pressopt.study.axes import Axis, Protocols
from pressopt.study.screen import (
    BLOCK,
    Bound,
    Goal,
    Screen,
    System,
    Tolerance,
    Wanted,
    nominal_outcomes,
    with_roughness,
)
from pressopt.surrogate import Surrogate
from pressopt.toml_lines import LineIndex
from pressopt.toml_lines import Path as Place

#: Most protocols of one screen, over all systems: a month on a thousand cores.
MOST = 10**15
#: Most points along one axis of a grid: every worker holds them.
MOST_POINTS = 10_000
#: Most blocks: their manifest stays a file that people can open.
MOST_BLOCKS = 1_000_000
#: The keys of a measurement that are settings, and the setting of each.
_MEASURED = {
    "pressure": "pressure_mpa",
    "temperature": "temperature_c",
    "settle": "settle_s",
    "release_rate": "release_mpa_s",
}


def _held(node: object, kind: type[Any]) -> Any:
    assert isinstance(node, kind)
    return node


_STAGES: Mapping[str, Table] = _held(_held(FILE.keys["stages"].holds, Rows).of, Variants).tables
_CELL: Table = _held(FILE.keys["cell"].holds, Table)
_MEASUREMENT: Table = _held(FILE.keys["measurement"].holds, Variants).tables["impedance"]

_HEAD = Table(
    {
        "title": Key(Text(), "One line that says what this is about.", needed=True),
        "top": Key(Number(1, 10_000, whole=True), "How many rows of each kind are kept per system.", default=20),
        "keep": Key(Choice(("best", "all")), "Whether every protocol is kept.", default="best"),
        "points": Key(
            Number(1, MOST, whole=True),
            "Protocols of an even sequence between the ends, instead of the full grid.",
        ),
        "block": Key(Number(100, 10_000_000, whole=True), "Protocols in a block.", default=BLOCK),
    }
)
_GOAL = Table(
    {
        "quantity": Key(Choice(tuple(QUANTITIES)), "What is to improve; the first ranks.", needed=True),
        "direction": Key(Choice(("minimize", "maximize")), "Else as the quantity's nature is."),
    }
)
_BOUND = Table(
    {
        "quantity": Key(Choice(tuple(QUANTITIES)), "What has to stay within bounds.", needed=True),
        "upper": Key(Number(), "Its largest allowed value."),
        "lower": Key(Number(), "Its smallest allowed value."),
    },
    any_of=(("upper", "lower"),),
)
_SHARE = Number(low=0.0, below=1.0)
_TOLERANCE = Table(
    {
        "pressure": Key(_SHARE, "Relative error of the pressure: 0.05 is 5 %.", default=0.0),
        "dwell": Key(_SHARE, "Relative error of the dwell.", default=0.0),
        "temperature": Key(Number(0.0, 100.0), "Error of the temperature, K.", default=0.0),
    }
)
_SYSTEM = Table(
    {
        "name": Key(Text(), "What people call it."),
        "experiment": Key(Text(examples=("li-lpscl-symmetric.toml",)), "Take the cell from this experiment file."),
        **{name: replace(key, needed=False) for name, key in _CELL.keys.items()},
    },
    one_of=(("experiment", "layers"),),
    goes_with={"layers": "die_diameter"},
)
_MATERIALS = Table({"file": Key(Text(), "Your own materials, a file beside this one.", needed=True)})
_KNOWN = ("screen", "systems", "stages", "measurement", "objectives", "constraints", "tolerance", "materials")


def load_screen(path: Path | str) -> Screen:
    """Read and check a screen file; nothing is left to be found out while it runs.

    Raises:
        ExperimentError: Everything that is wrong, each with key and line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = tomllib.loads(text)
    except FileNotFoundError:
        raise ExperimentError("there is no such file: check the path", source=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"cannot be read: {error}", source=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ExperimentError(f"is not TOML: {error}", source=str(path)) from None
    report = Report(LineIndex(text))
    screen = _Reader(data, path, report).screen()
    if report.violations or screen is None:
        in_order = sorted(report.violations, key=lambda v: v.line if v.line is not None else len(text))
        raise ExperimentError(in_order, source=str(path))
    return screen


class _Reader:
    """Turns the values of a file into a screen, piece by piece; what is wrong goes into the report."""

    def __init__(self, data: Mapping[str, Any], path: Path, report: Report) -> None:
        self._data, self._path, self._report = data, path, report
        self._places: dict[str, Place] = {}
        self._roughness: dict[int, list[float]] = {}

    def screen(self) -> Screen | None:
        report = self._report
        for key in self._data:
            if key not in _KNOWN:
                report.add((key,), f"is not a table of a screen file: allowed are {', '.join(_KNOWN)}")
        head = self._table(_HEAD, "screen", needed=True)
        stages, rolled, axes = self._stages("points" in head)
        axes += self._measurement("points" in head)
        goals = self._goals()
        bounds = [
            Bound(row["quantity"], row.get("lower"), row.get("upper"))
            for row in self._rows(_BOUND, "constraints", least=0)
        ]
        tolerance = self._table(_TOLERANCE, "tolerance") if "tolerance" in self._data else None
        systems = self._systems(self._catalogue())
        if report.violations:
            return None
        wanted = Wanted(
            tuple(goals),
            tuple(bounds),
            None
            if tolerance is None
            else Tolerance(tolerance["pressure"], tolerance["dwell"], tolerance["temperature"]),
            head["top"],
        )
        protocols = Protocols(tuple(stages), rolled, tuple(axes), head.get("points"))
        screen = Screen(head["title"], tuple(systems), protocols, wanted, head["keep"] == "all", head["block"])
        self._check_size(screen)
        if not report.violations:
            self._check_physics(screen)
        return screen

    # ------------------------------------------------------------------ tables

    def _table(self, table: Table, name: str, *, needed: bool = False) -> dict[str, Any]:
        if name not in self._data:
            if needed:
                self._report.add((name,), f"is missing: write [{name}] and its keys below")
            return {}
        return read_table(table, self._data[name], (name,), self._report)

    def _rows(self, table: Table, name: str, *, least: int = 1) -> list[dict[str, Any]]:
        """Rows of an array of tables that are whole."""
        return [values for _, values in self._numbered(table, name, least)]

    def _numbered(self, table: Table, name: str, least: int) -> list[tuple[int, dict[str, Any]]]:
        rows = self._data.get(name, [])
        if not isinstance(rows, list):
            self._report.add((name,), f"is written as [[{name}]], once for each")
            return []
        if len(rows) < least:
            self._report.add((name,), f"is missing: write at least one [[{name}]]")
        found = []
        for index, row in enumerate(rows):
            before = len(self._report.violations)
            values = read_table(table, row, (name, index), self._report)
            if len(self._report.violations) == before:
                found.append((index, values))
        return found

    def _goals(self) -> list[Goal]:
        found = []
        for row in self._rows(_GOAL, "objectives"):
            better = QUANTITIES[row["quantity"]].better
            direction: Literal["minimize", "maximize"] = row.get(
                "direction", "minimize" if better == "lower" else "maximize"
            )
            found.append(Goal(row["quantity"], direction))
        names = [goal.quantity for goal in found]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._report.add(("objectives",), f"{name} is given twice: keep one")
        return found

    # ------------------------------------------------------------------ grids

    def _stages(self, sequence: bool) -> tuple[list[str], bool, list[Axis]]:
        rows = self._data.get("stages")
        if not isinstance(rows, list) or not rows:
            self._report.add(("stages",), "is missing: write at least one [[stages]]")
            return [], False, []
        names: list[str] = []
        axes: list[Axis] = []
        kinds = {row.get("kind", "platen") for row in rows if isinstance(row, Mapping)}
        if len(kinds) > 1:
            self._report.add(("stages",), "platen and roller stages do not mix in one protocol")
        for index, row in enumerate(rows):
            path: Place = ("stages", index)
            if not isinstance(row, Mapping) or row.get("kind", "platen") not in _STAGES:
                self._report.add(path, f"kind is platen or roller, in [[stages]] number {index + 1}")
                continue
            kind = row.get("kind", "platen")
            table = _STAGES[kind]
            plain = {key: table.keys[key] for key in ("name", "on_abort") if key in table.keys}
            settings = PLATEN_SETTINGS if kind == "platen" else ROLLER_SETTINGS
            keys = {key: _of(table.keys[key]) for key in table.keys if key not in (*plain, "force")}
            known = {s for key, of in keys.items() for s in spellings_of(key, of)}
            rest = {key: value for key, value in row.items() if key not in known and key != "kind"}
            name = read_table(Table(plain), rest, path, self._report).get("name")
            if name in {*names, STACK}:
                self._report.add((*path, "name"), f'"{name}" is taken: give each stage a name of its own')
            elif name is not None:
                names.append(name)
            for key, of in keys.items():
                setting = next(setting for setting in settings if setting.startswith(key.removesuffix("_force")))
                found = self._axis(
                    f"{name}.{setting}", key, of, row, path, default=table.keys[key].default, sequence=sequence
                )
                axes += [found] if found is not None else []
        return names, kinds == {"roller"}, axes

    def _measurement(self, sequence: bool) -> list[Axis]:
        data = self._data.get("measurement")
        if not isinstance(data, Mapping):
            self._report.add(("measurement",), "is missing: write [measurement] and the pressure below")
            return []
        path: Place = ("measurement",)
        keys = {key: _of(_MEASUREMENT.keys[key]) for key in _MEASURED}
        known = {s for key, of in keys.items() for s in spellings_of(key, of)}
        read_table(Table({}), {key: value for key, value in data.items() if key not in known}, path, self._report)
        axes = []
        for key, setting in _MEASURED.items():
            default = _MEASUREMENT.keys[key].default
            found = self._axis(
                f"{STACK}.{setting}", key, keys[key], data, path, default=default, sequence=sequence
            )
            axes += [found] if found is not None else []
        return axes

    def _axis(
        self,
        name: str,
        key: str,
        of: Amount | Number,
        row: Mapping[str, Any],
        path: Place,
        *,
        default: float | None,
        sequence: bool,
    ) -> Axis | None:
        """One setting: a value, a list of them, or ends with a number of points."""
        given = [spelling for spelling in spellings_of(key, of) if spelling in row]
        if len(given) > 1:
            self._report.add((*path, given[1]), f"contradicts '{given[0]}': keep one of the two")
            return None
        if not given:
            if default is None:
                self._report.add(
                    (*path, key), "is missing: give a value, a list of values, or { low, high, points }"
                )
                return None
            return Axis(name, (float(default),))
        spelling, value = given[0], row[given[0]]
        place: Place = (*path, spelling)
        self._places[name] = place
        if isinstance(value, Mapping):
            return self._spread(name, key, of, spelling, value, path, sequence=sequence)
        if not isinstance(value, list):
            one = self._value(key, of, spelling, value, path)
            return None if one is None else Axis(name, (one,))
        if not value:
            self._report.add(place, "is an empty list: give at least one value")
            return None
        numbers = [self._value(key, of, spelling, item, path) for item in value]
        listed = [number for number in numbers if number is not None]
        if len(listed) < len(numbers):
            return None
        if len(set(listed)) < len(listed):
            self._report.add(place, "holds a value twice: each protocol is to be screened once")
            return None
        return Axis(name, tuple(listed))

    def _value(self, key: str, of: Amount | Number, spelling: str, value: Any, path: Place) -> float | None:
        found = read_table(Table({key: Key(of, "")}), {spelling: value}, path, self._report).get(key)
        return 0.0 if found == "released" else None if found is None or found is BAD else float(found)

    def _spread(
        self,
        name: str,
        key: str,
        of: Amount | Number,
        spelling: str,
        value: Mapping[str, Any],
        path: Place,
        *,
        sequence: bool,
    ) -> Axis | None:
        report, place = self._report, (*path, spelling)
        before = len(report.violations)
        allowed = ("low", "high", "scale") if sequence else ("low", "high", "points", "scale")
        for unknown in value:
            if unknown not in allowed:
                why = " ([screen] points sets how many there are in all)" if unknown == "points" else ""
                report.add((*place, unknown), f"is not a key here{why}: allowed are {', '.join(allowed)}")
        for missing in allowed[: 2 if sequence else 3]:
            if missing not in value:
                report.add((*place, missing), "is missing: give it")
        ends = [self._value(key, of, spelling, value[end], path) for end in ("low", "high") if end in value]
        scale, points = value.get("scale", "linear"), value.get("points", 2)
        if scale not in {"linear", "log"}:
            report.add((*place, "scale"), f"{scale!r} is not known: give linear or log")
        if isinstance(points, bool) or not isinstance(points, int) or points < 2:
            report.add((*place, "points"), f"{points!r} points are no grid: give a whole number from 2")
        elif points > MOST_POINTS:
            report.add(
                (*place, "points"),
                f"{points} points along one axis are more than {MOST_POINTS}: give less, or an even sequence "
                f"([screen] points)",
            )
        if len(report.violations) > before or len(ends) < 2 or ends[0] is None or ends[1] is None:
            return None
        low, high = ends[0], ends[1]
        if not low < high:
            report.add((*place, "low"), f"{low:g} is not below {high:g}: give the lower end first")
        elif scale == "log" and low <= 0:
            report.add((*place, "low"), f"a log scale needs a low end above 0, not {low:g}")
        elif sequence and isinstance(of, Number) and of.whole:
            report.add(place, "has whole numbers only: list them")
        else:
            if sequence:
                return Axis(name, (low, high), "log" if scale == "log" else "linear")
            values = _even(low, high, points, log=scale == "log")
            if isinstance(of, Number) and of.whole and any(v != round(v) for v in values):
                report.add(place, f"{points} points between {low:g} and {high:g} are not whole numbers: list them")
            return Axis(name, values)
        return None

    # ------------------------------------------------------------------ systems

    def _catalogue(self) -> Catalogue | None:
        file = self._table(_MATERIALS, "materials").get("file") if "materials" in self._data else None
        try:
            return Catalogue.load(None if file is None else self._path.parent / file)
        except InputError as refused:
            for violation in refused.violations:
                self._report.add(("materials", "file"), f"{violation.where}: {violation.message}")
            return None

    def _systems(self, catalogue: Catalogue | None) -> list[System]:
        rows = self._data.get("systems", [])
        rough: dict[int, list[float]] = {}
        if isinstance(rows, list):
            for index, row in enumerate(rows):
                rough[index] = self._roughnesses(index, row)
            plain = [{k: v for k, v in row.items() if not k.startswith("roughness")} for row in rows]
            self._data = {**self._data, "systems": plain}
        found: list[System] = []
        for index, values in self._numbered(_SYSTEM, "systems", 1):
            cell = self._cell(index, values)
            if cell is None or catalogue is None:
                continue
            name = values.get("name") or " | ".join(layer.material for layer in cell.layers)
            found += self._rough(index, name, cell, rough.get(index, []), catalogue)
        names = [system.name for system in found]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._report.add(("systems",), f'two systems are called "{name}": give each a name of its own')
        return found

    def _roughnesses(self, index: int, row: Any) -> list[float]:
        if not isinstance(row, Mapping):
            return []
        layer: Table = _held(_held(_CELL.keys["layers"].holds, Rows).of, Table)
        of = _held(layer.keys["roughness"].holds, Amount)
        axis = self._axis(
            "roughness_um", "roughness", of, row, ("systems", index), default=math.nan, sequence=False
        )
        return [] if axis is None or math.isnan(axis.values[0]) else list(axis.values)

    def _cell(self, index: int, values: Mapping[str, Any]) -> Cell | None:
        if "experiment" in values:
            try:
                return load_experiment(self._path.parent / values["experiment"]).cell
            except ExperimentError as refused:
                said = "; ".join(map(str, refused.violations[:3]))
                self._report.add(("systems", index, "experiment"), f"{values['experiment']}: {said}")
                return None
        layers = tuple(
            Layer(
                row["material"],
                Role(row["role"]),
                row["thickness"],
                row.get("roughness"),
                row.get("relative_density"),
                row["powder"],
            )
            for row in values["layers"]
        )
        diameter_mm = values["die_diameter"]
        try:
            return Cell(layers, Die(diameter_mm), values.get("electrode_diameter", diameter_mm))
        except InputError as refused:
            for violation in refused.violations:
                self._report.add(("systems", index), f"{violation.where}: {violation.message}")
            return None

    def _rough(
        self, index: int, name: str, cell: Cell, roughness_um: list[float], catalogue: Catalogue
    ) -> list[System]:
        try:
            plain = System(name, Surrogate(cell, catalogue))
            if not roughness_um:
                return [plain]
            return [
                with_roughness(plain, Surrogate(roughened(cell, rough), catalogue), rough)
                for rough in roughness_um
            ]
        except InputError as refused:
            for violation in refused.violations:
                where = f"{violation.where}: " if violation.where else ""
                self._report.add(("systems", index), f"{where}{violation.message}")
            return []

    # ------------------------------------------------------------------ sense

    def _check_size(self, screen: Screen) -> None:
        count = len(screen.protocols) * len(screen.systems)
        if count > MOST:
            self._report.add(("screen",), f"{count:.3g} protocols are too many: give fewer points")
        elif count / screen.block_size > MOST_BLOCKS:
            least = math.ceil(count / MOST_BLOCKS)
            self._report.add(
                ("screen", "block"),
                f"{count:.3g} protocols in blocks of {screen.block_size} are more than {MOST_BLOCKS} blocks: "
                f"give block = {least} or more",
            )

    def _check_physics(self, screen: Screen) -> None:
        """Each system stays solid at every protocol, tolerance included, and has the quantities that are asked."""
        report, axes = self._report, {axis.name: axis for axis in screen.protocols.axes}
        margin_c = screen.wanted.tolerance.temperature_c if screen.wanted.tolerance is not None else 0.0
        for system in screen.systems:
            melts_c = system.surrogate.limits().melting_c
            melting = False
            for name, axis in axes.items():
                hottest = max(axis.values) + (0.0 if name.startswith(STACK) else margin_c)
                if name.endswith("_c") and hottest >= melts_c:
                    melting = True
                    report.add(
                        self._places.get(name, ("stages",)),
                        f"{hottest:g} °C is not allowed for {system.name}: its metal melts at {melts_c:g} °C",
                    )
            if melting:
                continue
            lowest = {name: _first(min(axis.values)) for name, axis in axes.items()}
            try:
                known = nominal_outcomes(system.surrogate, screen.protocols.table(lowest))
            except InputError as refused:
                for violation in refused.violations:
                    report.add(("systems",), f"{system.name}: {violation.where}: {violation.message}")
                continue
            for quantity in screen.wanted.quantities:
                if quantity not in known:
                    report.add(
                        ("objectives",),
                        f"{quantity} is not predicted for {system.name}: it has {', '.join(sorted(known))}",
                    )


def _first(value: float) -> Any:
    import numpy as np

    return np.array([value])


def _of(key: Key) -> Amount | Number:
    """What one value of a setting is."""
    holds = key.holds.of if isinstance(key.holds, Setting) else key.holds
    assert isinstance(holds, (Amount, Number))
    return holds


def _even(low: float, high: float, points: int, *, log: bool) -> tuple[float, ...]:
    """Points from low to high, both included, without binary dust."""
    places = [index / (points - 1) for index in range(points)]
    inner = [low * (high / low) ** place if log else low + place * (high - low) for place in places]
    return (low, *(float(f"{value:.12g}") for value in inner[1:-1]), high)


def roughened(cell: Cell, roughness_um: float) -> Cell:
    """The cell with another roughness of what the metal is pressed against."""
    rough = {Role.ELECTROLYTE, Role.INTERLAYER}
    if not any(layer.role in rough for layer in cell.layers):
        rough = {Role.COLLECTOR}
    layers = [replace(layer, roughness_um=roughness_um) if layer.role in rough else layer for layer in cell.layers]
    return replace(cell, layers=tuple(layers))


__all__ = ["MOST", "MOST_BLOCKS", "load_screen", "roughened"]
