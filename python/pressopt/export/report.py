"""The report of a campaign as self-contained HTML: the first page for a group leader, the rest for a reviewer."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from pressopt.campaign.journal import Journal
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.replay import TrialState
from pressopt.errors import InputError, PressoptError
from pressopt.export.answer import Answer, Result, best_trial
from pressopt.export.as_run import Run, runs
from pressopt.export.findings import PhysicsCheck, advice, check_physics, coverage, expectation, next_trial
from pressopt.export.instructions import comparison
from pressopt.export.sheet_drawing import bar
from pressopt.export.sheet_layout import unbroken
from pressopt.export.tables import note_of
from pressopt.export.wording import (
    count,
    duration,
    interval,
    label_of,
    number,
    quantity_label,
    quantity_unit,
    quantity_value,
    rough_duration,
    setting,
    unit_of,
    with_sd,
)
from pressopt.optimizer import Proposal, Recommender, Variable
from pressopt.pressing import Layer, Stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LABORATORIES = {"twin": "the built-in twin", "bench": "a bench"}
_STYLE = Path(__file__).with_name("report.css")


def campaign_report(answer: Answer, journal: Journal, *, recommender: Recommender | None = None) -> str:
    """Return the report of a campaign, finished or not, as HTML that needs no other file.

    Args:
        answer: What the campaign has found.
        journal: Where spectra and curves are.
        recommender: The campaign's engine: without it there is no surface, no check of the physics, no next trial.
    """
    check = check_physics(answer, recommender)
    following = next_trial(answer, recommender)
    as_run = runs(answer, journal)
    parts = [
        _cover(answer),
        _ribbon(answer),
        _keys(answer),
        _found(answer, following),
        _asked(answer),
        _how(answer, journal, recommender),
        _physics(answer, check),
        _trials(answer),
        _as_run(as_run),
        _origin(answer, journal),
    ]
    title = escape(f"{answer.experiment.name}: report")
    body = "\n".join(part for part in parts if part)
    return unbroken(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


# ---------------------------------------------------------------------- for two minutes


def _cover(answer: Answer) -> str:
    return (
        '<div class="cover"><div class="eyebrow">Pressing campaign · report</div>'
        f"<h1>{escape(answer.experiment.title)}</h1><p>{escape(answer.experiment.goal.strip())}</p></div>"
    )


def _ribbon(answer: Answer) -> str:
    return f'<p class="ribbon">{escape(answer.status)}</p>' if answer.status else ""


def _keys(answer: Answer) -> str:
    """Three or four big numbers."""
    result, evidence = answer.main, answer.evidence
    cells = []
    if result.expected is not None:
        expected, unit = result.expected, quantity_unit(result.quantity)
        known = "" if result.source == "measured" else "; predicted, not measured"
        label = quantity_label(result.quantity)
        edges = f"{label}; {interval(expected.low, expected.high)}, {100 * expected.probability:g} %{known}"
        cells.append(("Expected result", number(expected.median), unit, edges))
        better = next((one for one in result.references if (result.factor(one) or 0) > 0), None)
        factor = None if better is None else result.factor(better)
        if better is not None and factor is not None:
            cells.append(
                ("Better by", number(factor, 2), "times",
                 f"than the {better.name} {'cell' if better.name == 'untouched' else ''} ({better.source})")
            )  # fmt: skip
    failed = sum(evidence.failed.values())
    cells.append(
        ("Cells pressed", str(evidence.pressed), "", f"{evidence.valid} valid, {failed} failed, "
         f"{count(evidence.replicates, 'replicate')}; budget {answer.experiment.budget.trials}")
    )  # fmt: skip
    if answer.recommendation is not None:
        share = 100 * answer.recommendation.feasibility
        cells.append(("A cell succeeds with", f"{share:.0f}", "%", "pressed so, by the model"))
    boxes = "".join(
        f"<td><span>{escape(name)}</span><b>{escape(value)} <small>{escape(unit)}</small></b>"
        f"<i>{escape(' '.join(note.split()))}</i></td>"
        for name, value, unit, note in cells
    )
    return f'<table class="keys"><tr>{boxes}</tr></table>'


def _found(answer: Answer, following: Proposal | None) -> str:
    recommendation = answer.recommendation
    why = "nothing valid was measured" if not answer.evidence.valid else "the engine was not asked"
    left = f"<h3>The protocol</h3><p>There is none: {why}.</p>"
    if recommendation is not None:
        rows = "".join(_setting_row(answer, variable) for variable in answer.experiment.space.variables)
        rows = rows or "<tr><td>one protocol for every cell</td></tr>"
        left = (
            f"<h3>What to press</h3>{_protocol_sentence(answer)}"
            '<table class="grid"><thead><tr><th>setting</th><th>set</th>'
            f"<th>good from, to ({100 * recommendation.window_tolerance:g} %)</th><th>matters</th></tr></thead>"
            f"{rows}</table>"
        )
    results = "".join(_result_lines(result) for result in answer.results if result.expected is not None)
    right = f"<h3>How sure</h3>{results or '<p>Nothing can be expected yet.</p>'}"
    todo = "".join(f"<li>{escape(line)}</li>" for line in advice(answer, following))
    return (
        f'<table class="halves"><tr><td>{left}</td><td>{right}</td></tr></table>'
        f'<h2>What to try next</h2><div class="next"><ul>{todo}</ul>{_following(answer, following)}</div>'
    )


def _protocol_sentence(answer: Answer) -> str:
    protocol = answer.protocol
    if protocol is None:
        return ""
    stages = []
    for stage in protocol.stages:
        if isinstance(stage, Stage):
            force_kn = answer.experiment.cell.die.force_kn(stage.pressure_mpa)
            stages.append(
                f"{stage.name}: {number(stage.pressure_mpa)} MPa ({number(force_kn)} kN on this die) for "
                f"{duration(stage.dwell_s)} at {number(stage.temperature_c)} °C"
            )
        else:
            stages.append(
                f"{stage.name}: {number(stage.line_force_n_mm)} N/mm, {count(stage.passes, 'pass', 'passes')} at "
                f"{number(stage.speed_mm_s)} mm/s and {number(stage.temperature_c)} °C"
            )
    return f'<p style="margin-bottom: 2mm">{escape(_capital("; then ".join(stages)))}.</p>'


def _setting_row(answer: Answer, variable: Variable) -> str:
    recommendation = answer.recommendation
    assert recommendation is not None  # asked for campaigns with an answer only
    name = variable.name
    window, effect = recommendation.window.get(name), recommendation.effects.get(name)
    good = "" if window is None else _window(name, window)
    matters = "" if effect is None else f"{bar(effect)}<span class='soft'>{100 * effect:.0f} %</span>"
    return (
        f"<tr><td>{escape(_capital(label_of(name)))}</td>"
        f'<td class="nowrap"><b>{escape(setting(name, recommendation.settings[name]))}</b></td>'
        f"<td>{escape(good)}</td><td>{matters}</td></tr>"
    )


def _window(name: str, window: tuple[float, float]) -> str:
    if unit_of(name) == "s":
        return f"{rough_duration(window[0])} to {rough_duration(window[1])}"
    return f"{interval(*window)} {unit_of(name)}".rstrip()


def _result_lines(result: Result) -> str:
    expected = result.expected
    assert expected is not None  # asked for results with an expectation only
    unit = quantity_unit(result.quantity)
    tag = "" if result.source == "measured" else ' <span class="tag">predicted, not measured</span>'
    target = ""
    if result.target is not None:
        met = {True: "met", False: "not surely met", None: "open"}[result.target_met]
        target = f"<p>Target {number(result.target)} {escape(unit)}: {met}.</p>"
    compared = "".join(f"<li>{escape(_capital(comparison(result, one)))}.</li>" for one in result.references)
    return (
        f"<p><b>{escape(_capital(quantity_label(result.quantity)))}</b>: {escape(number(expected.median))} "
        f"{escape(unit)}, {100 * expected.probability:g} % interval "
        f"{escape(interval(expected.low, expected.high))} {escape(unit)}{tag}</p>{target}<ul>{compared}</ul>"
    )


def _following(answer: Answer, following: Proposal | None) -> str:
    if following is None:
        return ""
    words = "; ".join(
        f"{label_of(name)} {setting(name, following.settings[name])}" for name in answer.experiment.space.names
    )
    expected = expectation(answer.main.quantity, following.predicted)
    text = f"The engine would press next: {words or 'the same protocol'}. Its reason: {following.reason}."
    text += f" It expects {expected}." if expected else ""
    return f"<p>{escape(text)}</p>"


# ---------------------------------------------------------------------- for an hour


def _asked(answer: Answer) -> str:
    experiment = answer.experiment
    ranges = "".join(
        f"<tr><td>{escape(_capital(label_of(one.name)))}</td><td>{escape(_range(one))}</td>"
        f"<td>{'ratios' if one.scale == 'log' else 'steps' if one.numeric else ''}</td></tr>"
        for one in experiment.space.variables
    )
    goals = "".join(
        f"<li>{escape(_goal(result))}</li>" for result in answer.results
    ) + "".join(
        f"<li>{escape(_capital(quantity_label(one.quantity)))} "
        f"{escape(_bounds(one.lower, one.upper, quantity_unit(one.quantity)))}, with a probability of at least "
        f"{100 * one.probability:g} % ({one.source})</li>"
        for one in experiment.constraints
    )  # fmt: skip
    limits = ", ".join(
        f"{number(value)} {unit}"
        for value, unit in (
            (experiment.limits.pressure_mpa, "MPa"),
            (experiment.limits.force_kn, "kN"),
            (experiment.limits.temperature_c, "°C"),
            (experiment.limits.ramp_mpa_s, "MPa/s"),
            (experiment.limits.line_force_n_mm, "N/mm"),
        )
        if value is not None
    )
    layers = "".join(f"<li>{escape(_layer(layer))}</li>" for layer in experiment.cell.layers)
    plan = experiment.measurement
    state = "released" if plan.pressure_mpa == 0 else "at a pressure that was searched"
    if plan.pressure_mpa:
        state = f"under {number(plan.pressure_mpa)} MPa"
    return (
        '<h2 class="reviewer">What was asked</h2><table class="halves"><tr><td>'
        f"<h3>Goals</h3><ul>{goals}</ul><h3>Searched</h3>"
        '<table class="grid"><thead><tr><th>setting</th><th>from, to</th><th>evenly in</th></tr></thead>'
        f"{ranges}</table></td><td><h3>Cell, from the bottom up</h3><ul>{layers}</ul>"
        f"<p>Die Ø {number(experiment.cell.die.diameter_mm)} mm, electrode "
        f"Ø {number(experiment.cell.electrode_diameter_mm)} mm.</p>"
        f"<p>Measured by {plan.kind}, {state}, at {number(plan.temperature_c)} °C after "
        f"{duration(plan.settle_s)}.</p><p>Never above {escape(limits)}.</p>"
        f"<p>{experiment.budget.trials} cells at most; strategy {escape(experiment.strategy.name)}, seed "
        f"{experiment.seed}; laboratory: {_LABORATORIES[experiment.laboratory.kind]}.</p></td></tr></table>"
    )


def _how(answer: Answer, journal: Journal, recommender: Recommender | None) -> str:
    from pressopt.export.pictures import (
        CampaignModel,
        draw_convergence,
        draw_front,
        draw_nyquist_of_trials,
        draw_surface,
    )

    def surface() -> Figure:
        if recommender is None or not answer.experiment.space.variables:
            raise InputError("there is no engine to ask, or nothing was searched")
        return draw_surface(answer, CampaignModel(recommender, answer.state.observations()))

    inside, told = coverage(answer, answer.main.quantity)
    honest = (
        f" Of {count(told, 'cell')} for which the model gave an interval beforehand, {inside} were measured "
        "inside it; a reading scatters more than the true value that the interval is for."
        if told
        else ""
    )
    figures = (
        (lambda: draw_convergence(answer), "How it converged",
         f"Every cell in the order of pressing; failures stand above, because they have no value.{honest}"),
        (surface, "What the model expects over the settings",
         "The two settings that matter most, the others as recommended. Circles are cells; hatched: likelier to "
         "fail than not, or against a constraint; the box is the process window."),
        (lambda: draw_front(answer), "What must be given up to gain",
         "Protocols of which none is better than another in both objectives."),
        (lambda: draw_nyquist_of_trials(answer, journal), "Spectra behind the numbers",
         "Points as measured, lines as fitted."),
    )  # fmt: skip
    shown = "".join(_figure(draw, title, text) for draw, title, text in figures)
    return f"<h2>How it was found</h2>{shown}"


def _figure(draw: Callable[[], Figure], title: str, text: str) -> str:
    """A picture with its words, or nothing where there is nothing to draw."""
    from pressopt.export.pictures import picture_bytes

    try:
        data = picture_bytes(draw(), "svg")
    except PressoptError:
        return ""  # no recommendation, one objective, no spectrum: the text says so where it matters
    half = ' class="half"' if title == "What must be given up to gain" else ""
    encoded = base64.b64encode(data).decode()
    return (
        f'<figure{half}><h3>{escape(title)}</h3><img alt="{escape(title)}" '
        f'src="data:image/svg+xml;base64,{encoded}"><figcaption>{escape(text)}</figcaption></figure>'
    )


def _physics(answer: Answer, check: PhysicsCheck | None) -> str:
    if check is None:
        none = "No physics was asked in this campaign, or there is nothing to compare it with."
        return f"<h2>What the physics got wrong</h2><p>{none}</p>"
    from pressopt.export.pictures import draw_parity

    lines = "".join(f"<p>{escape(line)}</p>" for line in check.sentences())
    rows = "".join(
        f"<tr><td>{one.trial}</td><td>{escape(_settings(answer, one.trial))}</td>"
        f'<td class="right">{number(one.predicted.median)} '
        f"({interval(one.predicted.low, one.predicted.high)})</td>"
        f'<td class="right">{number(one.measured)}</td><td class="right">{number(one.ratio, 2)}</td></tr>'
        for one in check.worst[:5]
    )
    assumed = (
        f"<p>The physics rests on {count(len(answer.assumed), 'assumed input')}.</p>" if answer.assumed else ""
    )
    picture = _figure(
        lambda: draw_parity(check), "Physics alone, and measured",
        "On the line the physics was right. Intervals are its 95 %, before any cell was pressed.",
    ).replace("<figure>", '<figure class="half">')  # fmt: skip
    return (
        f"<h2>What the physics got wrong</h2>{lines}{assumed}{picture}<h3>Missed by most</h3>"
        '<table class="grid trials"><thead><tr><th>cell</th><th>pressed with</th><th>expected by physics</th>'
        f"<th>measured</th><th>ratio</th></tr></thead>{rows}</table>"
    )


def _trials(answer: Answer) -> str:
    quantity, unit = answer.main.quantity, quantity_unit(answer.main.quantity)
    if answer.main.source == "predicted":
        quantity = next((r.quantity for r in answer.results if r.source == "measured"), quantity)
        unit = quantity_unit(quantity)
    best = best_trial(answer.state.done, quantity, answer.main.direction)
    rows = "".join(
        _trial_row(answer, trial, quantity, best=best is not None and trial.number == best.number)
        for trial in answer.state.trials.values()
    )
    suffix = f" / {unit}" if unit else ""
    return (
        '<h2>Every trial</h2><table class="grid trials"><thead><tr><th>cell</th><th>why</th><th>pressed with</th>'
        f"<th>expected{escape(suffix)}</th><th>measured{escape(suffix)}</th><th>verdict</th><th>remarks</th></tr>"
        f"</thead>{rows}</table>"
    )


def _trial_row(answer: Answer, trial: TrialState, quantity: str, *, best: bool) -> str:
    told = trial.predicted.get(quantity)
    expected = "" if told is None else f"{number(told[0])} ({interval(told[1], told[2])})"
    found = trial.outcomes.get(quantity)
    verdict = " ".join(trial.failures).replace("_", " ") or trial.verdict or trial.phase.value
    bad = bool(trial.failures) or trial.phase in {Phase.REJECTED, Phase.FAULTED, Phase.UNCERTAIN}
    mark = ' class="bad"' if bad else ""
    return (
        f"<tr{' class=' + chr(34) + 'best' + chr(34) if best else ''}><td>{trial.number}</td>"
        f"<td>{escape(trial.reason)}</td><td>{escape(_settings(answer, trial.number))}</td>"
        f"<td>{escape(expected)}</td><td class='nowrap'>{escape('' if found is None else with_sd(*found))}</td>"
        f"<td{mark}>{escape(verdict)}</td><td>{escape(note_of(trial))}</td></tr>"
    )


def _as_run(all_runs: Sequence[Run]) -> str:
    if not all_runs:
        return ""
    rows = "".join(_run_row(run) for run in all_runs)
    noted = sum(bool(run.record.deviations) for run in all_runs)
    return (
        f"<h2>As run</h2><p>{count(len(all_runs), 'cell')} pressed; {noted} with deviations, "
        f"{count(sum(run.refills for run in all_runs), 'refill')} of the pump in all. Asked and achieved "
        "are means over the dwell.</p>"
        '<table class="grid trials"><thead><tr><th>cell</th><th>stage</th><th>asked</th><th>achieved</th>'
        "<th>overshoot</th><th>refills</th><th>dose / MPa s</th><th>deviations</th></tr></thead>"
        f"{rows}</table>"
    )


def _run_row(run: Run) -> str:
    rows = []
    for stage in run.record.stages:
        asked, got = (_stage_words(values) for values in (stage.asked, stage.achieved))
        over = f"{number(stage.overshoot_mpa, 2)} MPa" if stage.overshoot_mpa else ""
        notes = "; ".join(run.record.deviations) if stage is run.record.stages[0] else ""
        rows.append(
            f"<tr><td>{run.trial.number}</td><td>{escape(stage.name)}</td><td>{escape(asked)}</td>"
            f"<td>{escape(got)}</td><td>{over}</td><td>{stage.refills}</td>"
            f'<td class="right">{number(stage.dose_mpa_s, 4)}</td><td>{escape(notes)}</td></tr>'
        )
    return "".join(rows)


def _stage_words(values: dict[str, float]) -> str:
    return ", ".join(setting(name, value) for name, value in values.items())


def _origin(answer: Answer, journal: Journal) -> str:
    opened = answer.state.opened
    software = ", ".join(f"{name} {version}" for name, version in (opened.software if opened else {}).items())
    rows = (
        ("Campaign", answer.experiment.name),
        ("Journal", f"{answer.state.last_seq} entries, head {answer.state.digest}"),
        ("Experiment file", f"sha256 {answer.experiment.digest}"),
        ("Software", software),
        ("Released by", answer.approved_by or "nobody yet"),
    )
    table = "".join(f"<tr><td>{name}</td><td><code>{escape(value)}</code></td></tr>" for name, value in rows)
    return f'<h2>Where this comes from</h2><table class="prov">{table}</table>'


# ---------------------------------------------------------------------- words


def _settings(answer: Answer, number_of_trial: int) -> str:
    settings = answer.state.trials[number_of_trial].settings
    return ", ".join(setting(name, settings[name], 3) for name in answer.experiment.space.names)


def _range(variable: Variable) -> str:
    if not variable.numeric:
        return ", ".join(variable.choices)
    return f"{setting(variable.name, variable.low)} to {setting(variable.name, variable.high)}"


def _goal(result: Result) -> str:
    how = "Lowest" if result.direction == "minimize" else "Highest"
    text = f"{how} {quantity_label(result.quantity)}"
    if result.target is not None:
        text += f", target {quantity_value(result.quantity, result.target)}"
    return text + (" (predicted, not measured)" if result.source == "predicted" else "")


def _bounds(lower: float | None, upper: float | None, unit: str) -> str:
    parts = [f"at least {number(lower)}"] if lower is not None else []
    parts += [f"at most {number(upper)}"] if upper is not None else []
    return f"{' and '.join(parts)} {unit}".rstrip()


def _layer(layer: Layer) -> str:
    thick = layer.thickness_um >= 1000
    size = f"{number(layer.thickness_um / 1000)} mm" if thick else f"{number(layer.thickness_um)} µm"
    return f"{layer.material}, {layer.role.value}, {size}" + (", from powder" if layer.powder else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
