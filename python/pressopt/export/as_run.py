"""The as-run record: what each cell was asked to get and what it got, with refills, dose and deviations."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from pressopt.campaign.events import Loaded, PressingFinished, PressingStarted
from pressopt.campaign.journal import Journal
from pressopt.campaign.replay import TrialState
from pressopt.export.answer import Answer
from pressopt.pressing import PressRecord
from pressopt.pressing.record import StageRecord, record_from_bytes

#: Name and version of the format.
AS_RUN_SCHEMA = "pressopt/as-run/1"
_QUANTITIES = (
    ("pressure_mpa", "pressure", "MPa"),
    ("ramp_mpa_s", "ramp", "MPa/s"),
    ("dwell_s", "dwell", "s"),
    ("temperature_c", "temperature", "°C"),
    ("line_force_n_mm", "line force", "N/mm"),
    ("speed_mm_s", "speed", "mm/s"),
    ("passes", "passes", ""),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One cell as it was pressed.

    Attributes:
        trial: As the journal tells it.
        record: Its curves and stages.
        loaded_by: Who approved the cell.
        started_at, finished_at: Dates and times, ISO 8601 UTC, as the journal has them.
    """

    trial: TrialState
    record: PressRecord
    loaded_by: str
    started_at: str
    finished_at: str

    @property
    def dose_mpa_s(self) -> float:
        """Integral of pressure over time in all stages, MPa s."""
        return sum(stage.dose_mpa_s for stage in self.record.stages)

    @property
    def refills(self) -> int:
        """Pump restarts in all stages."""
        return sum(stage.refills for stage in self.record.stages)


def recorded_press(trial: TrialState, journal: Journal) -> PressRecord | None:
    """Return the curves of a trial's pressing, or None where it has none.

    Raises:
        InputError: A newer pressopt wrote them.
        JournalUnreadable: The journal lacks them, or they were changed.
    """
    return record_from_bytes(journal.blob(trial.record)) if trial.record else None


def runs(answer: Answer, journal: Journal) -> list[Run]:
    """Return all cells that were pressed, in order, also those whose pressing or measurement failed."""
    loaded: dict[int, str] = {}
    started: dict[int, str] = {}
    finished: dict[int, str] = {}
    for entry in journal.entries():
        if entry.seq > answer.state.last_seq:
            break
        match entry.event:
            case Loaded(trial=number, by=by):
                loaded[number] = by
            case PressingStarted(trial=number):
                started[number] = entry.at
            case PressingFinished(trial=number):
                finished[number] = entry.at
    found = []
    for number, trial in answer.state.trials.items():
        record = recorded_press(trial, journal)
        if record is not None:
            by, begin, end = (table.get(number, "") for table in (loaded, started, finished))
            found.append(Run(trial, record, by, begin, end))
    return found


def as_run_document(answer: Answer, journal: Journal) -> dict[str, Any]:
    """Return the as-run record of a campaign as plain JSON."""
    die = answer.experiment.cell.die
    return {
        "schema": AS_RUN_SCHEMA,
        "name": answer.experiment.name,
        "complete": answer.complete,
        "incomplete_because": answer.open_because,
        "journal_head_sha256": answer.state.digest,
        "die_diameter_mm": die.diameter_mm,
        "trials": [
            {
                "trial": run.trial.number,
                "press": run.record.press,
                "loaded_by": run.loaded_by,
                "started_at": run.started_at,
                "finished_at": run.finished_at,
                "duration_s": _duration_s(run.record),
                "highest_force_kn": _highest(run.record.force_kn),
                "highest_temperature_c": _highest(run.record.temperature_c),
                "stages": [_stage(stage) for stage in run.record.stages],
                "dose_mpa_s": run.dose_mpa_s,
                "refills": run.refills,
                "held_mpa": run.record.held_mpa,
                "held_c": run.record.held_c,
                "deviations": list(run.record.deviations),
                "outcome": run.trial.verdict,
                "failures": list(run.trial.failures),
                "press_record_sha256": run.trial.record,
            }
            for run in runs(answer, journal)
        ],
    }


def as_run_csv(answer: Answer, journal: Journal) -> str:
    """Return one row per stage of every cell, units in the header; numbers read back exactly."""
    all_runs = runs(answer, journal)
    used = [
        quantity
        for quantity in _QUANTITIES
        if any(quantity[0] in stage.asked for run in all_runs for stage in run.record.stages)
    ]
    header = ["trial", "outcome", "stage", "press", "loaded by", "started at"]
    for _, label, unit in used:
        suffix = f" [{unit}]" if unit else ""
        header += [f"{label} asked{suffix}", f"{label} achieved{suffix}", f"{label} standard deviation{suffix}"]
    header += ["overshoot [MPa]", "refills", "dose [MPa s]", "held at [MPa]", "held at [°C]", "deviations"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    for run in all_runs:
        for stage in run.record.stages:
            trial = run.trial
            row: list[object] = [
                trial.number,
                trial.verdict,
                stage.name,
                run.record.press,
                run.loaded_by,
                run.started_at,
            ]
            for key, _, _ in used:
                row += [_text(values.get(key)) for values in (stage.asked, stage.achieved, stage.achieved_sd)]
            row += [_text(stage.overshoot_mpa), stage.refills, _text(stage.dose_mpa_s)]
            row += [_text(run.record.held_mpa), _text(run.record.held_c), "; ".join(run.record.deviations)]
            writer.writerow(row)
    return out.getvalue()


def _stage(stage: StageRecord) -> dict[str, Any]:
    return {
        "name": stage.name,
        "asked": dict(stage.asked),
        "achieved": dict(stage.achieved),
        "achieved_sd": dict(stage.achieved_sd),
        "overshoot_mpa": stage.overshoot_mpa,
        "refills": stage.refills,
        "dose_mpa_s": stage.dose_mpa_s,
    }


def _duration_s(record: PressRecord) -> float:
    return float(record.time_s[-1] - record.time_s[0]) if len(record.time_s) else 0.0


def _highest(values: Any) -> float | None:
    return float(values.max()) if len(values) else None


def _text(value: float | None) -> str:
    return "" if value is None else repr(float(value))
