"""An ISA-88 master recipe of a protocol as BatchML: header, formula, operations and their phases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from pressopt.errors import InputError
from pressopt.export.answer import Answer
from pressopt.export.document import document_digest
from pressopt.export.safety import safety_notes
from pressopt.export.wording import count, number, quantity_label, quantity_unit, split
from pressopt.pressing import Die, Limits, PressingProtocol, RollStage, Stage

#: Namespace of B2MML and BatchML (MESA International, version 0701).
BATCHML = "http://www.mesa.org/xml/B2MML"
#: What whoever uses the language has to say (licence in the schema itself).
BATCHML_NOTICE = "The Batch Markup Language (BatchML) is used courtesy of the World Batch Forum."


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter of the formula.

    Attributes:
        name: Within its operation.
        value: What is set.
        unit: Of the value; ``1``: a number of times.
        window: Process window in the same unit, or None.
    """

    name: str
    value: float | int
    unit: str
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """The smallest thing that a batch system orders: ``heat``, ``press``, ``hold`` ..."""

    name: str
    what: str
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One stage of the protocol, or the measurement, with its phases in order."""

    name: str
    what: str
    phases: tuple[Phase, ...]


def operations(
    protocol: PressingProtocol, die: Die, windows: Mapping[str, tuple[float, float]] | None = None
) -> list[Operation]:
    """Return what a batch system has to order, in order.

    Args:
        protocol: What is done.
        die: Turns pressures into forces.
        windows: Process window of each searched setting, by ``stage.variable``.
    """
    windows, seen = windows or {}, Counter[str]()
    found = []
    for stage in protocol.stages:
        seen[stage.name] += 1
        name = stage.name if seen[stage.name] == 1 else f"{stage.name}-{seen[stage.name]}"
        own = {split(key)[1]: window for key, window in windows.items() if split(key)[0] == stage.name}
        found.append(
            _rolling(name, stage, own) if isinstance(stage, RollStage) else _pressing(name, stage, die, own)
        )
    return [*found, _measuring(protocol, die)]


def _pressing(name: str, stage: Stage, die: Die, windows: Mapping[str, tuple[float, float]]) -> Operation:
    pressure = windows.get("pressure_mpa")
    force = None if pressure is None else (die.force_kn(pressure[0]), die.force_kn(pressure[1]))
    return Operation(
        name,
        "Press: heat, ramp to force, hold for the dwell",
        (
            Phase("heat", "Platens to temperature", (
                Setting("temperature", stage.temperature_c, "degC", windows.get("temperature_c")),)),
            Phase("press", "Ramp to force", (
                Setting("force", die.force_kn(stage.pressure_mpa), "kN", force),
                Setting("pressure_on_sample", stage.pressure_mpa, "MPa", pressure),
                Setting("force_rate", die.force_kn(stage.ramp_mpa_s), "kN/s"))),
            Phase("hold", "Hold force and temperature; the time begins when both are reached", (
                Setting("dwell", stage.dwell_s, "s", windows.get("dwell_s")),)),
        ),
    )  # fmt: skip


def _rolling(name: str, stage: RollStage, windows: Mapping[str, tuple[float, float]]) -> Operation:
    return Operation(
        name,
        f"Roll: {count(stage.passes, 'pass', 'passes')} at line force and temperature",
        (
            Phase("heat", "Rolls to temperature", (
                Setting("temperature", stage.temperature_c, "degC", windows.get("temperature_c")),)),
            Phase("roll", "Through the nip", (
                Setting("line_force", stage.line_force_n_mm, "N/mm", windows.get("line_force_n_mm")),
                Setting("speed", stage.speed_mm_s, "mm/s", windows.get("speed_mm_s")),
                Setting("passes", stage.passes, "1", windows.get("passes")))),
        ),
    )  # fmt: skip


def _measuring(protocol: PressingProtocol, die: Die) -> Operation:
    settle = Phase(
        "settle",
        "Wait in the state of the measurement",
        (
            Setting("temperature", protocol.measure_at_c, "degC"),
            Setting("settle", protocol.settle_s, "s"),
        ),
    )
    measure = Phase("measure", "Measure the cell")
    if protocol.rolled:
        return Operation("measurement", "Settle, measure", (settle, measure))
    go = Phase(
        "go",
        "Go to the force of the measurement",
        (
            Setting("force", die.force_kn(protocol.measure_at_mpa), "kN"),
            Setting("pressure_on_sample", protocol.measure_at_mpa, "MPa"),
            Setting("release_rate", die.force_kn(protocol.release_mpa_s), "kN/s"),
        ),
    )
    release = Phase("release", "Force to zero at the release rate")
    what = "Go to the state of the measurement, settle, measure, release"
    return Operation("measurement", what, (go, settle, measure, release))


# ---------------------------------------------------------------------- XML


def batchml(answer: Answer, document: Mapping[str, Any]) -> str:
    """Return the recommended protocol as an ISA-88 master recipe, BatchML 0701.

    Values stand once, in the formula; the phases refer to them. The process window of a searched setting is a pair
    of parameters within its own.

    Args:
        answer: What the campaign has found.
        document: Its protocol file; its digest is the version of the recipe.

    Raises:
        InputError: The campaign has no protocol; says why.
    """
    protocol, experiment = answer.protocol, answer.experiment
    if protocol is None:
        raise InputError(f"there is no recipe to write: {answer.open_because}")
    windows = answer.recommendation.window if answer.recommendation is not None else {}
    steps = operations(protocol, experiment.cell.die, windows)
    version, date = document_digest(document)[:12], document["provenance"]["last_entry_at"]
    ElementTree.register_namespace("", BATCHML)
    recipe = _element(None, "MasterRecipe")
    _text(recipe, ID=experiment.name, Version=version)
    if date:
        _text(recipe, VersionDate=date)
    for line in (experiment.title, answer.status, BATCHML_NOTICE):
        if line:
            _text(recipe, Description=line)
    header = _element(recipe, "Header")
    if answer.approved_by:
        approval = _element(_element(header, "ApprovalHistory"), "IndividualApproval")
        _text(approval, ApprovedBy=answer.approved_by)
    _text(header, ProductName=experiment.title)
    _equipment(recipe, protocol, experiment.cell.die, experiment.limits)
    formula = _element(recipe, "Formula")
    for step in steps:
        for phase in step.phases:
            for setting in phase.settings:
                _parameter(formula, f"{step.name}.{setting.name}", setting)
    _procedure(recipe, [(step.name, step.what) for step in steps], version)
    for step in steps:
        operation = _recipe_element(recipe, step.name, version, step.what, "Operation")
        phases = [(f"{step.name}.{phase.name}", phase.what) for phase in step.phases]
        _procedure(operation, phases, version)
        for (name, what), phase in zip(phases, step.phases, strict=True):
            element = _recipe_element(operation, name, version, what, "Phase")
            for setting in phase.settings:
                _reference(element, setting, f"{step.name}.{setting.name}")
    _expected(recipe, answer)
    safety = _element(recipe, "OtherInformation")
    _text(safety, ID="safety")
    for note in safety_notes(experiment.cell, protocol):
        _text(safety, Description=note)
    ElementTree.indent(recipe)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(recipe, encoding="unicode") + "\n"


def _equipment(recipe: ElementTree.Element, protocol: PressingProtocol, die: Die, limits: Limits) -> None:
    """What the machine must be able to do, and what it must never exceed."""
    machine = "roller" if protocol.rolled else "press"
    requirement = _element(recipe, "EquipmentRequirement")
    _text(requirement, ID=machine)
    for name, condition in _conditions(protocol, die, limits):
        _text(_element(requirement, "Constraint"), ID=name, Condition=condition)
    _text(requirement, Description=f"What the {machine} must reach, and what it must never exceed")


def _conditions(protocol: PressingProtocol, die: Die, limits: Limits) -> Iterator[tuple[str, str]]:
    hottest_c = max(protocol.measure_at_c, *(stage.temperature_c for stage in protocol.stages))
    yield "reach.temperature", f"temperature >= {hottest_c:g} degC"
    pressed = [stage.pressure_mpa for stage in protocol.stages if isinstance(stage, Stage)]
    if pressed:
        yield "reach.force", f"force >= {number(die.force_kn(max(pressed)))} kN"
        yield "die", f"die diameter = {die.diameter_mm:g} mm"
    for stage in protocol.stages:
        if isinstance(stage, RollStage):
            yield "reach.line_force", f"line force >= {number(stage.line_force_n_mm)} N/mm"
    most = (
        ("force", limits.force_kn, "kN"), ("pressure_on_sample", limits.pressure_mpa, "MPa"),
        ("temperature", limits.temperature_c, "degC"), ("line_force", limits.line_force_n_mm, "N/mm"),
    )  # fmt: skip
    for name, limit, unit in most:
        if limit is not None:
            yield f"limit.{name}", f"{name.replace('_', ' ')} <= {limit:g} {unit}"


def _procedure(parent: ElementTree.Element, steps: Sequence[tuple[str, str]], version: str) -> None:
    """One step after the other; a step runs the recipe element of its name."""
    logic = _element(parent, "ProcedureLogic")
    for position in range(1, len(steps)):
        link = _element(logic, "Link")
        _text(link, ID=f"L{position}")
        for end, step in (("From", position), ("To", position + 1)):
            held = _element(link, f"{end}ID")
            _text(held, **{f"{end}IDValue": f"S{step}", f"{end}Type": "Step", "IDScope": "Internal"})
        _text(link, LinkType="ControlLink", Depiction="LineAndArrow")
    for position, (name, what) in enumerate(steps, 1):
        _text(
            _element(logic, "Step"), ID=f"S{position}", RecipeElementID=name, RecipeElementVersion=version,
            Description=what,
        )  # fmt: skip


def _recipe_element(
    parent: ElementTree.Element, name: str, version: str, what: str, kind: str
) -> ElementTree.Element:
    element = _element(parent, "RecipeElement")
    _text(element, ID=name, Version=version, Description=what, RecipeElementType=kind)
    return element


def _parameter(parent: ElementTree.Element, identifier: str, setting: Setting) -> None:
    parameter = _element(parent, "Parameter")
    _text(parameter, ID=identifier, ParameterType="ProcessParameter")
    _value(parameter, [setting.value], setting.unit)
    for end, edge in zip(("low", "high"), setting.window or (), strict=False):
        held = _element(parameter, "Parameter")
        what = f"{end} end of the process window"
        _text(held, ID=f"{identifier}.{end}", Description=what, ParameterType="ProcessParameter")
        _value(held, [edge], setting.unit)


def _reference(parent: ElementTree.Element, setting: Setting, formula: str) -> None:
    """A parameter of a phase: its value is the formula's."""
    parameter = _element(parent, "Parameter")
    _text(parameter, ID=setting.name, ParameterType="ProcessParameter")
    _value(parameter, [formula], setting.unit, how="Reference", kind=_type(setting.value))


