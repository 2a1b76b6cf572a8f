"""A small campaign as an exporter meets it: a real journal, filled with events at fixed times."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pressopt.campaign import events as e
from pressopt.campaign.experiment import (
    Budget,
    Device,
    Experiment,
    LaboratoryPlan,
    MeasurementPlan,
    StagePlan,
    StrategyPlan,
)
from pressopt.campaign.journal import digest_of
from pressopt.campaign.replay import CampaignState, replay
from pressopt.export.answer import Answer, gather
from pressopt.impedance.blob import spectrum_to_bytes
from pressopt.impedance.spectrum import ImpedanceSpectrum, Sweep
from pressopt.optimizer import DesignSpace, Interval, Objective, Recommendation, Settings, Variable
from pressopt.pressing import Cell, Die, Layer, Limits, Role
from pressopt.store import SqliteJournal

RESISTANCE = "interfacial_resistance_ohm_cm2"
CURRENT = "critical_current_density_ma_cm2"


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """Lithium on Li6PS5Cl, two stages, three settings searched."""
    return Experiment(
        name="li-lpscl-symmetric",
        title="Li | Li6PS5Cl | Li, symmetric cell",
        goal="Least interfacial resistance without a soft short, for stripping and plating tests.",
        path=tmp_path / "li-lpscl-symmetric.toml",
        text="",
        digest=digest_of(b"text"),
        seed=7,
        cell=Cell(
            (
                Layer("Li", Role.ELECTRODE, 100.0, 1.5),
                Layer("Li6PS5Cl", Role.ELECTROLYTE, 600.0, 0.8, 0.82),
                Layer("Li", Role.ELECTRODE, 100.0, 1.5),
            ),
            Die(10.0),
            10.0,
        ),
        stages=(
            StagePlan("seat", "platen", {"pressure_mpa": 5.0, "ramp_mpa_s": 0.5, "dwell_s": 60.0,
                                         "temperature_c": 25.0}, {}),
            StagePlan("lamination", "platen", {"ramp_mpa_s": 0.5}, {
                "pressure_mpa": "lamination.pressure_mpa", "dwell_s": "lamination.dwell_s",
                "temperature_c": "lamination.temperature_c"}),
        ),
        space=DesignSpace((
            Variable("lamination.pressure_mpa", 5, 60, unit="MPa", label="lamination pressure"),
            Variable("lamination.dwell_s", 30, 3600, scale="log", unit="s", label="lamination dwell"),
            Variable("lamination.temperature_c", 25, 80, unit="°C", label="lamination temperature"),
        )),
        objectives=(Objective(RESISTANCE, "minimize", 5.0), Objective(CURRENT, "maximize", source="predicted")),
        constraints=(),
        sweep=Sweep(),
        measurement=MeasurementPlan("impedance", 5.0, 25.0, 60.0, 1.0, 1),
        budget=Budget(12, 4),
        strategy=StrategyPlan("physics-gp"),
        laboratory=LaboratoryPlan("twin", 1, "automatic", press=Device("generic-plc-press-tcp")),
        limits=Limits(pressure_mpa=80.0, force_kn=6.5, temperature_c=100.0),
    )  # fmt: skip


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
    record, raw = f"record {number}".encode(), spectrum_to_bytes(spectrum(settings))
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
        (e.PressingFinished(number, digest_of(record), achieved, 5.0, 25.0), (record,)),
        (e.SpectrumRecorded(number, digest_of(raw), "spectrum", 1, "twin-analyser"), (raw,)),
        (measured, ()),
    ]


Fill = Callable[..., SqliteJournal]


@pytest.fixture
def fill(experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fill]:
    """Fill a journal: ``fill(trials=12, closed=True)``; ``last`` leaves that many events of the last cell away."""
    start = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    minutes = itertools.count()
    monkeypatch.setattr("pressopt.store.sqlite_journal.utc_now", lambda: start + timedelta(minutes=next(minutes)))
    journals: list[SqliteJournal] = []

    def make(
        trials: int = 12,
        *,
        closed: bool = True,
        cut: int = 0,
        recommendation: Recommendation | None = RECOMMENDATION,
        more: tuple[e.Event, ...] = (),
    ) -> SqliteJournal:
        journal = SqliteJournal.create(tmp_path / "li-lpscl-symmetric" / "journal.sqlite")
        journals.append(journal)
        opened = e.CampaignOpened(
            experiment.name, str(experiment.path), experiment.text, experiment.digest, 7, {"pressopt": "0.1.0"}
        )
        journal.append(opened, actor="runner")
        steps = [step for number in range(1, trials + 1) for step in one_trial(number)]
        for event, blobs in steps[: len(steps) - cut]:
            journal.append(event, actor="runner", blobs=blobs)
        if more:
            journal.append(*more, actor="operator")
        if closed:
            plain = asdict(recommendation) if recommendation is not None else {}
            journal.append(e.CampaignClosed(f"the budget of {trials} trials is spent", plain), actor="runner")
        return journal

    yield make
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(fill: Fill) -> SqliteJournal:
    """A finished campaign of twelve cells."""
    return fill()


@pytest.fixture
def state(journal: SqliteJournal) -> CampaignState:
    return replay(journal.entries())


@pytest.fixture
def answer(experiment: Experiment, state: CampaignState) -> Answer:
    return gather(experiment, state, untouched=UNTOUCHED)


def rolled(experiment: Experiment) -> Experiment:
    """The same goal between rolls."""
    plan = StagePlan(
        "roll", "roller", {"passes": 2.0, "temperature_c": 60.0, "speed_mm_s": 4.0},
        {"line_force_n_mm": "roll.line_force_n_mm"},
    )  # fmt: skip
    return replace(
        experiment, stages=(plan,), space=DesignSpace((Variable("roll.line_force_n_mm", 5, 80, unit="N/mm"),))
    )
