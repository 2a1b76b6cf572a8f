"""All six commands of studies: the same files on a cluster that loses a worker, after Ctrl-C and a full disk."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import pressopt
from pressopt.cli import cli
from pressopt.errors import StudyError
from pressopt.study import predict, reanalyse
from pressopt.study.folder import FINISHED, LOCK, StudyFolder
from study_cluster import PATIENCE_S, Cluster
from study_jobs import EXPERIMENTS, RESISTANCE, SMALL_SCREEN

#: The quick suite looks at one; how it interrupts `screen` in a process of its own is in test_study_commands.py.
NAMES = (
    "predict",
    *(
        pytest.param(name, marks=pytest.mark.long)
        for name in ("map", "calibrate", "screen", "simulate", "reanalyse")
    ),
)

_add = StudyFolder.add


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Every command of studies with work of several blocks; ``--out`` is left open."""
    folder = tmp_path_factory.mktemp("work")
    cell = str(EXPERIMENTS / "li-lpscl-symmetric.toml")
    (folder / "screen.toml").write_text(SMALL_SCREEN.replace("points = 9", "points = 40"), encoding="utf-8")
    rows = [f"{2 + 0.5 * n},60,25,{200 / (2 + 0.5 * n)}" for n in range(60)]
    (folder / "cells.csv").write_text("\n".join([f"pressure_mpa,dwell_s,temperature_c,{RESISTANCE}", *rows]))
    table = ["--table", str(folder / "cells.csv")]
    return {
        "predict": [cell, *table, "--draws", "64", "--out", "predicted.parquet"],
        "map": [cell, "--x", "pressure", "--y", "dwell", "--points", "15", "--draws", "16", "--out", "map.svg"],
        "calibrate": [cell, *table, "--draws", "64", "--chains", "3", "--out", "posterior"],
        "screen": [str(folder / "screen.toml"), "--out", "screen"],
        "simulate": [
            cell,
            "--strategies",
            "sobol,gp",
            "--twins",
            "2",
            "--trials",
            "4",
            "--every",
            "4",
            "--out",
            "sim",
        ],
        "reanalyse": [str(folder / "old"), "--out", "again"],
    }


@pytest.fixture
def run(commands: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command in a folder of its own below the test's; its work is cut into several blocks."""
    monkeypatch.setattr(predict, "_EVALUATIONS", 1280)
    monkeypatch.setattr(reanalyse, "BLOCK", 1)

    def run(name: str, place: str, *options: str) -> Result:
        if name == "reanalyse" and not Path(commands[name][0]).exists():
            with pressopt.begin_campaign(Path(commands["map"][0]), store=Path(commands[name][0]), trials=3) as old:
                old.run()
        (tmp_path / place).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / place)
        return CliRunner().invoke(cli, [name, *commands[name], *options], catch_exceptions=False)

    return run


def _written(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its place; which block was finished first, and by whom, is chance."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {LOCK, FINISHED}
    }


@pytest.mark.long
@pytest.mark.parametrize("name", ["predict", "map", "calibrate", "screen", "simulate", "reanalyse"])
def test_a_cluster_that_loses_a_worker_gives_the_same_files(
    name: str, run: Callable[..., Result], cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one of two workers killed by SIGKILL after the first block, all files are those of one process here."""
    run(name, "here", "--workers", "1")
    killed: list[int] = []

    def kill() -> None:
        if not killed:
            victim = cluster.workers.pop(0)
            killed.append(victim.pid)
            victim.send_signal(signal.SIGKILL)
            victim.wait(PATIENCE_S)

    cluster.add_worker()
    monkeypatch.setattr(StudyFolder, "add", _told([], after=kill))
    run(name, "there", "--engine", "dask", "--scheduler", cluster.address)
    assert killed
    assert _written(tmp_path / "there") == _written(tmp_path / "here")


@pytest.mark.parametrize("name", NAMES)
def test_ctrl_c_and_a_full_disk_cost_no_finished_block(
    name: str, run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after a block, then no room for the next one, then none for the results: each time it is said how to
    go on, no finished block is computed again, and the files are those of a run that nobody disturbed."""
    kept: list[int] = []
    monkeypatch.setattr(StudyFolder, "add", _told(kept, after=lambda: None))
    assert run(name, "whole", "--workers", "1").exit_code == 0
    blocks = len(kept)
    kept.clear()

    monkeypatch.setattr(StudyFolder, "add", _told(kept, after=lambda: os.kill(os.getpid(), signal.SIGINT)))
    stopped = run(name, "disturbed", "--workers", "1")
    assert stopped.exit_code == 130
    assert "The same command goes on" in stopped.stderr
    assert 1 <= len(kept) < blocks

    monkeypatch.setattr(StudyFolder, "add", _told(kept, before=_no_room, after=lambda: None))
    before = len(kept)
    with _room_afterwards(), pytest.raises(StudyError, match=rf"the {before} finished blocks are kept. Make room"):
        run(name, "disturbed", "--workers", "1")
    assert len(kept) == before

    monkeypatch.setattr(StudyFolder, "add", _told(kept, after=lambda: _no_room() if len(kept) == blocks else None))
    with (
        _room_afterwards(),
        pytest.raises(StudyError, match=r"cannot be written: .*Make room and give the same command again"),
    ):
        run(name, "disturbed", "--workers", "1")
    assert len(kept) == blocks

    assert run(name, "disturbed", "--workers", "1").exit_code == 0
    assert sorted(kept) == list(range(blocks))
    assert _written(tmp_path / "disturbed") == _written(tmp_path / "whole")


def _told(
    kept: list[int], *, after: Callable[[], object], before: Callable[[], object] = lambda: None
) -> Callable[[StudyFolder, int, bytes], None]:
    """A way to keep a block that notes its number, with something that happens before and after."""

    def add(self: StudyFolder, index: int, data: bytes) -> None:
        before()
        _add(self, index, data)
        kept.append(index)
        after()

    return add


def _no_room() -> None:
    """No file may grow beyond some bytes: writing fails in the kernel, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@contextlib.contextmanager
def _room_afterwards() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
