"""Ask and tell over HTTP, durable, 16 clients, beside Optuna's storages.

    python benchmarks/service/ask_tell.py

Everything runs on the same cores, one after the other: the service with its load generator, then Optuna with four
worker processes (more make SQLite slower). Both write to disk before they answer.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from pathlib import Path

from load import Wire, fill, free_port, service


def pressopt(folder: Path, strategy: str, *, clients: int, seconds: float, history: int, campaigns: int) -> float:
    """Cycles a second: each client takes the next campaign after five cycles, so that history stays near."""
    store = str(folder / f"store-{strategy}-{history}")
    ids = fill(store, campaigns, history, strategy)
    port, done = free_port(), 0

    async def client(place: int, end: float, mine: list[str]) -> int:
        wire, count = Wire(port), 0
        while time.monotonic() < end:
            await wire.cycle(mine[(count // 5) % len(mine)])
            count += 1
        return count

    async def all_clients(seconds: float) -> int:
        end = time.monotonic() + seconds
        parts = [ids[place::clients] for place in range(clients)]
        return sum(await asyncio.gather(*(client(place, end, parts[place]) for place in range(clients))))

    with service(store, port):
        asyncio.run(all_clients(1.0))  # what is read once is read before
        begin = time.monotonic()
        done = asyncio.run(all_clients(seconds))
        return done / (time.monotonic() - begin)


def _optuna_worker(url: str, kind: str, sampler: str, seconds: float, ready: object, count: object) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="s", storage=_storage(url, kind), sampler=_sampler(sampler))
    ready.wait()  # type: ignore[attr-defined]
    end, done = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        trial = study.ask()
        p = trial.suggest_float("p", 1, 100, log=True)
        trial.suggest_float("t", 10, 3600, log=True)
        trial.suggest_float("c", 25, 90)
        study.tell(trial, 10 + 100 / p)
        done += 1
    with count.get_lock():  # type: ignore[attr-defined]
        count.value += done  # type: ignore[attr-defined]


def _storage(url: str, kind: str) -> object:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    if kind == "journal":
        return optuna.storages.JournalStorage(JournalFileBackend(url))
    return optuna.storages.RDBStorage(f"sqlite:///{url}")


def _sampler(name: str) -> object:
    import optuna

    return optuna.samplers.TPESampler() if name == "TPE" else optuna.samplers.RandomSampler()


def optuna_rate(folder: Path, kind: str, sampler: str, *, workers: int, seconds: float, history: int) -> float:
    """Cycles a second of Optuna with its storage on the same disk."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = str(folder / f"optuna-{kind}-{sampler}")
    study = optuna.create_study(study_name="s", storage=_storage(url, kind), sampler=_sampler("random"))
    for _ in range(history):
        trial = study.ask()
        p = trial.suggest_float("p", 1, 100, log=True)
        trial.suggest_float("t", 10, 3600, log=True)
        trial.suggest_float("c", 25, 90)
        study.tell(trial, 10 + 100 / p)
    context = multiprocessing.get_context("spawn")
    count, ready = context.Value("i", 0), context.Barrier(workers)
    processes = [
        context.Process(target=_optuna_worker, args=(url, kind, sampler, seconds, ready, count))
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return count.value / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--no-peers", action="store_true")
    asked = parser.parse_args()
    seconds, clients = asked.seconds, asked.clients
    rows: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        for strategy, history, campaigns in (("sobol", 0, 20 * clients), ("gp", 20, 16 * clients)):
            rate = pressopt(
                folder, strategy, clients=clients, seconds=seconds, history=history, campaigns=campaigns
            )
            rows.append((f"pressopt over HTTP, {strategy}, {history} trials of history, {clients} clients", rate))
        if not asked.no_peers:
            for kind, sampler, history in (
                ("sqlite", "random", 0),
                ("sqlite", "TPE", 20),
                ("journal", "random", 0),
            ):
                rate = optuna_rate(folder, kind, sampler, workers=4, seconds=seconds, history=history)
                rows.append((f"Optuna, {kind}, {sampler}, {history} trials of history, 4 workers", rate))
    for what, rate in rows:
        print(f"{what:64} {rate:8.1f} ask + tell a second")


if __name__ == "__main__":
    main()
