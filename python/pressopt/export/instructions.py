"""What the operator's sheet says, in words and gauge numbers; HTML and plain text only lay it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pressopt.campaign.experiment import STACK
from pressopt.export.answer import Answer, Reference, Result
from pressopt.export.document import stage_windows
from pressopt.export.safety import safety_notes
from pressopt.export.wording import (
    count,
    duration,
    force_tf,
    frequency,
    interval,
    label_of,
    number,
    oil_bar,
    quantity_label,
    quantity_unit,
    quantity_value,
    rough_duration,
    setting,
    unit_of,
)
from pressopt.pressing import Cell, Die, Layer, PressingProtocol, RollStage, SafeState, Stage

#: A reading so many times above the upper end of the expected interval is looked into before it is believed.
#: Assumed: cells of one batch scatter by less when nothing went wrong.
DOUBTFUL = 2.0

_SAFE = {
    SafeState.RELEASE: "release to zero",
    SafeState.HOLD: "keep the force and call for help",
    SafeState.HOLD_AND_COOL: "keep the force and let the platens cool",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number to set or read, big on the sheet: ``2.75``, ``kN``."""

    value: str
    unit: str

    def __str__(self) -> str:
        return f"{self.value} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Span:
    """A setting inside its process window, to be drawn as a scale.

    Attributes:
        low, value, high: In the gauge's unit.
        low_text, high_text: The ends as people read them.
        log: Whether ratios count, as for times.
    """

    low: float
    value: float
    high: float
    low_text: str
    high_text: str
    log: bool = False


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far one searched setting may be missed, and how much it matters."""

    label: str
    value: str
    window: str
    effect: float
    at_low: str
    at_high: str


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the sheet.

    Attributes:
        name: What is done.
        how: Rate and what to wait for.
        gauge: The number to set.
        also: The same in other units.
        gauge_window: Process window of the gauge; empty: as set.
        hold: Timer, speed or waiting time.
        hold_window: Its window; empty: as set.
        heat: Temperature.
        heat_window: Its window; empty: as set.
        minor: Whether it only leads to, or follows, the pressing.
        gauge_span, hold_span, heat_span: The windows as numbers, where there are any.
    """

    name: str
    how: str
    gauge: Figure
    also: tuple[str, ...]
    gauge_window: str
    hold: Figure
    hold_window: str
    heat: Figure
    heat_window: str
    minor: bool = False
    gauge_span: Span | None = None
    hold_span: Span | None = None
    heat_span: Span | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expected result: value, range, how sure, compared with what."""

    label: str
    value: Figure
    range: str
    measured: bool
    comparisons: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Instructions:
    """A whole sheet in words."""

    title: str
    goal: str
    status: str
    die_name: str
    die: str
    cell: str
    never_above: str
    ram: str
    steps: tuple[Step, ...]
    before: str
    checks: tuple[str, ...]
    troubles: tuple[tuple[str, str], ...]
    expectations: tuple[Expectation, ...]
    tolerances: tuple[Tolerance, ...]
    table: tuple[str, ...]
    provenance: tuple[str, ...]


def gauge_number(value: float) -> str:
    """Three significant digits, zeros kept, as one reads a gauge: 2.75, 0.280, 35.0, 104."""
    if value == 0:
        return "0"
    digits = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, 3 - digits)}f}"


def instructions(answer: Answer, *, ram_area_cm2: float | None = None) -> Instructions:
    """Return what the sheet of a campaign says, whether it is finished or not."""
    experiment, protocol = answer.experiment, answer.protocol
    cell = experiment.cell
    steps = () if protocol is None else _steps(answer, protocol, ram_area_cm2)
    return Instructions(
        title=experiment.title,
        goal=experiment.goal,
        status=answer.status,
        die_name="Electrode" if experiment.rolled else "Die",
        die=f"Ø {number(cell.electrode_diameter_mm if experiment.rolled else cell.die.diameter_mm)} mm",
        cell=" | ".join(_layer(layer) for layer in cell.layers),
        never_above=_never_above(answer),
        ram="" if ram_area_cm2 is None else f"{number(ram_area_cm2)} cm²",
        steps=steps,
        before="Before the rolls turn" if experiment.rolled else "Before the ram moves",
        checks=_checks(answer, ram_area_cm2),
        troubles=() if protocol is None else _troubles(answer, protocol),
        expectations=tuple(_expectation(result) for result in answer.results if result.expected is not None),
        tolerances=_tolerances(answer),
        table=_table(answer),
        provenance=_provenance(answer),
    )


# ---------------------------------------------------------------------- steps


def _steps(answer: Answer, protocol: PressingProtocol, ram_area_cm2: float | None) -> tuple[Step, ...]:
    die = answer.experiment.cell.die
    found = [
        _roll_step(answer, stage)
        if isinstance(stage, RollStage)
        else _press_step(answer, stage, die, ram_area_cm2)
        for stage in protocol.stages
    ]
    found.append(_measure_step(answer, protocol, die, ram_area_cm2))
    if not protocol.rolled and protocol.measure_at_mpa > 0:
        found.append(
            Step(
                "Release",
                f"at {number(protocol.release_mpa_s)} MPa/s = "
                f"{number(die.force_kn(protocol.release_mpa_s))} kN/s, then take the cell out",
                Figure("0", "kN"),
                (),
                "",
                Figure("", ""),
                "",
                Figure("", ""),
                "",
                minor=True,
            )
        )
    return tuple(found)


def _press_step(answer: Answer, stage: Stage, die: Die, ram_area_cm2: float | None) -> Step:
    windows = stage_windows(answer, stage.name)
    ramp_kn_s = die.force_kn(stage.ramp_mpa_s)
    return Step(
        name=_title(stage.name),
        how=f"ramp {number(stage.ramp_mpa_s)} MPa/s = {gauge_number(ramp_kn_s)} kN/s; timer starts at full force",
        gauge=Figure(gauge_number(die.force_kn(stage.pressure_mpa)), "kN"),
        also=_also(die, stage.pressure_mpa, ram_area_cm2),
        gauge_window=_force_window(windows, die),
        hold=_timer(stage.dwell_s),
        hold_window=_window(windows, "dwell_s"),
        heat=Figure(number(stage.temperature_c), "°C"),
        heat_window=_window(windows, "temperature_c"),
        gauge_span=_force_span(windows, die, stage.pressure_mpa),
        hold_span=_span(windows, "dwell_s", stage.dwell_s),
        heat_span=_span(windows, "temperature_c", stage.temperature_c),
    )


def _roll_step(answer: Answer, stage: RollStage) -> Step:
    windows = stage_windows(answer, stage.name)
    passes = count(stage.passes, "pass", "passes")
    return Step(
        name=_title(stage.name),
        how=f"{passes} between the rolls, same direction",
        gauge=Figure(number(stage.line_force_n_mm), "N/mm"),
        also=(passes,),
        gauge_window=_window(windows, "line_force_n_mm"),
        hold=Figure(number(stage.speed_mm_s), "mm/s"),
        hold_window=_window(windows, "speed_mm_s"),
        heat=Figure(number(stage.temperature_c), "°C"),
        heat_window=_window(windows, "temperature_c"),
        gauge_span=_span(windows, "line_force_n_mm", stage.line_force_n_mm),
        hold_span=_span(windows, "speed_mm_s", stage.speed_mm_s),
        heat_span=_span(windows, "temperature_c", stage.temperature_c),
    )


def _measure_step(answer: Answer, protocol: PressingProtocol, die: Die, ram_area_cm2: float | None) -> Step:
    sweep, plan = answer.experiment.sweep, answer.experiment.measurement
    if plan.kind == "four-wire":
        how = f"four-wire resistance, mean of {plan.readings} readings"
    else:
        how = (
            f"impedance {frequency(sweep.high_hz)} to {frequency(sweep.low_hz)}, "
            f"{number(sweep.amplitude_mv)} mV, {sweep.points_per_decade} points per decade"
        )
    held = protocol.measure_at_mpa
    return Step(
        name="Measure",
        how=how,
        gauge=Figure("free", "") if protocol.rolled else Figure(gauge_number(die.force_kn(held)), "kN"),
        also=_also(die, held, ram_area_cm2) if held > 0 else ("released",) * (not protocol.rolled),
        gauge_window=_force_window(stage_windows(answer, STACK), die),
        hold=_timer(protocol.settle_s),
        hold_window="wait before measuring" if protocol.settle_s else "",
        heat=Figure(number(protocol.measure_at_c), "°C"),
        heat_window="",
        minor=True,
    )


def _also(die: Die, pressure_mpa: float, ram_area_cm2: float | None) -> tuple[str, ...]:
    force_kn = die.force_kn(pressure_mpa)
    found = [f"{gauge_number(pressure_mpa)} MPa on sample", f"{gauge_number(force_tf(force_kn))} tf"]
    if ram_area_cm2 is not None:
        found.append(f"{gauge_number(oil_bar(force_kn, ram_area_cm2))} bar oil")
    return tuple(found)


def _force_window(windows: Mapping[str, tuple[float, float]], die: Die) -> str:
    if "pressure_mpa" not in windows:
        return ""
    low, high = (gauge_number(die.force_kn(edge)) for edge in windows["pressure_mpa"])
    return f"good from {low} to {high} kN"


def _force_span(windows: Mapping[str, tuple[float, float]], die: Die, pressure_mpa: float) -> Span | None:
    if "pressure_mpa" not in windows:
        return None
    low, high = (die.force_kn(edge) for edge in windows["pressure_mpa"])
    return Span(low, die.force_kn(pressure_mpa), high, gauge_number(low), f"{gauge_number(high)} kN")


def _span(windows: Mapping[str, tuple[float, float]], variable: str, value: float) -> Span | None:
    if variable not in windows:
        return None
    low, high = windows[variable]
    if variable == "dwell_s":
        return Span(low, value, high, rough_duration(low), rough_duration(high), log=low > 0)
    unit = {"temperature_c": "°C", "line_force_n_mm": "N/mm", "speed_mm_s": "mm/s"}[variable]
    return Span(low, value, high, number(low), f"{number(high)} {unit}")


def _window(windows: Mapping[str, tuple[float, float]], variable: str) -> str:
    if variable not in windows:
        return ""
    low, high = windows[variable]
    if variable == "dwell_s":
        return f"{rough_duration(low)} to {rough_duration(high)}"
    unit = {"temperature_c": "°C", "line_force_n_mm": "N/mm", "speed_mm_s": "mm/s"}[variable]
    return f"{interval(low, high)} {unit}"


def _timer(seconds: float) -> Figure:
    text = duration(seconds)
    value, _, unit = text.partition(" ")
    return Figure(text, "") if unit.count(" ") else Figure(value, unit)


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ")
    return words[:1].upper() + words[1:]


# ---------------------------------------------------------------------- around the steps


def _layer(layer: Layer) -> str:
    thick = layer.thickness_um >= 1000
    # No-break spaces: a thickness stays with its unit and its material.
    size = f"{number(layer.thickness_um / 1000)}\u00a0mm" if thick else f"{number(layer.thickness_um)}\u00a0µm"
    return f"{layer.material}\u00a0{size}" + (", powder" if layer.powder else "")


def _never_above(answer: Answer) -> str:
    """The tightest software limit in the gauge's own unit."""
    limits, die = answer.experiment.limits, answer.experiment.cell.die
    if answer.experiment.rolled:
        most = limits.line_force_n_mm
        found = [] if most is None else [f"{number(most)} N/mm"]
    else:
        forces_kn = [force for force in (limits.force_kn,) if force is not None]
        forces_kn += [] if limits.pressure_mpa is None else [die.force_kn(limits.pressure_mpa)]
        found = [f"{gauge_number(min(forces_kn))} kN"] if forces_kn else []
    if limits.temperature_c is not None:
        found.append(f"{number(limits.temperature_c)} °C")
    return " · ".join(found)


