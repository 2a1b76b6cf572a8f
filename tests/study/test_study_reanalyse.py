"""Reanalysis: today's analysis of old spectra, beside what was concluded then; journals are never written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import pressopt
from pressopt.campaign import events as e
from pressopt.campaign import measuring
from pressopt.cli import cli
from pressopt.errors import InputError
from pressopt.store.places import journal_of
from pressopt.study import reanalyse as module
from pressopt.study.engines import Inline, Processes
from pressopt.study.folder import StudyFolder
from pressopt.study.reanalyse import Reanalyse, changes, find_campaigns, gather, read_campaigns
from pressopt.study.reanalyse_report import in_words, write_results
from pressopt.study.running import compute_all, run_job
from study_jobs import EXPERIMENTS, RESISTANCE


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished campaign of four cells, through wires."""
    folder = tmp_path_factory.mktemp("old") / "campaign"
    with pressopt.begin_campaign(EXPERIMENTS / "li-lpscl-symmetric.toml", store=folder, trials=4) as running:
        running.run()
    return folder


def _job(folder: Path) -> Reanalyse:
    return Reanalyse(tuple(read_campaigns([folder])))


def test_the_same_analysis_changes_nothing(campaign: Path) -> None:
    """Today's analysis of a campaign of today gives its very verdicts, values and answer."""
    job = _job(campaign)
    table = gather(compute_all(job, Inline()))
    (change,) = changes(job, table)
    assert change.spectra == len(table["trial"]) >= 4
    assert (change.verdicts, change.values) == ((), ())
    assert change.before == change.after is not None
    assert list(in_words([change]))[1].strip() == "nothing would change"
    last = table["last"]
    assert last.sum() == 4
    assert np.array_equal(table[f"old_{RESISTANCE}"][last], table[f"new_{RESISTANCE}"][last], equal_nan=True)


def test_another_analysis_is_told(campaign: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where today's analysis reads half and doubts trial 2, both are named, and the answer is asked again."""
    real = measuring.judged

    def other(experiment: Any, trial: Any, *rest: Any) -> e.Measured:
        found = real(experiment, trial, *rest)
        if trial.number == 2:
            return e.Measured(2, {}, "invalid", ("invalid_measurement",), ("invalid_measurement",), ("drift",), {})
        halved = {name: (value / 2, sd / 2) for name, (value, sd) in found.outcomes.items()}
        return e.Measured(trial.number, halved, found.verdict, found.failures, found.blameless, found.reasons, {})

    monkeypatch.setattr(module, "judged", other)
    job = _job(campaign)
    table = gather(compute_all(job, Inline()))
    (change,) = changes(job, table)
    old = job.campaigns[0].state
    valid = [t.number for t in old.done if t.outcomes and t.number != 2]
    assert [number for number, *_ in change.values] == valid
    for number, before, after, sds in change.values:
        assert after == pytest.approx(before / 2)
        assert sds == pytest.approx(-before / 2 / old.trials[number].outcomes[RESISTANCE][1])
    assert [number for number, *_ in change.verdicts] == [2]
    assert change.before is not None
    assert change.after is not None
    assert change.after["expected"] < 0.8 * change.before["expected"]
    summary, files = write_results(job, table, [change], tmp_path)
    assert (summary["changed_verdicts"], summary["changed_values"]) == (1, len(valid))
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert all(path.stat().st_size for path in files)
    assert "recommended now:" in "\n".join(in_words([change]))


@pytest.mark.long
def test_processes_analyse_the_same_bits(campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spectra in many blocks and two worker processes give the bytes of one process."""
    monkeypatch.setattr(module, "BLOCK", 2)
    job = _job(campaign)
    assert len(job.sizes) >= 2
    with StudyFolder(tmp_path, job) as kept:
        run_job(job, kept, Processes(2))
        assert [data for _, data in kept.read()] == compute_all(job, Inline())


def test_journals_are_only_read(campaign: Path, tmp_path: Path) -> None:
    """The command finds campaigns below a folder, and leaves the journal as it was, to the byte."""
    before = hashlib.sha256(journal_of(campaign).read_bytes()).hexdigest()
    done = CliRunner().invoke(
        cli, ["reanalyse", str(campaign.parent), "--out", str(tmp_path / "re"), "--json"], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert json.loads(done.stdout)["changed_values"] == 0
    assert hashlib.sha256(journal_of(campaign).read_bytes()).hexdigest() == before


def test_places_without_campaigns_are_named(tmp_path: Path) -> None:
    """Every place that holds none is told at once; a damaged journal too."""
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError) as refused:
        find_campaigns([tmp_path / "a", tmp_path / "b"])
    assert str(tmp_path / "a") in str(refused.value)
    assert str(tmp_path / "b") in str(refused.value)
    journal_of(tmp_path / "a").write_bytes(b"no journal")
    with pytest.raises(InputError, match="a"):
        read_campaigns(find_campaigns([tmp_path / "a"]))
