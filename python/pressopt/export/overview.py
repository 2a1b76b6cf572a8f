"""A campaign, and one trial in full, as plain data: what `pressopt show` prints and its ``--json`` gives."""

from __future__ import annotations

import json
from typing import Any

from pressopt.campaign import events as e
from pressopt.campaign.journal import Entry, Journal
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.replay import TrialState
from pressopt.errors import PressoptError
from pressopt.export.answer import Answer
from pressopt.export.tables import note_of
from pressopt.pressing.record import record_from_bytes

Json = dict[str, Any]


def campaign_overview(answer: Answer) -> Json:
    """Return the campaign: where it stands, and one row per trial."""
    state = answer.state
    return {
        "schema": "pressopt/campaign/1",
        "name": answer.experiment.name,
        "title": answer.experiment.title,
        "phase": state.phase.value,
        "complete": answer.complete,
        "incomplete_because": answer.open_because,
        "closed_because": state.closed.reason if state.closed is not None else None,
        "budget": answer.experiment.budget.trials,
        "presses": {name: phase.value for name, phase in state.presses.items()},
        "made_safe_because": dict(state.safe_reason),
        "recommended": dict(answer.recommendation.settings) if answer.recommendation is not None else None,
        "trials": [_row(trial) for trial in state.trials.values()],
    }


def _row(trial: TrialState) -> Json:
    return {
        "trial": trial.number,
        "phase": trial.phase.value,
        "reason": trial.reason,
        "asked": dict(trial.settings),
        "achieved": dict(trial.achieved),
        "outcomes": {name: {"value": value, "sd": sd} for name, (value, sd) in trial.outcomes.items()},
        "verdict": trial.verdict,
        "failures": list(trial.failures),
        "blameless": list(trial.blameless),
        "note": note_of(trial),
    }


def trial_overview(answer: Answer, number: int, journal: Journal) -> Json:
    """Return one trial in full: stages asked and got, outcome, verdict with reasons, the arc taken, its events.

    Raises:
        LifecycleError: There is no such trial.
        JournalUnreadable: The journal lacks its raw data.
    """
    trial = answer.state.trial(number)
    return {
        "schema": "pressopt/trial/1",
        **_row(trial),
        "note": trial.note,
        "predicted": {
            name: {"median": median, "low": low, "high": high}
            for name, (median, low, high) in trial.predicted.items()
        },
        "feasibility": trial.feasibility,
        "press": trial.press,
        "stages": _stages(answer, trial, journal),
        "held": None
        if trial.held_mpa is None
        else {"pressure_mpa": trial.held_mpa, "temperature_c": trial.held_c},
        "deviations": list(trial.deviations),
        "measurements": [
            {
                "attempt": taken.attempt,
                "kind": taken.kind,
                "instrument": taken.instrument,
                "sha256": taken.measurement,
            }
            for taken in trial.measurements
        ],
        "reasons": list(trial.reasons),
        "analysis": dict(trial.analysis),
        "events": [_event(entry) for entry in journal.entries() if _concerns(entry, number)],
    }


def _stages(answer: Answer, trial: TrialState, journal: Journal) -> list[Json]:
    """What each stage asked, and what the cell got where a record tells."""
    if trial.phase is Phase.NEW or not trial.settings:
        return []
    asked = answer.experiment.protocol(trial.settings)
    got: dict[str, Any] = {}
    problem = ""
    if trial.record:
        try:
            got = {stage.name: stage for stage in record_from_bytes(journal.blob(trial.record)).stages}
        except PressoptError as error:  # the raw curve is damaged or newer: the journal's own numbers remain
            problem = str(error)
    rows = []
    for stage in asked.stages:
        record = got.get(stage.name)
        wanted = {
            name: getattr(stage, name)
            for name in stage.__slots__
            if isinstance(getattr(stage, name), (int, float)) and not isinstance(getattr(stage, name), bool)
        }
        row: Json = {"name": stage.name, "asked": wanted, "achieved": {}, "achieved_sd": {}}
        if record is not None:
            row |= {
                "achieved": dict(record.achieved),
                "achieved_sd": dict(record.achieved_sd),
                "refills": record.refills,
                "overshoot_mpa": record.overshoot_mpa,
            }
        else:
            prefix = f"{stage.name}."
            row["achieved"] = {
                name.removeprefix(prefix): value
                for name, value in trial.achieved.items()
                if name.startswith(prefix)
            }
        if problem:
            row["problem"] = problem
        rows.append(row)
    return rows


def _concerns(entry: Entry, number: int) -> bool:
    return isinstance(entry.event, e.TrialEvent) and entry.event.trial == number


def _event(entry: Entry) -> Json:
    body = json.loads(e.to_json(entry.event))
    body.pop("trial", None)
    return {"seq": entry.seq, "at": entry.at, "actor": entry.actor, "event": type(entry.event).__name__, **body}