def _checks(answer: Answer, ram_area_cm2: float | None) -> tuple[str, ...]:
    cell: Cell = answer.experiment.cell
    found = [*safety_notes(cell, answer.protocol)]
    if answer.experiment.rolled:
        found.append("Rolls clean; the gauge reads zero without force.")
    else:
        ram = (
            "" if ram_area_cm2 is None else f", ram {number(ram_area_cm2)} cm²: the bar figures hold for no other"
        )
        found.append(
            f"Die Ø {number(cell.die.diameter_mm)} mm (all forces here hold for this die only{ram}); electrode "
            f"Ø {number(cell.electrode_diameter_mm)} mm, centred; faces clean and dry; gauge reads zero."
        )
    return tuple(found)


def _troubles(answer: Answer, protocol: PressingProtocol) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    never = _never_above(answer)
    first = protocol.stages[-1]
    abort = "stop the rolls" if isinstance(first, RollStage) else _SAFE[first.on_abort]
    if never:
        first_limit = never.split(" · ")[0]
        what = "Temperature" if first_limit.endswith("°C") else "Gauge"
        found.append((f"STOP {what} passes {first_limit}", f"Abort: {abort}. Do not go on with this cell."))
    found.append(("STOP Crack, bang, sudden drop", f"Abort: {abort}. Set the cell aside and write it down."))
    if not protocol.rolled:
        found.append(
            ("Force sags in the hold", "Bring it back slowly; write it down. Outside the window: no valid cell.")
        )  # fmt: skip
    found.append(("Temperature not reached", "Wait under force; the timer starts at temperature."))
    main = answer.main
    if main.expected is not None and main.direction == "minimize" and main.source == "measured":
        found.append(
            (
                f"Result above {quantity_value(main.quantity, DOUBTFUL * main.expected.high, 2)}",
                "Check contacts, measure again; then press a second cell.",
            )
        )
    if answer.experiment.measurement.kind == "impedance":
        found.append(("No arc, near 0 Ω", "Soft short: the cell does not count."))  # fmt: skip
    return tuple(found)


