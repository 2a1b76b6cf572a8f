"""What only makes sense between several keys: cell, stages, goals, limits, relations, budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

from pressopt.campaign.experiment import STACK, LaboratoryPlan, MeasurementPlan, StagePlan
from pressopt.campaign.reading import BAD, Report, near_word
from pressopt.campaign.schema import BUILT_IN_STRATEGIES
from pressopt.errors import InputError
from pressopt.impedance.cycling import CyclingPlan
from pressopt.materials import Catalogue
from pressopt.optimizer import Objective, OutcomeConstraint, Relation, Variable, strategies
from pressopt.pressing import QUANTITIES, Cell, Die, Layer, Limits, MeasuredBy, Role
from pressopt.toml_lines import Path
from pressopt.units import format_quantity

_PROBABILITIES = frozenset({"short_probability", "crack_probability", "damage_probability", "extrusion_fraction"})
#: Quantities that belong to a metal on an electrolyte.
_OF_INTERFACES = frozenset(
    {"interfacial_resistance_ohm_cm2", "critical_current_density_ma_cm2", "cycle_life_cycles", "hot_spot_factor"}
)
_METALLIC = {Role.COLLECTOR, Role.ELECTRODE}


@dataclass
class Draft:
    """An experiment while it is put together; what could not be read is missing.

    Attributes:
        report: Takes the mistakes.
        folder: Where paths in the file start from.
        values: The tables as read, in the units used inside.
        die, cell, layers: The cell; layers with their places, also where the cell as a whole is wrong.
        stages, stage_paths: The stages and their places.
        places: Place of each setting, fixed or searched, by name (``lamination.pressure_mpa``).
        variables: What is searched.
        measurement, limits, laboratory: As read.
        objectives, constraints: With their places.
        devices_needed: Which devices this experiment needs.
        catalogue: The materials, those of the user among them.
    """

    report: Report
    folder: FilePath
    values: Mapping[str, Any] = field(default_factory=dict)
    die: Die | None = None
    cell: Cell | None = None
    layers: list[tuple[Path, Layer]] = field(default_factory=list)
    stages: list[StagePlan] = field(default_factory=list)
    stage_paths: dict[int, Path] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    measurement: MeasurementPlan | None = None
    limits: Limits | None = None
    laboratory: LaboratoryPlan | None = None
    cycling: CyclingPlan | None = None
    objectives: list[tuple[Path, Objective]] = field(default_factory=list)
    constraints: list[tuple[Path, OutcomeConstraint]] = field(default_factory=list)
    devices_needed: tuple[str, ...] = ()
    catalogue: Catalogue | None = None

    @property
    def rolled(self) -> bool:
        """Whether any stage goes through rolls."""
        return any(plan.kind == "roller" for plan in self.stages)

    def spans(self) -> Iterator[tuple[str, float, float, Path]]:
        """Name, lowest and highest value and place of every setting, fixed or searched."""
        for variable in self.variables:
            yield variable.name, variable.low, variable.high, self.places[variable.name]
        for index, plan in enumerate(self.stages):
            for setting, value in plan.fixed.items():
                name = f"{plan.name}.{setting}"
                yield name, value, value, self.places.get(name, self.stage_paths[index])
        plan_ = self.measurement
        if plan_ is not None:
            if plan_.pressure_mpa is not None:
                yield f"{STACK}.pressure_mpa", plan_.pressure_mpa, plan_.pressure_mpa, self._state("pressure")
            yield f"{STACK}.temperature_c", plan_.temperature_c, plan_.temperature_c, self._state("temperature")
            yield f"{STACK}.ramp_mpa_s", plan_.release_mpa_s, plan_.release_mpa_s, self._state("release_rate")

    def _state(self, key: str) -> Path:
        return self.places.get(f"measurement.{key}", ("measurement", key))


def check(draft: Draft) -> None:
    """Write down everything that contradicts something else in the file."""
    _cell(draft)
    _stages(draft)
    _inside_limits(draft)
    _goals(draft)
    _budget(draft)
    _strategy(draft)


def _cell(draft: Draft) -> None:
    report, layers = draft.report, draft.layers
    rows = draft.values.get("cell", {}).get("layers", [])
    if len(layers) < len(rows) or len(layers) < 2:
        return  # neighbours are only known when every layer is
    measured = draft.measurement
    for index, (path, layer) in enumerate(layers):
        below = layers[index - 1][1].role if index else None
        above = layers[index + 1][1].role if index + 1 < len(layers) else None
        neighbours = {role for role in (below, above) if role is not None}
        if layer.role is Role.COLLECTOR and None not in (below, above):
            report.add(
                (*path, "role"), "a collector between two layers makes two cells: put collectors at the ends"
            )
        elif layer.role not in _METALLIC and None in (below, above):
            report.add(
                (*path, "role"),
                f"an {layer.role} at the end has no contact: put a collector or an electrode outside of it",
            )
        elif layer.role is Role.INTERLAYER and not neighbours & {Role.ELECTRODE}:
            report.add(
                (*path, "role"), "an interlayer lies between metal and electrolyte: put it beside the electrode"
            )
        if layer.role is Role.ELECTRODE and above is Role.ELECTRODE:
            report.add((*path, "role"), "two electrodes touch: put an electrolyte between them")
        if layer.powder and layer.role not in {Role.ELECTROLYTE, Role.COMPOSITE}:
            report.add(
                (*path, "powder"),
                f"only electrolyte and composite are formed from powder, not an {layer.role}: leave it out",
            )
    roles = [layer.role for _, layer in layers]
    if Role.ELECTRODE not in roles:
        report.add(("cell", "layers"), "has no electrode: give the soft metal that is pressed")
    if measured is not None and measured.kind == "impedance" and Role.ELECTROLYTE not in roles:
        report.add(
            ("cell", "layers"), "has no electrolyte for an impedance spectrum: give one, or measure four-wire"
        )
    if measured is not None and measured.kind == "four-wire" and Role.ELECTROLYTE in roles:
        report.add(
            ("measurement", "kind"),
            "a four-wire meter cannot see through an electrolyte: measure impedance, or leave the electrolyte out",
        )
    if (
        any(layer.powder and layer.role is Role.ELECTROLYTE for _, layer in layers)
        and len(draft.stages) == 1
        and Role.ELECTRODE in roles
    ):
        report.add(
            ("stages",),
            "the first stage forms the pellet from powder, before the metal is laid on: give a second stage",
        )


def _stages(draft: Draft) -> None:
    report = draft.report
    seen: set[str] = set()
    for index, plan in enumerate(draft.stages):
        path = draft.stage_paths[index]
        if plan.name in seen:
            report.add((*path, "name"), f'"{plan.name}" is the name of an earlier stage: give each its own')
        if plan.name == STACK:
            report.add(
                (*path, "name"), f'"{STACK}" is the state in which the cell is measured: choose another name'
            )
        seen.add(plan.name)
        if plan.kind != draft.stages[0].kind:
            report.add(
                (*path, "kind"),
                f'"{plan.kind}" after "{draft.stages[0].kind}": one campaign has one machine, so keep one kind',
            )
    measured = draft.measurement
    if draft.rolled and measured is not None and measured.pressure_mpa != 0.0:
        report.add(
            draft.places.get(f"{STACK}.pressure_mpa", ("measurement", "pressure")),
            'rolls hold no pressure after a pass: write pressure = "released"',
        )


_LIMITED = (
    ("pressure_mpa", "pressure", "MPa"),
    ("temperature_c", "temperature", "°C"),
    ("ramp_mpa_s", "ramp", "MPa/s"),
    ("line_force_n_mm", "line_force", "N/mm"),
)


def _inside_limits(draft: Draft) -> None:
    """Nothing that is asked or searched may lie beyond ``[limits]``."""
    limits, report = draft.limits, draft.report
    if limits is None:
        return
    most = {
        "pressure_mpa": limits.pressure_mpa,
        "temperature_c": limits.temperature_c,
        "ramp_mpa_s": limits.ramp_mpa_s,
        "line_force_n_mm": limits.line_force_n_mm,
    }
    if limits.force_kn is not None and draft.die is not None:
        by_force = draft.die.pressure_mpa(limits.force_kn)
        most["pressure_mpa"] = by_force if limits.pressure_mpa is None else min(by_force, limits.pressure_mpa)
    needed = "line_force" if draft.rolled else "pressure"
    missing = most["line_force_n_mm" if draft.rolled else "pressure_mpa"] is None
    if missing and draft.stages and any(limit is not None for limit in _loads(limits)):
        report.add(("limits", needed), f"is missing: these stages need it, such as {needed} = {_EXAMPLES[needed]}")
    for setting, key, unit in _LIMITED:
        limit = most[setting]
        if limit is None:
            continue
        for name, low, high, path in draft.spans():
            if name.rpartition(".")[2] != setting or high <= limit * (1 + 1e-12):
                continue
            said = "is" if low == high else "is searched up to"
            allowed = format_quantity(limit, unit, digits=6)
            if setting == "pressure_mpa" and limit != limits.pressure_mpa:
                allowed += f" ({format_quantity(limits.force_kn or 0.0, 'kN', digits=6)} over the die)"
            asked = f"{said} {format_quantity(high, unit, digits=6)}"
            report.add(path, f"{asked}, [limits] allow {allowed}: stay below, or raise limits.{key}")


def _loads(limits: Limits) -> tuple[float | None, ...]:
    """The limits of load, of which the format asks at least one."""
    return limits.pressure_mpa, limits.force_kn, limits.line_force_n_mm


_EXAMPLES = {"line_force": '"100 N/mm"', "pressure": '"120 MPa"'}


def _goals(draft: Draft) -> None:
    seen: set[str] = set()
    for path, objective in draft.objectives:
        if objective.quantity in seen:
            draft.report.add((*path, "quantity"), f"{objective.quantity} is an objective already: keep one")
        seen.add(objective.quantity)
        _known_to_somebody(draft, path, objective.quantity, objective.source)
        _in_scale(draft, (*path, "target"), objective.quantity, objective.target)
    for path, bound in draft.constraints:
        _known_to_somebody(draft, path, bound.quantity, bound.source)
        for key, value in (("upper", bound.upper), ("lower", bound.lower)):
            _in_scale(draft, (*path, key), bound.quantity, value)


def _known_to_somebody(draft: Draft, path: Path, name: str, source: str) -> None:
    """A quantity is measured by an instrument of this laboratory, or said to be predicted; and the cell has it."""
    report, quantity = draft.report, QUANTITIES[name]
    roles = [layer.role for _, layer in draft.layers]
    if draft.cell is not None:
        if name in _OF_INTERFACES and draft.cell.interfaces == 0:
            report.add(
                (*path, "quantity"), f"{name} needs a metal on an electrolyte: this cell has no such interface"
            )
            return
        touching = any({a, b} == _METALLIC for a, b in pairwise(roles))
        if name == "contact_resistance_mohm_cm2" and not touching:
            report.add((*path, "quantity"), f"{name} needs an electrode on a collector: this cell has none")
            return
    if source == "predicted" or draft.measurement is None or quantity.measured_by is MeasuredBy.PRESS:
        return
    if quantity.measured_by is MeasuredBy.CYCLING and draft.cycling is not None:
        if (name == "cycle_life_cycles") != draft.cycling.constant:
            wanted = "current_ma_cm2 and cycles" if name == "cycle_life_cycles" else "low_ma_cm2 to high_ma_cm2"
            report.add((*path, "quantity"), f"{name} is measured with {wanted} in [cycling]: give those")
        return
    if quantity.measured_by in {MeasuredBy.NONE, MeasuredBy.CYCLING}:
        report.add(
            (*path, "quantity"),
            f'no configured instrument measures {name}: write source = "predicted" to let the physics say it, or '
            f"choose one that {_instrument(draft.measurement.kind)} measures "
            f"({', '.join(_measured_by(draft.measurement.kind))})",
        )
    elif quantity.measured_by.value != draft.measurement.kind:
        report.add(
            (*path, "quantity"),
            f"{name} is measured by {_instrument(quantity.measured_by.value)}, this experiment has "
            f"{_instrument(draft.measurement.kind)}: choose {' or '.join(_measured_by(draft.measurement.kind))}, "
            f'change measurement.kind, or write source = "predicted"',
        )


def _instrument(kind: str) -> str:
    return "an impedance analyser" if kind == "impedance" else "a four-wire meter"


def _measured_by(kind: str) -> list[str]:
    return [name for name, quantity in QUANTITIES.items() if quantity.measured_by.value == kind]


def _in_scale(draft: Draft, path: Path, name: str, value: float | None) -> None:
    if value is None:
        return
    if name in _PROBABILITIES and not 0 <= value <= 1:
        draft.report.add(path, f"{value:g} is no share: {name} lies between 0 and 1")
    elif name == "relative_density" and not 0 < value <= 1:
        draft.report.add(path, f"{value:g} is no relative density: give more than 0 and at most 1")
    elif QUANTITIES[name].log and value <= 0:
        draft.report.add(
            path, f"{value:g} {QUANTITIES[name].unit} cannot be reached: give more than 0".replace("  ", " ")
        )


def _budget(draft: Draft) -> None:
    budget = draft.values.get("budget", {})
    trials = budget.get("trials")
    for key in ("initial", "replicates"):
        value = budget.get(key)
        if value is not None and trials is not None and value > trials:
            draft.report.add(
                ("budget", key), f"{value} is more than the {trials} trials in all: give at most that"
            )
    if budget.get("stop_at_target") and not any(goal.target is not None for _, goal in draft.objectives):
        draft.report.add(
            ("budget", "stop_at_target"), "no objective has a target to stop at: give one, or leave this out"
        )


def _strategy(draft: Draft) -> None:
    name = draft.values.get("strategy", {}).get("name")
    if name is None or name in BUILT_IN_STRATEGIES:
        return
    known = tuple(dict.fromkeys((*BUILT_IN_STRATEGIES, *strategies())))
    if name not in known:
        near = near_word(name, known)
        hint = f'did you mean "{near}"? ' if near else ""
        draft.report.add(("strategy", "name"), f'"{name}" is not known: {hint}(there are {", ".join(known)})')


# ---------------------------------------------------------------------------- relations


def relations(draft: Draft) -> tuple[Relation, ...]:
    """The rules between settings, with fixed settings put in; rules that always hold are left out."""
    rows = draft.values.get("constraints", [])
    found: list[tuple[Path, Relation]] = []
    for index, row in enumerate(rows):
        if row is BAD or "relation" not in row:
            continue
        path = ("constraints", index, "relation")
        try:
            rule = Relation.parse(row["relation"])
        except InputError as refused:
            for violation in refused.violations:
                draft.report.add(path, violation.message)
            continue
        kept = _with_fixed_values(draft, path, rule)
        if kept is not None:
            found.append((path, kept))
    if len(found) > 1:
        _room_for_all(draft, found)
    return tuple(rule for _, rule in found)


def _with_fixed_values(draft: Draft, path: Path, rule: Relation) -> Relation | None:
    """The rule over what is searched; ``None`` when it always holds, or when it is wrong."""
    spans = {name: (low, high) for name, low, high, _ in draft.spans()}
    short = {_without_unit(name): name for name in spans}
    terms: dict[str, float] = {}
    bound = rule.bound
    wrong = False
    for written, factor in rule.terms.items():
        name = written if written in spans else short.get(written)
        if name is None:
            near = near_word(written, [*short, *spans])
            hint = f"did you mean '{near}'?" if near else f"there are {', '.join(short)}"
            draft.report.add(path, f"'{written}' is no setting of this experiment: {hint}")
            wrong = True
            continue
        low, high = spans[name]
        if low == high:
            bound -= factor * low
        else:
            terms[name] = terms.get(name, 0.0) + factor
    if wrong:
        return None
    least = sum(min(f * spans[name][0], f * spans[name][1]) for name, f in terms.items())
    slack = 1e-9 * (abs(bound) + abs(least))
    if least > bound + slack:
        draft.report.add(
            path, f'"{rule}" can never hold within the searched ranges: widen them, or change the rule'
        )
        return None
    most = sum(max(f * spans[name][0], f * spans[name][1]) for name, f in terms.items())
    if most <= bound + slack or not terms:
        return None
    return Relation(terms, bound, label=str(rule))


def _room_for_all(draft: Draft, found: list[tuple[Path, Relation]]) -> None:
    """Rules that can hold one by one may still exclude each other."""
    from scipy.optimize import linprog

    names = [variable.name for variable in draft.variables]
    rows = [[rule.terms.get(name, 0.0) for name in names] for _, rule in found]
    bounds = [(variable.low, variable.high) for variable in draft.variables]
    answer = linprog([0.0] * len(names), A_ub=rows, b_ub=[rule.bound for _, rule in found], bounds=bounds)
    if answer.status == 2:
        rules = "; ".join(f'"{rule}"' for _, rule in found)
        draft.report.add(
            found[-1][0], f"the relations exclude each other ({rules}): loosen one, or widen the ranges"
        )


def _without_unit(name: str) -> str:
    stage, _, setting = name.rpartition(".")
    for ending in ("_mpa_s", "_n_mm", "_mm_s", "_mpa", "_s", "_c"):
        if setting.endswith(ending):
            return f"{stage}.{setting.removesuffix(ending)}"
    return name