def _expected(recipe: ElementTree.Element, answer: Answer) -> None:
    for result in answer.results:
        if result.expected is None:
            continue
        held = _element(recipe, "OtherInformation")
        _text(held, ID=f"expected.{result.quantity}")
        interval = result.expected
        _value(held, [interval.median, interval.low, interval.high], quantity_unit(result.quantity) or "1")
        share = f"{100 * interval.probability:g} % interval"
        _text(held, Description=f"Expected {quantity_label(result.quantity)}: median, low and high of the {share}")


def _value(
    parent: ElementTree.Element, values: Sequence[Any], unit: str, *, how: str = "Constant", kind: str = ""
) -> None:
    held = _element(parent, "Value")
    for value in values:
        _text(held, ValueString=value if isinstance(value, str) else repr(value))
    _text(held, DataInterpretation=how, DataType=kind or _type(values[0]), UnitOfMeasure=unit)


def _type(value: float | int) -> str:
    return "double" if isinstance(value, float) else "integer"


def _element(parent: ElementTree.Element | None, tag: str) -> ElementTree.Element:
    name = f"{{{BATCHML}}}{tag}"
    return ElementTree.Element(name) if parent is None else ElementTree.SubElement(parent, name)


def _text(parent: ElementTree.Element, **children: str) -> None:
    """Add children that hold text only, in the order given."""
    for tag, text in children.items():
        _element(parent, tag).text = text
