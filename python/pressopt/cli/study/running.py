"""What the commands of studies share: where blocks are computed, how progress is shown, how Ctrl-C stops."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import rich_click as click
from click.exceptions import Exit

from pressopt.clock import wall_monotonic_s
from pressopt.errors import StudyError
from pressopt.study.engines import Engine, engine_of
from pressopt.study.folder import StudyFolder
from pressopt.study.job import Job, Progress
from pressopt.study.running import Stop, compute_all, run_job

#: A line of progress at most this often where there is no terminal, s of wall time.
LINE_S = 10.0
_STOPPING = b"\nstopping: what runs is finished first; Ctrl-C again stops at once\n"


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--engine``, ``--scheduler`` and ``--workers``; the command gets one ``engine``."""

    @click.option(
        "--engine", "name", default="local", show_default=True, help="Where blocks are computed: local or dask."
    )
    @click.option("--scheduler", help="Address of the Dask scheduler, such as tcp://host:8786.")
    @click.option(
        "--workers", type=int, default=0, help="Processes of --engine local.  [default: one for each core]"
    )
    @functools.wraps(command)
    def with_engine(*args: Any, name: str, scheduler: str | None, workers: int, **kwargs: Any) -> Any:
        return command(*args, engine=engine_of(name, scheduler=scheduler, workers=workers), **kwargs)

    return with_engine


def compute(job: Job, folder: StudyFolder, engine: Engine, *, quiet: bool) -> Progress:
    """Run a job with its progress on stderr.

    The first Ctrl-C (or SIGTERM) lets running blocks finish and begins no new one; a second stops at once.
    """
    stop = Stop()
    with _interrupts(stop), _shown(quiet) as tell:
        return run_job(job, folder, engine, tell=tell, stop=stop)


@contextlib.contextmanager
def finished_blocks(job: Job, folder: Path | None, engine: Engine, *, quiet: bool) -> Iterator[list[bytes]]:
    """All blocks of a job whose result is written as one table or picture.

    A job of several blocks keeps them in ``folder`` until its result is written: stopped, or where there is no
    room for the result, the same command goes on there. One block is not worth a folder; without one nothing is
    kept.
    """
    if folder is None or len(job.sizes) < 2:
        blocks = compute_all(job, engine)
        with writing(None):
            yield blocks
        return
    with StudyFolder(folder, job, suffix=".bin") as kept:
        progress = compute(job, kept, engine, quiet=quiet)
        leave_unless_finished(progress, folder)
        with writing(folder):
            yield [data for _, data in kept.read()]
    shutil.rmtree(folder)


@contextlib.contextmanager
def writing(folder: Path | None) -> Iterator[None]:
    """While results are written: a full disk is said as one, and that no block in ``folder`` is lost."""
    try:
        yield
    except BrokenPipeError:  # nobody reads what is printed: no affair of the disk
        raise
    except OSError as error:
        place = error.filename or "the result"
        kept = f"; all blocks are kept in {folder}" if folder is not None else ""
        raise StudyError(
            f"{place} cannot be written: {error.strerror or error}{kept}. Make room and give the same command "
            f"again"
        ) from error


def leave_unless_finished(progress: Progress, folder: Path) -> None:
    """End with 130 when the study was stopped, and say how it goes on."""
    if progress.finished:
        return
    print(
        f"stopped after {progress.done:,} of {progress.total:,} {progress.unit}; finished blocks are in {folder}. "
        f"The same command goes on",
        file=sys.stderr,
    )
    raise Exit(130)


@contextlib.contextmanager
def _interrupts(stop: Stop) -> Iterator[None]:
    def ask(number: int, frame: object) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        with contextlib.suppress(OSError):  # `print` may not be entered twice, and a signal can come at any time
            os.write(2, _STOPPING)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield None
    elif console.is_terminal:
        from rich.live import Live
        from rich.text import Text

        with Live(console=console, refresh_per_second=4) as live:
            yield lambda progress: live.update(Text(in_words(progress)))
    else:
        said_s = -LINE_S

        def line(progress: Progress) -> None:
            nonlocal said_s
            if progress.finished or wall_monotonic_s() - said_s >= LINE_S:
                said_s = wall_monotonic_s()
                print(in_words(progress), file=sys.stderr)

        yield line


def in_words(progress: Progress) -> str:
    """``12,000,000 of 100,000,000 protocols (12 %), 1.1 million/s, 1 min 20 s left``."""
    from pressopt.export.wording import number, rough_duration

    share = progress.done / progress.total if progress.total else 1.0
    text = f"{progress.done:,} of {progress.total:,} {progress.unit} ({share:.0%})"
    if progress.fresh:
        rate = progress.rate
        shown = f"{number(rate / 1e6)} million/s" if rate >= 1e6 else f"{number(rate)}/s"
        text += f", {shown}"
    if progress.remaining_s is not None and not progress.finished:
        text += f", {rough_duration(max(1.0, progress.remaining_s))} left"
    return text
