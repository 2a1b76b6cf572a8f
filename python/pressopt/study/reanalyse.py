"""All spectra of old campaigns through today's analysis: which verdicts, values and answers would change.

Journals are read and never written: what was concluded then stays what was concluded then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pressopt.assembly import experiment_of, recommender_of, surrogate_of
from pressopt.campaign.events import SpectrumRecorded
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.measuring import judged
from pressopt.campaign.physics_prior import SurrogatePrior
from pressopt.campaign.replay import CampaignState, TrialState, replay
from pressopt.errors import InputError, JournalError, PressoptError, Violation
from pressopt.impedance import spectrum_from_bytes
from pressopt.optimizer.observation import Observation
from pressopt.store import SqliteJournal
from pressopt.store.places import JOURNAL, journal_of
from pressopt.study.axes import cut
from pressopt.study.parquet import Columns, from_parquet, to_parquet

#: Spectra in a block: a second or two of fitting.
BLOCK = 32
#: What a spectrum can tell.
QUANTITIES = ("interfacial_resistance_ohm_cm2", "cell_resistance_ohm_cm2")
#: A relative change that rounding can make.
_ROUNDING = 1e-9
#: A verdict that rests on the press, not on the spectrum; see :mod:`pressopt.campaign.measuring`.
_OTHER_STATE = "another state"


@dataclass(frozen=True)
class Old:
    """One campaign as its journal tells it.

    Attributes:
        folder: Where it lies.
        experiment: What was searched.
        state: How far it came.
        spectra: Every recorded spectrum: number of the trial, and what was written down of it.
    """

    folder: Path
    experiment: Experiment
    state: CampaignState
    spectra: tuple[tuple[int, SpectrumRecorded], ...]

    def data(self, chosen: Sequence[tuple[int, SpectrumRecorded]]) -> list[bytes]:
        """Raw data of some of the spectra.

        Raises:
            JournalUnreadable: They are not there, or were changed.
        """
        with contextlib.closing(SqliteJournal.read(journal_of(self.folder))) as journal:
            return [journal.blob(recorded.measurement) for _, recorded in chosen]


def find_campaigns(places: Sequence[Path]) -> list[Path]:
    """Folders of campaigns: those named, and all below folders that are no campaign.

    Raises:
        InputError: Each place with no campaign in it.
    """
    found: list[Path] = []
    wrong = []
    for place in places:
        below = [place] if journal_of(place).is_file() else sorted(path.parent for path in place.rglob(JOURNAL))
        if place.name == JOURNAL and place.is_file():
            below = [place.parent]
        if not below:
            wrong.append(
                Violation(str(place), f"holds no campaign: give a folder with a {JOURNAL} in or below it")
            )
        found += [path for path in below if path not in found]
    if wrong:
        raise InputError(wrong)
    return found


def read_campaigns(folders: Sequence[Path]) -> list[Old]:
    """Read the journals of campaigns.

    Raises:
        InputError: Every journal that cannot be read, with the reason.
    """
    found, wrong = [], []
    for folder in folders:
        try:
            with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
                experiment, state = experiment_of(journal), replay(journal.entries())
        except PressoptError as refused:
            wrong.append(Violation(str(folder), str(refused)))
            continue
        spectra = tuple(
            (trial.number, recorded)
            for trial in state.trials.values()
            for recorded in trial.measurements
            if recorded.kind == "spectrum"
        )
        found.append(Old(folder, experiment, state, spectra))
    if wrong:
        raise InputError(wrong)
    if not any(old.spectra for old in found):
        raise InputError((Violation("", "these campaigns hold no spectrum: there is nothing to analyse again"),))
    return found


@dataclass(frozen=True)
class ReanalyseBlock:
    """Some spectra of one campaign; see :class:`pressopt.study.job.Block`."""

    campaign: int
    experiment: Experiment
    trials: tuple[TrialState, ...]
    attempts: tuple[int, ...]
    data: tuple[bytes, ...]

    def __call__(self) -> bytes:
        prior = SurrogatePrior(self.experiment, surrogate_of(self.experiment))
        rows: dict[str, list[Any]] = {
            name: [] for name in ("campaign", "trial", "attempt", "last", "old_verdict", "new_verdict", "reasons")
        }
        rows |= {f"{age}_{q}{end}": [] for q in QUANTITIES for age in ("old", "new") for end in ("", "_sd")}
        for trial, attempt, data in zip(self.trials, self.attempts, self.data, strict=True):
            last = trial.phase is Phase.DONE and attempt == trial.measurements[-1].attempt
            other = trial.reasons[0] if trial.verdict == _OTHER_STATE else ""
            found = judged(
                self.experiment, trial, spectrum_from_bytes(data), prior.separator_ohm(trial.settings), other
            )
            rows["campaign"].append(self.campaign)
            rows["trial"].append(trial.number)
            rows["attempt"].append(attempt)
            rows["last"].append(last)
            rows["old_verdict"].append(trial.verdict if last else "remeasure")
            rows["new_verdict"].append(found.verdict)
            rows["reasons"].append("; ".join(found.reasons))
            for quantity in QUANTITIES:
                for age, outcomes in (("old", trial.outcomes if last else {}), ("new", found.outcomes)):
                    value, sd = outcomes.get(quantity, (np.nan, np.nan))
                    rows[f"{age}_{quantity}"].append(float(value))
                    rows[f"{age}_{quantity}_sd"].append(float(sd))
        return to_parquet({name: np.array(values) for name, values in rows.items()})


@dataclass(frozen=True)
class Reanalyse:
    """A job: every spectrum of some campaigns; see :class:`pressopt.study.job.Job`."""

    campaigns: tuple[Old, ...]

    kind = "reanalyse"
    unit = "spectra"

    @property
    def identity(self) -> dict[str, Any]:
        # The head of a journal's chain stands for all that is in it.
        return {"journals": [old.state.digest for old in self.campaigns]}

    @cached_property
    def _ranges(self) -> list[tuple[int, int, int]]:
        return [
            (index, start, stop)
            for index, old in enumerate(self.campaigns)
            for start, stop in cut(len(old.spectra), BLOCK)
        ]

    @cached_property
    def sizes(self) -> Sequence[int]:
        return [stop - start for _, start, stop in self._ranges]

    def block(self, index: int) -> ReanalyseBlock:
        campaign, start, stop = self._ranges[index]
        old = self.campaigns[campaign]
        chosen = old.spectra[start:stop]
        return ReanalyseBlock(
            campaign,
            old.experiment,
            tuple(old.state.trials[number] for number, _ in chosen),
            tuple(recorded.attempt for _, recorded in chosen),
            tuple(old.data(chosen)),
        )


@dataclass(frozen=True)
class Change:
    """What today's analysis would change in one campaign.

    Attributes:
        old: The campaign.
        spectra: How many were analysed.
        verdicts: Trials whose verdict would be another: number, old, new.
        values: Trials whose first quantity would be another: number, old, new, difference in its old standard
            deviations.
        before, after: The recommended settings with the expected value, by the old and by today's numbers;
            ``None`` where nothing can be recommended.
    """

    old: Old
    spectra: int
    verdicts: tuple[tuple[int, str, str], ...]
    values: tuple[tuple[int, float, float, float], ...]
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "campaign": str(self.old.folder),
            "experiment": self.old.experiment.name,
            "spectra": self.spectra,
            "verdicts": [{"trial": n, "old": before, "new": after} for n, before, after in self.verdicts],
            "values": [
                {"trial": n, "old": before, "new": after, "old_sds": sds} for n, before, after, sds in self.values
            ],
            "answer_before": self.before,
            "answer_after": self.after,
        }


def gather(blocks: Iterable[bytes]) -> Columns:
    """All spectra as one table, in the order of the campaigns."""
    parts = [from_parquet(data)[0] for data in blocks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def changes(job: Reanalyse, table: Columns) -> Iterator[Change]:
    """What would change, campaign by campaign."""
    for index, old in enumerate(job.campaigns):
        rows = np.flatnonzero(table["campaign"] == index)
        last = rows[table["last"][rows]]
        verdicts = tuple(
            (int(table["trial"][row]), str(table["old_verdict"][row]), str(table["new_verdict"][row]))
            for row in last
            if table["old_verdict"][row] != table["new_verdict"][row]
        )
        values = tuple(_moved(table, row) for row in last if _differs(table, row))
        differs = bool(verdicts or values)
        before = _answer(old.experiment, old.state.observations())
        after = _answer(old.experiment, _observations(old, table, last)) if differs else before
        yield Change(old, len(rows), verdicts, values, before, after)


def _differs(table: Columns, row: int) -> bool:
    before, after = table[f"old_{QUANTITIES[0]}"][row], table[f"new_{QUANTITIES[0]}"][row]
    return bool(np.isfinite(before) and np.isfinite(after) and abs(after - before) > _ROUNDING * abs(before))


def _moved(table: Columns, row: int) -> tuple[int, float, float, float]:
    quantity = QUANTITIES[0]
    before, after = float(table[f"old_{quantity}"][row]), float(table[f"new_{quantity}"][row])
    sd = float(table[f"old_{quantity}_sd"][row])
    return int(table["trial"][row]), before, after, (after - before) / sd if sd > 0 else float("inf")


def _observations(old: Old, table: Columns, last: Any) -> list[Observation]:
    """The history as today's analysis tells it; what no spectrum says stays as it was."""
    by_trial = {int(table["trial"][row]): row for row in last}
    found = []
    for trial in old.state.done:
        row = by_trial.get(trial.number)
        if row is None:
            found.append(trial.observation())
            continue
        outcomes = {
            quantity: (float(table[f"new_{quantity}"][row]), float(table[f"new_{quantity}_sd"][row]))
            for quantity in QUANTITIES
            if np.isfinite(table[f"new_{quantity}"][row])
        }
        verdict = str(table["new_verdict"][row])
        kept = tuple(name for name in trial.failures if name not in {"shorted", "open", "invalid_measurement"})
        failures = (*kept, verdict) if verdict in {"shorted", "open"} else kept
        blameless: tuple[str, ...] = ()
        if not outcomes and not failures:
            failures = blameless = ("invalid_measurement",)
        found.append(replace(trial, outcomes=outcomes, failures=failures, blameless=blameless).observation())
    return found


def _answer(experiment: Experiment, history: Sequence[Observation]) -> dict[str, Any] | None:
    if not any(one.outcomes for one in history):
        return None
    try:
        answer = recommender_of(experiment).recommend(history)
    except (InputError, JournalError):
        return None
    quantity = experiment.objectives[0].quantity
    expected = answer.expected[quantity]
    return {
        "settings": dict(answer.settings),
        "quantity": quantity,
        "expected": expected.median,
        "low": expected.low,
        "high": expected.high,
    }
