"""The folder of a study: what is finished stays, whatever ends the program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pressopt.errors import StudyError
from pressopt.study.engines import Inline
from pressopt.study.folder import BLOCKS, FINISHED, StudyFolder
from pressopt.study.job import Progress
from pressopt.study.running import Stop, run_job
from study_jobs import Squares


def _run(job: Squares, folder: Path, stop_after: int | None = None) -> Progress:
    stop = Stop()
    with StudyFolder(folder, job) as kept:
        before = len(kept.finished)

        def tell(progress: Progress) -> None:
            stop.asked = stop_after is not None and progress.blocks_done - before >= stop_after

        return run_job(job, kept, Inline(), tell=tell, stop=stop)


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / BLOCKS).iterdir())}


def test_a_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Stopped twice and taken up again, it computes each block once and ends with the same files."""
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    assert _run(Squares(), whole).finished
    assert not _run(Squares(), pieces, stop_after=3).finished
    second = _run(Squares(), pieces, stop_after=4)
    assert (second.done, second.fresh, second.total) == (7, 4, 12)
    assert _run(Squares(), pieces).fresh == 5
    assert _content(pieces) == _content(whole)


def test_progress_knows_rate_and_remaining_time() -> None:
    """The rate is that of this run alone, and what is left is expected at that rate."""
    progress = Progress("protocols", done=700, total=1000, fresh=100, blocks_done=7, blocks=10, elapsed_s=2.0)
    assert progress.rate == 50.0
    assert progress.remaining_s == 6.0
    assert Progress("protocols", 0, 10, 0, 0, 1, 0.0).remaining_s is None


def test_a_torn_last_line_costs_one_block(tmp_path: Path) -> None:
    """A manifest cut in its last line, as a kill leaves it, loses that block and nothing else."""
    _run(Squares(), tmp_path)
    manifest = tmp_path / FINISHED
    manifest.write_bytes(manifest.read_bytes()[:-9])
    assert _run(Squares(), tmp_path).fresh == 1
    assert len(manifest.read_bytes().splitlines()) == 12


def test_a_block_that_never_reached_the_disk_is_computed_again(tmp_path: Path) -> None:
    """A file that is gone or shorter than the manifest says counts as not done."""
    _run(Squares(), tmp_path)
    places = sorted((tmp_path / BLOCKS).iterdir())
    expected = places[11].read_bytes()
    places[3].unlink()
    places[11].write_bytes(b"")
    assert _run(Squares(), tmp_path).fresh == 2
    assert places[11].read_bytes() == expected


def test_a_changed_block_is_refused(tmp_path: Path) -> None:
    """A file with other content is named, and never read as a result."""
    _run(Squares(), tmp_path)
    place = sorted((tmp_path / BLOCKS).iterdir())[11]
    place.write_bytes(b"122")
    with StudyFolder(tmp_path, Squares()) as kept, pytest.raises(StudyError, match="is not what was written"):
        list(kept.read())


def test_a_folder_belongs_to_one_study(tmp_path: Path) -> None:
    """Another study is refused, and what differs is named."""
    _run(Squares(), tmp_path)
    with pytest.raises(StudyError, match=r"holds another study .other numbers.*--out"):
        StudyFolder(tmp_path, Squares(count=13))


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    """While one computes, another is refused with its number."""
    with StudyFolder(tmp_path, Squares()), pytest.raises(StudyError, match=r"another process \(\d+\)"):
        StudyFolder(tmp_path, Squares())


_FULL = """
import resource, sys
from pathlib import Path
from pressopt.errors import StudyError
from pressopt.study.engines import Inline
from pressopt.study.folder import StudyFolder
from pressopt.study.running import run_job
from study_jobs import Squares

class Large(Squares):
    def block(self, index):
        size = 100 if index < 5 else 300_000
        return lambda: bytes([index]) * size

with StudyFolder(Path(sys.argv[1]), Large()) as kept:
    # No file may grow beyond this: writing fails in the kernel, as on a full disk.
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        run_job(Large(), kept, Inline())
    except StudyError as error:
        print(error)
"""


def test_a_full_disk_loses_no_finished_block(tmp_path: Path) -> None:
    """Where writing fails, five blocks are kept, the message says what to do, and with room it goes on."""

    def run(limit: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", _FULL, str(tmp_path / "study"), str(limit)],
            capture_output=True, text=True, check=True, timeout=120, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        return done.stdout

    said = run(100_000)
    assert "the 5 finished blocks are kept" in said
    assert "Make room" in said
    assert len(_content(tmp_path / "study")) == 5
    assert run(10_000_000) == ""
    assert [data[0] for data in _content(tmp_path / "study").values()] == list(range(12))
    lines = (tmp_path / "study" / FINISHED).read_text().splitlines()
    assert [json.loads(line)["block"] for line in lines] == list(range(12))
