"""Runs a job: computes the blocks that are missing, keeps each as it is finished, tells how far it came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pressopt.clock import wall_monotonic_s
from pressopt.study.engines import Engine
from pressopt.study.folder import StudyFolder
from pressopt.study.job import Job, Progress

Tell = Callable[[Progress], None]


@dataclass
class Stop:
    """A request to stop, made by a signal handler or another thread: what runs is finished, nothing new begins."""

    asked: bool = False

    def __call__(self) -> bool:
        return self.asked


def run_job(
    job: Job, folder: StudyFolder, engine: Engine, *, tell: Tell | None = None, stop: Stop | None = None
) -> Progress:
    """Compute what is missing of a job, block by block.

    Args:
        job: What is to be computed.
        folder: Where finished blocks are kept; those that lie there already are not computed again.
        engine: Who computes.
        tell: Called after each block.
        stop: Asks to stop.

    Returns:
        How far it came: to the end, unless ``stop`` was asked.

    Raises:
        StudyError: The folder cannot be written or workers are lost; finished blocks are kept.
    """
    stop = stop or Stop()
    sizes, total = job.sizes, sum(job.sizes)
    missing = [index for index in range(len(sizes)) if index not in folder.finished]
    done = sum(sizes[index] for index in folder.finished)
    fresh, began_s = 0, wall_monotonic_s()

    def progress() -> Progress:
        elapsed_s = wall_monotonic_s() - began_s
        return Progress(job.unit, done, total, fresh, len(folder.finished), len(sizes), elapsed_s)

    if tell is not None:
        tell(progress())
    for index, data in engine.compute(((index, job.block(index)) for index in missing), stopping=stop):
        folder.add(index, data)
        done += sizes[index]
        fresh += sizes[index]
        if tell is not None:
            tell(progress())
    end = progress()
    assert end.finished or stop.asked, f"the engine left out blocks of a {job.kind}"
    return end


def compute_all(job: Job, engine: Engine) -> list[bytes]:
    """Compute all blocks of a small job in memory, in order."""
    found = dict(engine.compute(((i, job.block(i)) for i in range(len(job.sizes))), stopping=lambda: False))
    return [found[index] for index in range(len(job.sizes))]


__all__ = ["Stop", "Tell", "compute_all", "run_job"]