# ---------------------------------------------------------------------- results and evidence


def _expectation(result: Result) -> Expectation:
    expected = result.expected
    assert expected is not None  # asked for results with an expectation only
    unit = quantity_unit(result.quantity)
    share = f"{100 * expected.probability:g} %"
    note = "of the true value; one cell scatters more"
    return Expectation(
        label=quantity_label(result.quantity),
        value=Figure(number(expected.median), unit),
        range=f"{interval(expected.low, expected.high)} {unit}".rstrip() + f" ({share})",
        measured=result.source == "measured",
        comparisons=tuple(comparison(result, reference) for reference in result.references),
        note=note if result.source == "measured" else "by physics alone; nothing here measures it",
    )


def comparison(result: Result, reference: Reference) -> str:
    """Return how the recommended protocol compares, in one phrase that says who knows the other value."""
    names = {
        "untouched": "untouched cell",
        "initial design": "best of the initial design",
        "best cell": "best single reading",
    }
    factor = result.factor(reference)
    lower = result.direction == "minimize"
    if factor is None:
        how = "compare with"
    elif 0.98 < factor < 1.02:
        how = "as good as"
    else:
        word = ("lower" if lower else "higher") if factor > 1 else ("higher" if lower else "lower")
        ratio = factor if factor > 1 else 1 / factor
        how = (
            f"{number(ratio, 2)} times {word} than"
            if ratio >= 2
            else f"{number(100 * _change(result, reference), 2)} % {word} than"
        )
    known = f"{reference.source}, cell {reference.trial}" if reference.trial is not None else reference.source
    return f"{how} the {names[reference.name]} ({quantity_value(result.quantity, reference.value)}, {known})"


