"""A small campaign as an exporter meets it: a real journal, filled with events at fixed times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from export_campaign import CURRENT, RECOMMENDATION, RESISTANCE, UNTOUCHED, one_trial
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
from pressopt.impedance.spectrum import Sweep
from pressopt.optimizer import DesignSpace, Objective, Recommendation, Variable
from pressopt.pressing import Cell, Die, Layer, Limits, Role
from pressopt.store import SqliteJournal


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Lithium on Li6PS5Cl, two stages, three settings searched."""
    return Experiment(
        name="li-lpscl-symmetric",
        title="Li | Li6PS5Cl | Li, symmetric cell",
        goal="Least interfacial resistance without a soft short, for stripping and plating tests.",
        path=tmp_path_factory.mktemp("experiment") / "li-lpscl-symmetric.toml",
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


Fill = Callable[..., SqliteJournal]


@contextmanager
def _filling(experiment: Experiment, folder: Path) -> Iterator[Fill]:
    """Hand out what fills a journal, one event a minute; closes it at the end."""
    start = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    minutes = itertools.count()
    journals: list[SqliteJournal] = []

    def make(
        trials: int = 12,
        *,
        closed: bool = True,
        cut: int = 0,
        recommendation: Recommendation | None = RECOMMENDATION,
        more: tuple[e.Event, ...] = (),
    ) -> SqliteJournal:
        journal = SqliteJournal.create(folder / "li-lpscl-symmetric" / "journal.sqlite")
        journals.append(journal)
        opened = e.CampaignOpened(
            experiment.name, str(experiment.path), experiment.text, experiment.digest, 7, {"pressopt": "0.1.0"}
        )
        steps = [step for number in range(1, trials + 1) for step in one_trial(number)]
        with pytest.MonkeyPatch.context() as patch:  # only while it is filled: the journal outlives one test
            patch.setattr(
                "pressopt.store.sqlite_journal.utc_now", lambda: start + timedelta(minutes=next(minutes))
            )
            journal.append(opened, actor="runner")
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
def fill(experiment: Experiment, tmp_path: Path) -> Iterator[Fill]:
    """Fill a journal: ``fill(trials=12, closed=True)``; ``cut`` leaves that many events of the last cell away."""
    with _filling(experiment, tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def filling(
    experiment: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], AbstractContextManager[Fill]]:
    """``with filling("name") as fill`` for campaigns that several tests read."""
    return lambda name: _filling(experiment, tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def journal(filling: Callable[[str], AbstractContextManager[Fill]]) -> Iterator[SqliteJournal]:
    """A finished campaign of twelve cells, filled once: to be read only."""
    with filling("finished") as fill:
        yield fill()


@pytest.fixture(scope="session")
def state(journal: SqliteJournal) -> CampaignState:
    return replay(journal.entries())


@pytest.fixture(scope="session")
def answer(experiment: Experiment, state: CampaignState) -> Answer:
    return gather(experiment, state, untouched=UNTOUCHED)
