"""Trials on somebody's own press or robot: from what they tell to the events that a runner would have written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from pressopt.campaign import events as e
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.journal import digest_of
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.measuring import ATTEMPTS, judged
from pressopt.campaign.replay import TrialState
from pressopt.errors import InputError, LifecycleError, Violation
from pressopt.impedance import ImpedanceSpectrum, spectrum_to_bytes
from pressopt.pressing import QUANTITIES

#: Kinds of failure that a person can report.
FAILURES = ("shorted", "cracked", "open", "sample_failed", "spoilt", "invalid_measurement")
#: Of these, the kinds that say nothing about the settings.
BLAMELESS = ("spoilt", "invalid_measurement")
#: Verdict of a trial whose numbers a person or a robot has told.
TOLD = "reported by a person"


@dataclass(frozen=True, slots=True)
class Pressed:
    """How a cell was pressed on a press that pressopt does not drive.

    Attributes:
        press: What its people call it.
        achieved: What the cell got, by setting; settings that are missing count as asked.
        deviations: In words.
    """

    press: str = "by hand"
    achieved: Mapping[str, float] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()

    def mistakes(self, experiment: Experiment) -> list[Violation]:
        """Everything that is wrong with it."""
        names = experiment.space.names
        wrong = [
            Violation(f"achieved.{name}", f"is not varied here: use {', '.join(names)}")
            for name in self.achieved
            if name not in names
        ]
        wrong += [
            Violation(f"achieved.{name}", f"{value} is no finite number: give one")
            for name, value in self.achieved.items()
            if not math.isfinite(value)
        ]
        return wrong


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured on a cell, or how it failed.

    Attributes:
        outcomes: Value and standard deviation by quantity, both in the quantity's unit.
        failures: Kinds of failure.
        note: A word on it.
    """

    outcomes: e.Outcomes = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    note: str = ""

    def mistakes(self) -> list[Violation]:
        """Everything that is wrong with it."""
        wrong = []
        if not (self.outcomes or self.failures):
            wrong.append(
                Violation("outcomes", "nothing is told: give at least one quantity, or how the cell failed")
            )
        for name, (value, sd) in self.outcomes.items():
            quantity = QUANTITIES.get(name)
            if quantity is None:
                wrong.append(Violation(f"outcomes.{name}", f"is no quantity: use {', '.join(QUANTITIES)}"))
            elif not math.isfinite(value) or (quantity.log and not value > 0):
                allowed = "a positive finite number" if quantity.log else "a finite number"
                wrong.append(Violation(f"outcomes.{name}.value", f"{value:g} cannot be: give {allowed}"))
            if not (math.isfinite(sd) and sd > 0):
                wrong.append(
                    Violation(f"outcomes.{name}.sd", f"{sd:g} is no standard deviation: give a positive number")
                )
        wrong += [
            Violation("failures", f"{kind!r} is no kind of failure: use {', '.join(FAILURES)}")
            for kind in self.failures
            if kind not in FAILURES
        ]
        return wrong


def pressed(experiment: Experiment, trial: TrialState, told: Pressed, *, by: str) -> tuple[e.TrialEvent, ...]:
    """Return what a pressing on somebody's own press adds to a trial that is proposed or loaded.

    Raises:
        InputError: All that is wrong with what was told.
        LifecycleError: The trial is not waiting to be pressed.
    """
    wrong = told.mistakes(experiment)
    if wrong:
        raise InputError(wrong)
    if trial.phase not in {Phase.PROPOSED, Phase.LOADED}:
        raise LifecycleError(f"trial {trial.number} is {trial.phase.value}: it does not wait to be pressed")
    protocol = experiment.protocol(trial.settings)
    loaded = (e.Loaded(trial.number, by=by),) if trial.phase is Phase.PROPOSED else ()
    return (
        *loaded,
        e.PressingStarted(trial.number, told.press, asdict(protocol)),
        e.PressingFinished(
            trial=trial.number,
            record="",
            achieved=dict(told.achieved),
            held_mpa=protocol.measure_at_mpa,
            held_c=protocol.measure_at_c,
            deviations=told.deviations,
        ),
    )


def told(
    experiment: Experiment, trial: TrialState, result: Result, how: Pressed, *, by: str
) -> tuple[e.TrialEvent, ...]:
    """Return what a told result adds to a trial; nothing when the very same was told before.

    Raises:
        InputError: All that is wrong with what was told.
        LifecycleError: The trial cannot be told in this phase, or was told with other values.
    """
    wrong = [*result.mistakes(), *how.mistakes(experiment)]
    if wrong:
        raise InputError(wrong)
    if trial.phase is Phase.DONE and trial.verdict == TOLD:
        if (trial.outcomes, trial.failures) == (dict(result.outcomes), result.failures):
            return ()
        raise LifecycleError(
            f"trial {trial.number} was told before, with other values: what is written down is never changed"
        )
    before: tuple[e.TrialEvent, ...] = ()
    if trial.phase in {Phase.PROPOSED, Phase.LOADED}:
        before = pressed(experiment, trial, how, by=by)
    return (
        *before,
        e.Measured(
            trial.number,
            outcomes=dict(result.outcomes),
            verdict=TOLD,
            failures=result.failures,
            blameless=tuple(kind for kind in result.failures if kind in BLAMELESS),
            reasons=(result.note,) if result.note else (),
        ),
    )


def measured(
    experiment: Experiment,
    trial: TrialState,
    spectrum: ImpedanceSpectrum,
    *,
    instrument: str,
    least_ohm: float | None,
) -> tuple[e.SpectrumRecorded, bytes, e.Measured | None]:
    """Return what an uploaded spectrum adds to a trial in ``measuring``: the raw data, and the judgement.

    There is no judgement while the verdict asks for another measurement and a further attempt is left.

    Raises:
        LifecycleError: The trial is not being measured.
    """
    if trial.phase is not Phase.MEASURING:
        raise LifecycleError(
            f"trial {trial.number} is {trial.phase.value}: a spectrum is taken after the cell was pressed"
        )
    spectrum.metadata["trial"] = float(trial.number)
    data = spectrum_to_bytes(spectrum)
    attempt = len(trial.measurements) + 1
    recorded = e.SpectrumRecorded(trial.number, digest_of(data), "spectrum", attempt, instrument)
    found = judged(experiment, replace(trial, measurements=(*trial.measurements, recorded)), spectrum, least_ohm)
    again = found.verdict == "remeasure" and attempt < ATTEMPTS
    return recorded, data, None if again else found