def _change(result: Result, reference: Reference) -> float:
    assert result.expected is not None  # a factor exists only with an expectation
    return abs(1 - result.expected.median / reference.value)


def _tolerances(answer: Answer) -> tuple[Tolerance, ...]:
    """The searched settings, the most effective first."""
    recommendation = answer.recommendation
    if recommendation is None:
        return ()
    names = sorted(recommendation.window, key=lambda name: -recommendation.effects.get(name, 0.0))
    found = []
    for name in names:
        low, high = recommendation.window[name]
        timed = name.endswith("dwell_s")
        ends = (rough_duration(low), rough_duration(high)) if timed else (number(low), number(high))
        unit = "" if timed else f" {unit_of(name)}".rstrip()
        missed = [number(expected.median) for _, expected in answer.sensitivity.get(name, ())]
        found.append(
            Tolerance(
                label_of(name),
                setting(name, recommendation.settings[name]),
                f"{ends[0]} to {ends[1]}{unit}",
                recommendation.effects.get(name, 0.0),
                *(missed if len(missed) == 2 else ("", "")),
            )
        )
    return tuple(found)


def _table(answer: Answer) -> tuple[str, ...]:
    """Headings of the table to fill in, with units."""
    main = answer.main
    unit = quantity_unit(main.quantity)
    result = f"Result / {unit}" if main.source == "measured" and unit else "Result"
    if answer.experiment.rolled:
        set_ = ("Force / N/mm", "Speed / mm/s", "Passes")
    else:
        set_ = ("Force / kN", "Lowest in hold", "Dwell")
    return ("Cell", "Date, time", *set_, "Temp. / °C", result, "Remarks", "By")


def _provenance(answer: Answer) -> tuple[str, ...]:
    found, state = answer.evidence, answer.state
    kinds = ", ".join(f"{cells} {kind.replace('_', ' ')}" for kind, cells in found.failed.items())
    cells = f"{count(found.pressed, 'cell')} pressed, {found.valid} valid" + (f" ({kinds})" if kinds else "")
    version = (state.opened.software if state.opened is not None else {}).get("pressopt", "of unknown version")
    strategy = answer.experiment.strategy.name
    lines = [
        f"{cells}, {count(found.replicates, 'replicate')}. Campaign {answer.experiment.name}, pressopt {version}, "
        f"strategy {strategy}, seed {answer.experiment.seed}.",
        f"Journal {state.last_seq} entries, head {state.digest[:16]}. Experiment {answer.experiment.digest[:16]}.",
    ]
    recommendation = answer.recommendation
    if recommendation is not None and recommendation.window:
        lines.insert(
            0,
            f"Windows: the result stays within {100 * recommendation.window_tolerance:g} % of the expected best "
            f"while one setting moves and the others are held. Probability that a cell so pressed does not fail: "
            f"{100 * recommendation.feasibility:.0f} %.",
        )
    return tuple(lines)
