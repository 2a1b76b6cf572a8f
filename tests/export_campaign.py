"""What a small campaign looks like to an exporter: cells with made-up results, and the answer."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pressopt.campaign import events as e
from pressopt.campaign.experiment import (
    Experiment,
    StagePlan,
)
from pressopt.campaign.journal import digest_of
from pressopt.export.pdf import PdfUnavailable, pdf_bytes
from pressopt.impedance.blob import spectrum_to_bytes
from pressopt.impedance.spectrum import ImpedanceSpectrum, Sweep
from pressopt.optimizer import DesignSpace, Interval, Recommendation, Settings, Variable
from pressopt.pressing import Die, PressRecord
from pressopt.pressing.record import StageRecord, record_to_bytes

RESISTANCE = "interfacial_resistance_ohm_cm2"
CURRENT = "critical_current_density_ma_cm2"


def truth(settings: Mapping[str, Any]) -> float:
    """A made-up resistance, Ω cm²: falls with pressure, dwell and heat; rises where too much was asked."""
    p, t, c = (float(settings[f"lamination.{name}"]) for name in ("pressure_mpa", "dwell_s", "temperature_c"))
    damage: float = math.exp((p - 42.0) / 6.0) + math.exp((c - 72.0) / 4.0)
    ease = float(p * (t / 60) ** 0.18 * math.exp((c - 25) / 60))
    return 2.2 + 160.0 / ease + 0.8 * damage


def spectrum(settings: Mapping[str, Any]) -> ImpedanceSpectrum:
    """Bulk, one interfacial arc and a little of something slower."""
    frequency_hz = Sweep(points_per_decade=6).frequencies_hz()
    omega = 2 * np.pi * frequency_hz
    resistance = 2 * truth(settings) / 0.785
    arc = resistance / (1 + (1j * omega * resistance * 2e-7) ** 0.9)
    noise = np.random.default_rng(3).normal(size=(2, omega.size)) * 0.05
    return ImpedanceSpectrum(frequency_hz, 38.0 + arc + 0.8 * (1j * omega) ** -0.25 + noise[0] + 1j * noise[1])


def press_record(settings: Mapping[str, Any]) -> PressRecord:
    """Ramp, hold and release of both stages, with a little less pressure than was asked, and one refill."""
    p, t, c = (float(settings[f"lamination.{name}"]) for name in ("pressure_mpa", "dwell_s", "temperature_c"))
    die = Die(10.0)
    time_s = np.array([0.0, 10.0, 70.0, 70.0 + p / 0.5, 70.0 + p / 0.5 + t, 200.0 + 2 * p + t])
    pressure_mpa = np.array([0.0, 5.0, 5.0, p, 0.99 * p, 5.0])
    return PressRecord(
        press="twin-press",
        time_s=time_s,
        force_kn=pressure_mpa * die.area_mm2 / 1000,
        temperature_c=np.array([25.0, 25.0, 25.0, c, c + 0.4, 25.0]),
        stage=np.array([-1, 0, 0, 1, 1, -1]),
        stages=(
            StageRecord(
                "seat", {"pressure_mpa": 5.0, "dwell_s": 60.0, "temperature_c": 25.0},
                {"pressure_mpa": 5.0, "dwell_s": 60.0, "temperature_c": 25.0},
                {"pressure_mpa": 0.05, "dwell_s": 0.5, "temperature_c": 0.5}, 0, 0.0, 300.0,
            ),
            StageRecord(
                "lamination", {"pressure_mpa": p, "dwell_s": t, "temperature_c": c},
                {"pressure_mpa": 0.99 * p, "dwell_s": t + 1.0, "temperature_c": c + 0.4},
                {"pressure_mpa": 0.01 * p, "dwell_s": 0.5, "temperature_c": 0.5}, 1, 0.02 * p, p * t,
            ),
        ),
        held_mpa=5.0,
        held_c=25.0,
    )  # fmt: skip


#: Pressure, dwell, temperature, and how each of the twelve cells ended.
TRIALS = (
    (12.0, 300.0, 40.0, "", "initial design"),
    (48.0, 60.0, 60.0, "", "initial design"),
    (25.0, 1800.0, 30.0, "", "initial design"),
    (58.0, 900.0, 70.0, "shorted", "initial design"),
    (30.0, 1200.0, 55.0, "", "expected improvement"),
    (36.0, 2400.0, 62.0, "", "expected improvement"),
    (55.0, 3000.0, 45.0, "shorted", "expected improvement"),
    (33.0, 1500.0, 66.0, "", "expected improvement"),
    (38.0, 1500.0, 64.0, "spoilt", "expected improvement"),
    (34.0, 3000.0, 60.0, "", "expected improvement"),
    (35.0, 2400.0, 63.0, "", "expected improvement"),
    (35.0, 2400.0, 63.0, "", "replicate"),
)

RECOMMENDATION = Recommendation(
    settings={"lamination.pressure_mpa": 35.0, "lamination.dwell_s": 2400.0, "lamination.temperature_c": 63.0},
    expected={RESISTANCE: Interval(4.31, 3.92, 4.74), CURRENT: Interval(0.82, 0.41, 1.6)},
    window={
        "lamination.pressure_mpa": (29.0, 40.5),
        "lamination.dwell_s": (1380.0, 3600.0),
        "lamination.temperature_c": (56.0, 67.0),
    },
    window_tolerance=0.1,
    feasibility=0.97,
    evidence=9,
    effects={
        "lamination.pressure_mpa": 0.61,
        "lamination.dwell_s": 0.12,
        "lamination.temperature_c": 0.27,
    },
    expected_gain=0.006,
    model={"name": "physics-gp", "physics_weight": 0.66},
)

UNTOUCHED = {RESISTANCE: Interval(208.0, 120.0, 360.0)}


def one_trial(number: int) -> list[tuple[e.Event, tuple[bytes, ...]]]:
    """All events of one cell of TRIALS, with what lies in the store beside them."""
    pressure_mpa, dwell_s, temperature_c, failure, reason = TRIALS[number - 1]
    settings: Settings = {
        "lamination.pressure_mpa": pressure_mpa,
        "lamination.dwell_s": dwell_s,
        "lamination.temperature_c": temperature_c,
    }
    value = truth(settings)
    predicted = {} if reason == "initial design" else {RESISTANCE: (value * 1.1, value * 0.7, value * 1.6)}
    record, raw = record_to_bytes(press_record(settings)), spectrum_to_bytes(spectrum(settings))
    achieved = {
        "lamination.pressure_mpa": pressure_mpa * 0.99,
        "lamination.dwell_s": dwell_s + 1.0,
        "lamination.temperature_c": temperature_c + 0.4,
    }
    noise = math.exp(0.04 * math.sin(7.0 * number))
    measured = e.Measured(
        number,
        {} if failure else {RESISTANCE: (value * noise, 0.05 * value)},
        failure if failure == "shorted" else ("remeasure" if failure else "valid"),
        (failure,) if failure else (),
        ("spoilt",) if failure == "spoilt" else (),
        ("the DC resistance is 0.3 Ω, below that of the electrolyte alone",) if failure == "shorted" else (),
        {"circuit": "L-R-p(R,CPE)"},
    )
    return [
        (e.Proposed(number, settings, reason, "physics-gp", predicted, 0.9), ()),
        (e.Loaded(number, "sample changer"), ()),
        (e.PressingStarted(number, "twin-press", {}), ()),
        (e.PressingFinished(number, digest_of(record), achieved, 5.0, 25.0, ("paused 4 s",)), (record,))
        if failure == "spoilt"
        else (e.PressingFinished(number, digest_of(record), achieved, 5.0, 25.0), (record,)),
        (e.SpectrumRecorded(number, digest_of(raw), "spectrum", 1, "twin-analyser"), (raw,)),
        (measured, ()),
    ]


def rolled(experiment: Experiment) -> Experiment:
    """The same goal between rolls."""
    plan = StagePlan(
        "roll", "roller", {"passes": 2.0, "temperature_c": 60.0, "speed_mm_s": 4.0},
        {"line_force_n_mm": "roll.line_force_n_mm"},
    )  # fmt: skip
    return replace(
        experiment, stages=(plan,), space=DesignSpace((Variable("roll.line_force_n_mm", 5, 80, unit="N/mm"),))
    )


def agreed(name: str, text: str) -> None:
    """Compare a text with its golden file, word for word; ``WRITE_GOLDEN=1`` writes it anew, to be read by eye."""
    path = Path(__file__).parent / "export" / "golden" / name
    if os.environ.get("WRITE_GOLDEN"):
        path.write_bytes(text.encode())
    assert text.encode() == path.read_bytes()


def pdf_of(html: str) -> bytes:
    """Make a PDF, or skip the test where WeasyPrint or its Pango libraries are not installed."""
    try:
        return pdf_bytes(html)
    except PdfUnavailable as missing:
        pytest.skip(str(missing))
