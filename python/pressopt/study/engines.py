"""Who computes blocks: worker processes here, or the workers of a Dask scheduler anywhere.

An engine yields blocks as they are finished, in any order. It begins no new block once ``stopping`` says so, and
still yields those that run. A worker that dies costs its block's time, never a finished block.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Protocol

from pressopt.errors import InputError, PressoptError, StudyError, Violation
from pressopt.study.job import Block, fingerprint

if TYPE_CHECKING:
    from distributed import Client

Numbered = Iterable[tuple[int, Block]]
Done = Iterator[tuple[int, bytes]]

#: Blocks that wait for each worker beside the one that it computes.
AHEAD = 1
#: How often a pool of processes may break before a block is finished in between.
LOSSES = 3
#: How long a scheduler may take to answer, s.
CONNECT_S = 15
#: Threads of libraries inside a worker: blocks are the parallel part.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


class Engine(Protocol):
    """Computes blocks."""

    def compute(self, blocks: Numbered, *, stopping: Callable[[], bool]) -> Done:
        """Yield (number, bytes) of each block as it is finished.

        Raises:
            StudyError: Workers are lost for good, or are not those of this version.
        """
        ...


class Inline:
    """Computes one block after the other, in this process."""

    def compute(self, blocks: Numbered, *, stopping: Callable[[], bool]) -> Done:
        for index, block in blocks:
            if stopping():
                return
            yield index, block()


class Processes:
    """Computes blocks in worker processes of this machine.

    Args:
        workers: How many; 0: one for each core that this process may use.
    """

    def __init__(self, workers: int = 0) -> None:
        if workers < 0:
            raise InputError(
                (Violation("workers", f"{workers} is not allowed: give 1 or more, or 0 for all cores"),)
            )
        self.workers = workers or len(os.sched_getaffinity(0))

    def compute(self, blocks: Numbered, *, stopping: Callable[[], bool]) -> Done:
        waiting = iter(blocks)
        first = list(_take(waiting, 2))
        if self.workers == 1 or len(first) < 2:  # a process would cost more than it saves
            yield from Inline().compute(_chain(first, waiting), stopping=stopping)
            return
        yield from self._pooled(_chain(first, waiting), stopping)

    def _pooled(self, blocks: Iterator[tuple[int, Block]], stopping: Callable[[], bool]) -> Done:
        lost = 0
        pool = self._pool()
        running: dict[Future[bytes], tuple[int, Block]] = {}
        again: deque[tuple[int, Block]] = deque()  # taken from ``blocks``, and with no worker
        try:
            while True:
                try:
                    while len(running) < self.workers * (1 + AHEAD) and not stopping():
                        again.extend(_take(blocks, 1) if not again else ())
                        if not again:
                            break
                        running[pool.submit(again[0][1])] = again[0]
                        again.popleft()
                    if not running:
                        return
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        data = future.result()
                        index, _ = running.pop(future)
                        lost = 0
                        yield index, data
                except BrokenProcessPool as broken:
                    lost += 1
                    # Finished but not yet fetched when the pool broke, or never begun: the same bytes again.
                    again.extendleft(running.values())
                    running = {}
                    if lost > LOSSES:
                        numbers = ", ".join(str(index) for index, _ in again)
                        raise StudyError(
                            f"worker processes died {lost} times in a row (killed, or out of memory) over block "
                            f"{numbers}: give --workers 1 or a smaller block; finished blocks are kept"
                        ) from broken
                    pool.shutdown(wait=False, cancel_futures=True)
                    pool = self._pool()
        finally:
            _end(pool)

    def _pool(self) -> ProcessPoolExecutor:
        import multiprocessing

        # Spawned, not forked: the threads of this process do not get into the way of the workers.
        return ProcessPoolExecutor(
            self.workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker
        )


class Dask:
    """Computes blocks on the workers of a running Dask scheduler.

    Args:
        address: Of the scheduler: ``tcp://host:8786``.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def compute(self, blocks: Numbered, *, stopping: Callable[[], bool]) -> Done:
        client = self._connect()
        try:
            yield from self._fed(client, iter(blocks), stopping)
        finally:
            client.close(timeout=2)

    def _connect(self) -> Client:
        try:
            from distributed import Client
        except ImportError:
            raise InputError(
                (Violation("--engine", "dask is not installed here: pip install 'pressopt[cluster]'"),)
            ) from None
        try:
            return Client(self.address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise StudyError(
                f"no Dask scheduler answers at {self.address} ({_brief(error)}): start one with `dask scheduler` "
                f"and give the address that it prints"
            ) from error

    def _fed(self, client: Client, blocks: Iterator[tuple[int, Block]], stopping: Callable[[], bool]) -> Done:
        """Keep a few blocks at each worker: a scheduler with a million waiting tasks answers nobody."""
        from distributed import as_completed

        expected = fingerprint()
        running: dict[Any, int] = {}
        finished = as_completed(loop=client.loop)
        while True:
            try:
                workers = max(1, sum(client.nthreads().values()))
            except OSError as error:
                raise _lost(self.address, error) from error
            room = workers * (1 + AHEAD) - len(running)
            while room > 0 and not stopping():
                following = next(blocks, None)
                if following is None:
                    break
                # Pure by design, but without a key of its own: another client's failure is not ours.
                future = client.submit(compute_marked, following[1], pure=False)
                running[future] = following[0]
                finished.add(future)
                room -= 1
            if not running:
                return
            try:
                future = next(finished)
                found, data = future.result()
            except PressoptError:
                raise
            except Exception as error:
                raise _lost(self.address, error) from error
            if found != expected:
                raise StudyError(_other_versions(expected, found))
            yield running.pop(future), data


def engine_of(name: str, *, scheduler: str | None = None, workers: int = 0) -> Engine:
    """Return the engine with this name.

    Raises:
        InputError: An unknown name, or a scheduler without need or missing; all at once.
    """
    wrong = []
    if name not in {"local", "dask"}:
        wrong.append(Violation("--engine", f"{name!r} is not known: give local or dask"))
    if name == "dask" and not scheduler:
        wrong.append(Violation("--scheduler", "is missing: --engine dask needs the address of its scheduler"))
    if name == "local" and scheduler:
        wrong.append(
            Violation("--scheduler", "is not used by --engine local: leave it out, or give --engine dask")
        )
    if name == "dask" and workers:
        wrong.append(Violation("--workers", "belongs to --engine local: Dask's workers are started beside it"))
    if wrong:
        raise InputError(wrong)
    return Dask(str(scheduler)) if name == "dask" else Processes(workers)


def compute_marked(block: Block) -> tuple[dict[str, str], bytes]:
    """Compute a block on a worker of another machine, and say which versions did it."""
    return fingerprint(), block()


def _prepare_worker() -> None:
    """In a new worker: Ctrl-C is the parent's affair, and each library has one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _ONE_THREAD:
        os.environ[name] = "1"


def _end(pool: ProcessPoolExecutor) -> None:
    """End the workers now: what they compute is either finished or wanted by nobody."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _take(blocks: Iterator[tuple[int, Block]], count: int) -> Iterator[tuple[int, Block]]:
    for _, item in zip(range(count), blocks, strict=False):
        yield item


def _chain(first: Iterable[tuple[int, Block]], rest: Iterable[tuple[int, Block]]) -> Iterator[tuple[int, Block]]:
    yield from first
    yield from rest


def _brief(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _lost(address: str, error: Exception) -> StudyError:
    """What went wrong on a cluster, in words; a mistake of ours stays what it is."""
    kind = type(error).__name__
    if kind == "KilledWorker":
        said = "a block was given up after several workers died over it (out of memory?): give a smaller block"
    elif kind in {"CancelledError", "FutureCancelledError", "CommClosedError", "TimeoutError"} or isinstance(
        error, OSError
    ):
        said = f"the scheduler at {address} is gone ({_brief(error)}): start it and its workers again"
    elif isinstance(error, (ImportError, AttributeError)):
        said = f"a worker cannot load this pressopt ({_brief(error)}): install the same version there"
    else:
        raise error
    return StudyError(f"{said}; finished blocks are kept, and the same command goes on where it stopped")


def _other_versions(here: dict[str, str], there: dict[str, str]) -> str:
    differing = [
        f"{name} {there.get(name, 'none')} (here {here[name]})" for name in here if here[name] != there.get(name)
    ]
    return (
        f"a worker has {', '.join(differing)}: its numbers would differ in the last digits. Install the same "
        f"versions on all workers; finished blocks are kept"
    )
