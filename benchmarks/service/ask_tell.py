"""Ask and tell over HTTP, durable, 16 clients, beside Optuna's storages.

    python benchmarks/service/ask_tell.py [--vizier PYTHON]

Everything runs on the same cores, one after the other, in rounds: the service with its load generator, then Optuna
with four worker processes (more make SQLite slower), then Vizier's service with four clients. All write to disk
before they answer. `gp` and TPE begin with 20 trials of history, the others with none.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from load import Wire, fill, free_port, service

#: Workers of Optuna and clients of Vizier: with more both become slower.
WORKERS = 4


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


def vizier_rate(python: str, folder: Path, *, clients: int, seconds: float) -> float:
    """Cycles a second of Vizier's service, in an environment of its own."""
    words = [python, str(Path(__file__).with_name("vizier_peer.py")), str(folder / "vizier.db"), str(clients)]
    ended = subprocess.run([*words, str(seconds)], stdout=subprocess.PIPE, text=True, check=True)
    return float(ended.stdout)


def one_round(folder: Path, asked: argparse.Namespace) -> dict[str, float]:
    """Measure everything once, one after the other; return cycles a second by what was measured."""
    seconds, clients = asked.seconds, asked.clients
    rates: dict[str, float] = {}
    for strategy, history, campaigns in (("sobol", 0, 20 * clients), ("gp", 20, 16 * clients)):
        rates[f"pressopt over HTTP, {strategy}"] = pressopt(
            folder, strategy, clients=clients, seconds=seconds, history=history, campaigns=campaigns
        )
    if not asked.no_peers:
        for kind, sampler, history in (("sqlite", "random", 0), ("sqlite", "TPE", 20), ("journal", "random", 0)):
            rates[f"Optuna, {kind}, {sampler}"] = optuna_rate(
                folder, kind, sampler, workers=WORKERS, seconds=seconds, history=history
            )
    if asked.vizier:
        rates["Vizier, SQLite, random"] = vizier_rate(asked.vizier, folder, clients=WORKERS, seconds=seconds)
    return rates


#: (what, of which peer it is told how many times as fast it is).
RATIOS = (
    ("pressopt over HTTP, sobol", "Optuna, sqlite, random"),
    ("pressopt over HTTP, sobol", "Optuna, journal, random"),
    ("pressopt over HTTP, sobol", "Vizier, SQLite, random"),
    ("pressopt over HTTP, gp", "Optuna, sqlite, TPE"),
    ("pressopt over HTTP, gp", "Vizier, SQLite, random"),
)


def main() -> None:
    """Measure and print, round by round and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--vizier", default="", help="An interpreter that has Vizier: see vizier_peer.py.")
    asked = parser.parse_args()
    rounds: list[dict[str, float]] = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
            rounds.append(one_round(Path(name), asked))
    for what in rounds[0]:
        each = [rates[what] for rates in rounds]
        print(f"{what:32} {statistics.median(each):8.1f} ask + tell a second ({told(each)})")
    for what, peer in RATIOS:
        if peer in rounds[0]:
            each = [rates[what] / rates[peer] for rates in rounds]
            print(f"{what} : {peer} = {statistics.median(each):.1f} ({told(each)})")


def told(values: list[float]) -> str:
    """The values of all rounds."""
    return ", ".join(f"{value:.1f}" for value in values)


if __name__ == "__main__":
    main()
