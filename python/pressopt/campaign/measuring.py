"""From a pressed cell to its numbers: measure, keep the raw data, judge them, measure again where that helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pressopt.campaign import events as e
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.journal import digest_of
from pressopt.campaign.laboratory import Laboratory
from pressopt.campaign.replay import TrialState
from pressopt.errors import StageFailedError
from pressopt.impedance import Analysis, ImpedanceSpectrum, analyse, judge, spectrum_from_bytes, spectrum_to_bytes
from pressopt.impedance.cycling import cycling_from_bytes, cycling_to_bytes, find_end
from pressopt.impedance.ports import ResistanceReading
from pressopt.impedance.resistance import resistance_from_bytes, resistance_to_bytes
from pressopt.optimizer.observation import Settings
from pressopt.pressing import PressCapability, PressState

#: How often a measurement is repeated when its verdict asks for it, the first included.
ATTEMPTS = 3
#: Share by which the pressure may have moved since the press said that it holds (relaxation, leak-down).
HOLD_TOLERANCE = 0.2
#: Verdicts that are a finding about the cell, with the kind of failure they observe.
#: Longest piece of a wait after which somebody may break off, s.
WAIT_SLICE_S = 2.0
FAILURES = {"shorted": "shorted", "open": "open"}
#: Prefix of a deviation by which execution reports that the sample itself gave way.
SAMPLE_FAILED = "sample_failed"


#: Returns the least resistance, Ω, that the separator of a cell pressed by these settings can have: whatever reads
#: far below is shorted.
SeparatorResistance = Callable[[Settings], float]


@dataclass(frozen=True, slots=True)
class Taken:
    """One step of measuring: either raw data to be kept, or the finished judgement.

    ``lost``: while the data were taken the press stopped holding the cell as it should.
    """

    recorded: e.SpectrumRecorded | None = None
    data: bytes = b""
    lost: StageFailedError | None = None
    measured: e.Measured | None = None


class Measuring:
    """Steps of measuring one trial; every step can be the first of a new process."""

    def __init__(
        self, experiment: Experiment, laboratory: Laboratory, separator_ohm: SeparatorResistance | None = None
    ) -> None:
        self._experiment = experiment
        self._lab = laboratory
        self._separator_ohm = separator_ohm

    def step(
        self, trial: TrialState, *, on_point: Callable[[int, int], None], blob: Callable[[str], bytes]
    ) -> Taken:
        """Do the next step for a trial in ``measuring``.

        Args:
            trial: The trial as the journal tells it.
            on_point: Called with (points done, points planned) as they arrive.
            blob: Returns raw data by digest.

        Raises:
            InstrumentError: The analyser failed, or the press no longer holds the cell as it should.
        """
        if trial.measurements:
            cycled = [each for each in trial.measurements if each.kind == "cycling"]
            last = [each for each in trial.measurements if each.kind != "cycling"][-1]
            data = blob(last.measurement)
            measured = (
                self._judge_resistance(data, trial) if last.kind == "resistance" else self._judge(data, trial)
            )
            if cycled:
                return Taken(measured=self._with_cycling(measured, blob(cycled[-1].measurement)))
            if measured.verdict != "remeasure" or len(trial.measurements) >= ATTEMPTS:
                if self._lab.cycler is not None and self._experiment.cycling is not None and not measured.failures:
                    return self._cycle(trial, on_point)
                return Taken(measured=measured)
            self._wait(self._experiment.measurement.settle_s, on_point)
        return self._take(trial, on_point)

    def _wait(self, seconds: float, on_point: Callable[[int, int], None]) -> None:
        """Wait beside the loaded press: its heartbeat is kept, and ``on_point`` may break off."""
        clock = self._lab.waiting or self._lab.clock
        end_s = clock.now_s() + seconds
        while (left_s := end_s - clock.now_s()) > 0:
            clock.sleep_s(min(left_s, WAIT_SLICE_S))
            on_point(0, self._experiment.sweep.points)

    # ------------------------------------------------------------------ taking

    def _take(self, trial: TrialState, on_point: Callable[[int, int], None]) -> Taken:
        pressure_mpa, temperature_c = self._held(trial)
        attempt = len(trial.measurements) + 1
        if self._lab.meter is not None:
            data = resistance_to_bytes(self._lab.meter.measure(self._experiment.measurement.readings))
            kind, name = "resistance", self._lab.meter.identify()
        else:
            assert self._lab.analyzer is not None  # assembly gives every laboratory one of the two
            spectrum = self._lab.analyzer.measure(self._experiment.sweep, on_point=on_point)
            spectrum.metadata.update(
                {"pressure_mpa": pressure_mpa, "temperature_c": temperature_c, "trial": float(trial.number)}
            )
            data = spectrum_to_bytes(spectrum)
            kind, name = "spectrum", self._lab.analyzer.capability.name
        lost = None
        try:
            self._held(trial)  # it was so to the end
        except StageFailedError as error:
            lost = error
        return Taken(e.SpectrumRecorded(trial.number, digest_of(data), kind, attempt, name), data, lost)

    def _cycle(self, trial: TrialState, on_point: Callable[[int, int], None]) -> Taken:
        """Cycle a measured cell to its end, or to the end of the plan."""
        cycler, plan = self._lab.cycler, self._experiment.cycling
        assert cycler is not None  # step has looked
        assert plan is not None
        self._held(trial)
        data = cycling_to_bytes(cycler.cycle(plan, on_point=on_point))
        name = cycler.capability.name
        return Taken(e.SpectrumRecorded(trial.number, digest_of(data), "cycling", 1, name), data)

    def _with_cycling(self, measured: e.Measured, data: bytes) -> e.Measured:
        """Join what cycling found to what was measured before."""
        plan = self._experiment.cycling
        assert plan is not None  # it was cycled by that plan
        found = find_end(cycling_from_bytes(data), plan)
        outcomes = dict(measured.outcomes)
        if plan.constant and found.life_cycles is not None:
            outcomes["cycle_life_cycles"] = found.life_cycles
        elif found.critical_ma_cm2 is not None:
            outcomes["critical_current_density_ma_cm2"] = found.critical_ma_cm2
        return replace(measured, outcomes=outcomes, reasons=(*measured.reasons, *found.reasons))

    def _held(self, trial: TrialState) -> tuple[float, float]:
        """Return pressure and temperature at which the cell is held now; refuse to measure another state."""
        press = self._lab.press
        if self._lab.by_hand is not None and trial.held_mpa is not None:
            held_c = trial.held_c if trial.held_c is not None else self._experiment.measurement.temperature_c
            return trial.held_mpa, held_c  # as the person read it; nobody else can see the gauge
        if press is None:
            return 0.0, trial.held_c if trial.held_c is not None else self._experiment.measurement.temperature_c
        reading = press.read()
        die = self._experiment.cell.die
        now_mpa = die.pressure_mpa(reading.force_kn)
        if reading.fault or reading.state is PressState.FAULT:
            raise StageFailedError(
                f"'{press.capability.name}' reports a fault while the cell is measured: "
                f"{reading.fault or 'no reason given'}"
            )
        if trial.held_mpa is not None:
            if trial.held_mpa > 0 and reading.state is not PressState.HOLD:
                raise StageFailedError(
                    f"the cell was held at {trial.held_mpa:.3g} MPa to be measured, and the press no longer holds "
                    f"(it says '{reading.state.value}'): its contact may have changed"
                )
            allowed_mpa = self._allowed_mpa(trial.held_mpa, press.capability)
            if abs(now_mpa - trial.held_mpa) > allowed_mpa:
                raise StageFailedError(
                    f"the cell was held at {trial.held_mpa:.3g} MPa to be measured, now at {now_mpa:.3g} MPa "
                    f"(allowed: ±{allowed_mpa:.2g} MPa): its contact may have changed"
                )
        return now_mpa, reading.temperature_c

    def _allowed_mpa(self, held_mpa: float, capability: PressCapability) -> float:
        """How far the pressure may be from the one held: a share of it, and never less than the press can tell."""
        die = self._experiment.cell.die
        least_kn = max(capability.min_kn, 3 * capability.resolution_kn)
        return max(HOLD_TOLERANCE * held_mpa, die.pressure_mpa(least_kn))

    # ------------------------------------------------------------------ judging

    def _judge(self, data: bytes, trial: TrialState) -> e.Measured:
        least_ohm = self._separator_ohm(trial.settings) if self._separator_ohm is not None else None
        spectrum = spectrum_from_bytes(data)
        return judged(self._experiment, trial, spectrum, least_ohm, self._other_state(trial, spectrum))

    def _other_state(self, trial: TrialState, spectrum: ImpedanceSpectrum) -> str:
        """Say how the cell was measured in another state than the protocol's; empty when it was not.

        This happens after an interrupted pressing that a person resolved by `measure`: the number is kept, and
        never compared with those of other cells.
        """
        if trial.held_mpa is not None or self._lab.press is None:
            return ""
        wanted_mpa = self._experiment.protocol(trial.settings).measure_at_mpa
        found_mpa = float(spectrum.metadata.get("pressure_mpa", 0.0))
        if abs(found_mpa - wanted_mpa) <= self._allowed_mpa(wanted_mpa, self._lab.press.capability):
            return ""
        return f"measured under {found_mpa:.3g} MPa, the protocol says {wanted_mpa:.3g} MPa: not comparable"

    def _judge_resistance(self, data: bytes, trial: TrialState) -> e.Measured:
        reading: ResistanceReading = resistance_from_bytes(data)
        area_cm2 = self._experiment.cell.area_cm2
        if not reading.valid or reading.resistance_ohm <= 0:
            reason = (
                "the meter reported an overload" if not reading.valid else "the resistance read is not positive"
            )
            return _measured(trial, {}, "remeasure", (reason,), {})
        factor = 1000.0 * area_cm2  # Ω -> mΩ cm²
        outcomes = {"contact_resistance_mohm_cm2": (reading.resistance_ohm * factor, reading.sd_ohm * factor)}
        return _measured(trial, outcomes, "valid", (), {"readings": reading.readings})


def judged(
    experiment: Experiment,
    trial: TrialState,
    spectrum: ImpedanceSpectrum,
    least_ohm: float | None,
    other_state: str = "",
) -> e.Measured:
    """Return what a spectrum says of the cell of a trial.

    Args:
        experiment: With the cell, whose area and interfaces count.
        trial: In ``measuring``.
        spectrum: As measured.
        least_ohm: The least resistance, Ω, that an unshorted cell can have; ``None``: not known.
        other_state: How the cell was measured in another state than the protocol's; empty when it was not.
    """
    cell = experiment.cell
    verdict = judge(spectrum, area_cm2=cell.area_cm2, bulk_ohm=least_ohm)
    analysis = analyse(spectrum, area_cm2=cell.area_cm2, interfaces=max(1, cell.interfaces), verdict=verdict)
    if other_state:
        return e.Measured(
            trial.number,
            {},
            "another state",
            ("another_state",),
            ("another_state",),
            (other_state, *analysis.verdict.reasons),
            _brief(analysis),
        )
    return _measured(trial, analysis.outcomes, analysis.verdict.value, analysis.verdict.reasons, _brief(analysis))


def _measured(
    trial: TrialState,
    outcomes: e.Outcomes,
    verdict: str,
    reasons: tuple[str, ...],
    analysis: dict[str, Any],
) -> e.Measured:
    failures = [FAILURES[verdict]] if verdict in FAILURES else []
    failures += ["sample_failed"] if any(text.startswith(SAMPLE_FAILED) for text in trial.deviations) else []
    blameless = []
    if not outcomes and not failures:
        failures, blameless = ["invalid_measurement"], ["invalid_measurement"]
    return e.Measured(
        trial=trial.number,
        outcomes={} if verdict in FAILURES else outcomes,
        verdict=verdict,
        failures=tuple(failures),
        blameless=tuple(blameless),
        reasons=tuple(reasons),
        analysis=analysis,
    )


def _brief(analysis: Analysis) -> dict[str, Any]:
    """What is worth keeping of a fit beside the numbers; the spectrum itself is in the store."""
    return dict(analysis.brief)


__all__ = ["ATTEMPTS", "Measuring", "SeparatorResistance", "Taken", "judged"]
