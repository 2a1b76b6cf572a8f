"""Simulated campaigns: judged by the truth, the same wherever they run, and compared twin by twin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pressopt.campaign.experiment_file import load_experiment
from pressopt.errors import InputError
from pressopt.study.engines import Inline, Processes
from pressopt.study.folder import StudyFolder
from pressopt.study.options import effects
from pressopt.study.running import compute_all, run_job
from pressopt.study.simulate import Arm, Curves, Simulate, gather, plan_simulation, summarize
from pressopt.study.simulate_report import draw_effects, in_words, write_results
from pressopt.study.virtual import least_cost, merit, optimum
from study_jobs import EXPERIMENTS

LPSCL = load_experiment(EXPERIMENTS / "li-lpscl-symmetric.toml")


def _small(**changes: Any) -> Simulate:
    """Sobol in two ways on two twins, six cells each."""
    plan: dict[str, Any] = {"strategies": ["sobol"], "initial": [2, 3], "trials": 6, "every": 3, "twins": 2}
    return plan_simulation(LPSCL, **{**plan, **changes})


def test_all_combinations_are_arms_on_the_same_twins() -> None:
    """Two strategies, two starts, two batches and two replicates are 16 arms; each meets each twin once."""
    job = _small(strategies=["sobol", "gp"], batch=[1, 2], replicates=[None, 2], twins=3)
    assert len(job.arms) == len(set(job.arms)) == 16
    assert job.checkpoints == (3, 6)
    met = {(job.block(i).arm_number, job.block(i).twin) for i in range(len(job.sizes))}
    assert met == {(arm, twin) for arm in range(16) for twin in (1, 2, 3)}


@pytest.mark.long
def test_processes_simulate_the_same_bits(tmp_path: Path) -> None:
    """Campaigns in two worker processes write the very files that one process writes."""
    job = _small(strategies=["gp"], initial=[2], trials=4, every=4)
    with StudyFolder(tmp_path, job) as kept:
        run_job(job, kept, Processes(2))
        assert [data for _, data in kept.read()] == compute_all(job, Inline())


def test_the_truth_judges() -> None:
    """No answer costs less than the optimum but by a little (its search ends), and merit is what it says."""
    curves, _ = gather(_small(), compute_all(_small(), Inline()))
    assert curves.gap.shape == (2, 2, 2)
    assert (curves.gap > -0.02).all()
    assert (curves.gap_of_best_reading > -0.02).all()
    best, value = optimum(LPSCL)
    assert least_cost(LPSCL) == best >= value
    found = merit(LPSCL, LPSCL.space.sample(4, seed=3))
    alive = found.failing < 0.99
    assert alive.any()
    assert np.allclose(found.cost[alive], found.value[alive] / (1 - found.failing[alive]))


def test_a_batch_is_proposed_before_any_of_it_is_measured() -> None:
    """Six cells in one batch differ from six one by one, and cannot be worse informed than nothing at all."""
    one, six = (
        compute_all(_small(strategies=["gp"], initial=[2], every=6, twins=1), Inline()),
        compute_all(_small(strategies=["gp"], initial=[2], batch=[6], every=6, twins=1), Inline()),
    )
    assert one != six


def test_what_is_not_finished_counts_as_unknown() -> None:
    """A study that was stopped is summarized by its finished campaigns alone."""
    job = _small()
    curves, table = gather(job, compute_all(job, Inline())[:3])
    assert np.isnan(curves.gap[1, 1]).all()
    summary = summarize(job, curves)
    assert [arm["campaigns"] for arm in summary["arms"]] == [2, 1]
    assert len(table["gap"]) == 6


def test_arms_are_compared_on_the_same_twins() -> None:
    """A small advantage that holds on each twin is clear although twins differ far more; chance is not; and where
    all cells fail with an answer, it counts as worse and is not left out."""
    arms = (Arm("sobol"), Arm("gp"), Arm("random"), Arm("physics-gp"))
    job = Simulate(LPSCL, arms, tuple(range(1, 41)), (10,))
    random = np.random.default_rng(1)
    first = random.uniform(0.1, 2.0, 40)
    failing = np.where(np.arange(40) < 25, np.inf, first)
    better = first - 0.02 * random.uniform(0.5, 1.5, 40)
    gap = np.stack([first, better, random.permutation(first), failing])[:, :, None]
    told = summarize(job, Curves(gap, gap, np.zeros_like(gap), np.ones_like(gap)))["arms"]
    assert told[1]["against_first"]["high"] < 0
    assert told[1]["against_first"]["better_on"] == 40
    assert told[2]["against_first"]["low"] < 0 < told[2]["against_first"]["high"]
    assert told[3]["against_first"]["of"] == 40
    assert told[3]["against_first"]["median_difference"] > 50


def test_an_answer_that_always_fails_is_said(tmp_path: Path) -> None:
    """An infinite gap is a gap: it is counted, drawn at the edge, and written as nothing but numbers."""
    job = replace(_small(), arms=(Arm("sobol"),))
    gap = np.array([[[np.inf, np.inf], [0.5, np.inf]]])
    curves = Curves(gap, gap, np.zeros_like(gap), np.ones_like(gap))
    table = {"arm": np.zeros(4, dtype=np.int32), "gap": gap.ravel()}
    summary, files = write_results(job, curves, table, tmp_path)
    assert summary["arms"][0]["median_gap"] is None
    assert summary["arms"][0]["good_share"] == 0.0
    assert "gap all cells fail in the median" in "\n".join(in_words(summary))
    assert "Infinity" not in (tmp_path / "summary.json").read_text()
    assert all(path.stat().st_size for path in files)


def test_all_mistakes_of_a_plan_are_told_at_once() -> None:
    """An unknown strategy, a start beyond the budget, a batch of none and a bench: one answer."""
    bench = replace(LPSCL, laboratory=replace(LPSCL.laboratory, kind="bench"))
    with pytest.raises(InputError) as refused:
        plan_simulation(bench, strategies=["gp", "gpp"], initial=[40], batch=[0], trials=30, twins=2)
    said = str(refused.value)
    for text in ("gpp", "--initial: 40 is not allowed", "--batch: 0 is not allowed", "is a bench"):
        assert text in said


def test_each_option_is_compared_with_everything_else_equal() -> None:
    """What a batch costs is found among strategies that differ far more, and what a budget adds; both are said."""
    job = _small(strategies=["sobol", "gp"], batch=[1, 4], twins=30)
    twin = np.random.default_rng(2).uniform(0.1, 3.0, 30)
    gap = np.zeros((len(job.arms), 30, 2))
    for index, arm in enumerate(job.arms):
        gap[index] = twin[:, None] + (arm.strategy == "gp") * np.random.default_rng(3).normal(0.0, 1.0, (30, 1))
        gap[index, :, 0] += 0.5
        gap[index] += 0.03 * (arm.batch == 4)
    gap[0, 7] = np.inf  # an answer with which all cells fail
    gap[1, 8] = np.nan  # a campaign that is not finished
    curves = Curves(gap, gap, np.zeros_like(gap), np.ones_like(gap))
    all_ = effects(job, curves)
    found = {(one.option, one.value): one for one in all_}
    assert set(found) == {("strategy", "gp"), ("initial", 3), ("batch", 4), ("budget", 6)}
    assert found["batch", 4].difference == pytest.approx(0.03)
    assert found["batch", 4].clear
    assert found["budget", 6].difference == pytest.approx(-0.5)
    assert not found["strategy", "gp"].clear
    assert found["strategy", "gp"].twins == 30
    summary = summarize(job, curves) | {"options": [one.told() for one in all_]}
    assert "batches of 4 against 1: +3.0%" in "\n".join(in_words(summary))
    ticks = draw_effects(job, all_).axes[0].get_yticklabels()
    assert next(tick.get_text() for tick in ticks) == "budget of 6 cells against 3"
