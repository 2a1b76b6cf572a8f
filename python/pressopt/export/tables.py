"""All trials as a table: CSV with the units in the header, as spreadsheets and pandas read it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.export.wording import quantity_unit

if TYPE_CHECKING:
    from pressopt.campaign.experiment import Experiment

#: Columns that are texts also where no trial has one.
_TEXTS = frozenset({"phase", "reason", "verdict", "failures", "blameless failures", "press", "note",
                    "press record [sha256]", "last measurement [sha256]"})  # fmt: skip
Cell = float | int | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table of trials.

    Attributes:
        heading: Name, with the unit in brackets where there is one.
        values: One per trial; None: no value.
        unit: As people write it; empty: none.
        numeric: Whether all values are numbers.
    """

    heading: str
    values: tuple[Cell, ...]
    unit: str
    numeric: bool


def trial_columns(experiment: Experiment, state: CampaignState) -> list[Column]:
    """Return the table of trials by columns: what the CSV, the Arrow table and the pandas table all hold."""
    found = []
    for heading, values in _columns(experiment, state):
        unit = heading.partition(" [")[2].removesuffix("]")
        known = [value for value in values if value is not None]
        texts = any(isinstance(value, str) for value in known)
        numeric = not texts and heading not in _TEXTS
        found.append(Column(heading, tuple(values), "" if unit == "sha256" else unit, numeric))
    return found


def trials_csv(experiment: Experiment, state: CampaignState) -> str:
    """Return one row per trial (RFC 4180, comma, point, UTF-8); numbers read back exactly.

    A cell without a value is empty; a value that only physics predicts is in a column of its own that says so.
    """
    columns = _columns(experiment, state)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([heading for heading, _ in columns])
    for index in range(len(state.trials)):
        writer.writerow([_text(values[index]) for _, values in columns])
    return out.getvalue()


def _columns(experiment: Experiment, state: CampaignState) -> list[tuple[str, list[Cell]]]:
    trials = list(state.trials.values())
    found: list[tuple[str, list[Cell]]] = [
        ("trial", [trial.number for trial in trials]),
        ("phase", [trial.phase.value for trial in trials]),
        ("reason", [trial.reason for trial in trials]),
    ]
    for variable in experiment.space.variables:
        unit = f" [{variable.unit}]" if variable.unit else ""
        found.append((f"{variable.name} asked{unit}", [trial.settings.get(variable.name) for trial in trials]))
        if variable.numeric:
            got: list[Cell] = [trial.achieved.get(variable.name) for trial in trials]
            found.append((f"{variable.name} achieved{unit}", got))
    for name in _quantities(trials):
        unit = f" [{quantity_unit(name)}]" if quantity_unit(name) else ""
        measured = [trial.outcomes.get(name) for trial in trials]
        found.append((f"{name}{unit}", [None if pair is None else pair[0] for pair in measured]))
        found.append(
            (f"{name} standard deviation{unit}", [None if pair is None else pair[1] for pair in measured])
        )
    for name in sorted({name for trial in trials for name in trial.predicted}):
        unit = f" [{quantity_unit(name)}]" if quantity_unit(name) else ""
        intervals = [trial.predicted.get(name) for trial in trials]
        found.append(
            (f"{name} predicted before{unit}", [None if triple is None else triple[0] for triple in intervals])
        )
    found += [
        ("held at [MPa]", [trial.held_mpa for trial in trials]),
        ("held at [°C]", [trial.held_c for trial in trials]),
        ("verdict", [trial.verdict for trial in trials]),
        ("failures", [" ".join(trial.failures) for trial in trials]),
        ("blameless failures", [" ".join(trial.blameless) for trial in trials]),
        ("press", [trial.press for trial in trials]),
        ("note", [note_of(trial) for trial in trials]),
        ("press record [sha256]", [trial.record for trial in trials]),
        (
            "last measurement [sha256]",
            [trial.measurements[-1].measurement if trial.measurements else "" for trial in trials],
        ),
    ]
    return found


def note_of(trial: TrialState) -> str:
    """Return what a reader should know of a trial, in one line: why it ended so, and what deviated."""
    why = trial.reasons if trial.verdict not in {"", "valid"} or trial.failures else ()
    parts = [*why, *trial.deviations, *([trial.note] if trial.note else [])]
    if trial.phase is Phase.REJECTED and not parts:
        parts = ["rejected"]
    return "; ".join(" ".join(part.split()) for part in parts)


def _quantities(trials: Iterable[TrialState]) -> list[str]:
    return sorted({name for trial in trials for name in trial.outcomes})


def _text(value: Cell) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)
