"""Engines: the same bytes wherever blocks are computed, and no finished block is lost with a worker."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pressopt.errors import InputError, StudyError
from pressopt.study import engines
from pressopt.study.engines import Dask, Engine, Inline, Processes, engine_of
from pressopt.study.folder import BLOCKS, StudyFolder
from pressopt.study.job import Job, Progress
from pressopt.study.predict import Predict
from pressopt.study.running import Stop, compute_all, run_job
from study_cluster import PATIENCE_S, Cluster
from study_jobs import Squares, small_screen


def _files(job: Job, folder: Path, engine: Engine) -> dict[str, bytes]:
    with StudyFolder(folder, job) as kept:
        assert run_job(job, kept, engine).finished
    return {path.name: path.read_bytes() for path in sorted((folder / BLOCKS).iterdir())}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    """Two worker processes write the very files that one process writes."""
    assert _files(small_screen(), tmp_path / "two", Processes(2)) == _files(
        small_screen(), tmp_path / "one", Inline()
    )


def test_a_killed_process_costs_no_finished_block(tmp_path: Path) -> None:
    """A worker that kills itself with SIGKILL in the middle is replaced, and every block is there once."""
    job = Squares(killer=tmp_path / "killed")
    found = _files(job, tmp_path / "study", Processes(2))
    assert (tmp_path / "killed").exists()
    assert [int(data) for data in found.values()] == [number**2 for number in range(12)]


def test_a_block_that_kills_every_worker_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after some tries with its number, and what was finished before is kept."""
    monkeypatch.setattr(engines, "LOSSES", 0)
    _files(Squares(), tmp_path / "study", Inline())
    job = Squares(killer=tmp_path / "killed", mercy=False)
    (tmp_path / "study" / BLOCKS / "0005.parquet").unlink()
    (tmp_path / "study" / BLOCKS / "0007.parquet").unlink()
    with StudyFolder(tmp_path / "study", job) as kept:
        with pytest.raises(StudyError, match=r"worker processes died 1 times in a row .* over block .*5"):
            run_job(job, kept, Processes(2))
        assert len(kept.finished) >= 10


def test_stopping_finishes_what_runs(tmp_path: Path) -> None:
    """Once asked to stop, no new block begins; those that run are kept."""
    job, stop = Squares(count=40), Stop()
    with StudyFolder(tmp_path, job) as kept:

        def tell(progress: Progress) -> None:
            stop.asked = progress.blocks_done >= 2

        progress = run_job(job, kept, Processes(2), tell=tell, stop=stop)
    assert 2 <= progress.blocks_done <= 2 + 4
    assert not progress.finished


@pytest.mark.parametrize(
    ("name", "scheduler", "workers", "said"),
    [
        ("ray", None, 0, "give local or dask"),
        ("dask", None, 0, "--scheduler: is missing"),
        ("local", "tcp://a:1", 0, "--scheduler: is not used by --engine local"),
        ("dask", "tcp://a:1", 2, "--workers: belongs to --engine local"),
        ("local", None, -1, "give 1 or more"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(name: str, scheduler: str | None, workers: int, said: str) -> None:
    """Options that do not go together are named, with the way out."""
    with pytest.raises(InputError, match=said):
        engine_of(name, scheduler=scheduler, workers=workers)


def test_a_scheduler_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody answers ends in words, not in a traceback."""
    monkeypatch.setattr(engines, "CONNECT_S", 1)
    with pytest.raises(StudyError, match="no Dask scheduler answers"):
        compute_all(Squares(), Dask("tcp://127.0.0.1:9"))


def test_a_cluster_gives_the_same_bytes(tmp_path: Path, cluster: Cluster) -> None:
    """A real scheduler with two worker processes writes the very files that are written here."""
    here = _files(small_screen(), tmp_path / "here", Inline())
    assert _files(small_screen(), tmp_path / "there", Dask(cluster.address)) == here


def test_a_cluster_predicts_the_same_bits(cluster: Cluster) -> None:
    """Predictions with draws, sent to other processes, come back as computed here."""
    screen = small_screen()
    job = Predict(screen.systems[0].surrogate, screen.protocols.table(screen.protocols.settings(0, 50)), draws=32)
    assert compute_all(job, Dask(cluster.address)) == compute_all(job, Inline())


def test_a_cluster_worker_may_be_killed(tmp_path: Path, cluster: Cluster) -> None:
    """With one of two workers killed by SIGKILL in the middle, the files are the same to the last bit."""
    job = small_screen(block_size=20)
    here = _files(job, tmp_path / "here", Inline())
    cluster.add_worker()
    victim = cluster.workers.pop(0)

    def tell(progress: Progress) -> None:
        if progress.blocks_done == 5:
            victim.send_signal(signal.SIGKILL)
            victim.wait(PATIENCE_S)

    with StudyFolder(tmp_path / "there", job) as kept:
        assert run_job(job, kept, Dask(cluster.address), tell=tell).finished
    assert victim.returncode == -signal.SIGKILL
    there = {path.name: path.read_bytes() for path in sorted((tmp_path / "there" / BLOCKS).iterdir())}
    assert there == here


@pytest.mark.long
def test_a_lost_scheduler_costs_no_finished_block(tmp_path: Path) -> None:
    """With the scheduler killed by SIGKILL in the middle it is said, and another one goes on where it stopped."""
    job, folder = small_screen(block_size=20), tmp_path / "study"
    here = _files(job, tmp_path / "here", Inline())
    with Cluster(_made(tmp_path / "first")) as lost, StudyFolder(folder, job) as kept:

        def tell(progress: Progress) -> None:
            if progress.blocks_done == 5:
                lost.scheduler.send_signal(signal.SIGKILL)
                lost.scheduler.wait(PATIENCE_S)

        with pytest.raises(StudyError, match="finished blocks are kept"):
            run_job(job, kept, Dask(lost.address), tell=tell)
        done = len(kept.finished)
    assert 5 <= done < len(job.sizes)
    with Cluster(_made(tmp_path / "second")) as another, StudyFolder(folder, job) as kept:
        assert len(kept.finished) == done
        assert run_job(job, kept, Dask(another.address)).finished
    assert {path.name: path.read_bytes() for path in sorted((folder / BLOCKS).iterdir())} == here


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
