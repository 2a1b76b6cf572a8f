"""A thousand open campaigns, a hundred clients, sixty requests a second; and the restart on them.

    python benchmarks/service/many.py --seconds 60

Prints the time from the start of the process until it answers; then, at that rate, errors, percentiles of the
answer time, memory before and after, and whether every trial is there once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path

from load import QUANTITY, Wire, fill, free_port, start

from pressopt.campaign.events import Measured
from pressopt.store.opening import read_ledger


def memory_mb(pid: int) -> float:
    """Resident memory of a process, MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS"))) / 1024


async def press(port: int, ids: list[str], clients: int, rate: float, seconds: float):
    """Send requests at a fixed rate, whoever is free; return times, errors and what was told."""
    wires = [Wire(port) for _ in range(clients)]
    free: asyncio.Queue[int] = asyncio.Queue()
    for place in range(clients):
        free.put_nowait(place)
    asked: list[tuple[str, dict]] = []
    times: list[float] = []
    errors: list[object] = []
    told: set[tuple[str, int]] = set()
    generator = random.Random(5)

    async def one() -> None:
        place = await free.get()
        begin = time.perf_counter()
        try:
            if asked and generator.random() < 0.5:
                campaign, trial = asked.pop(generator.randrange(len(asked)))
                value = 10.0 + 100.0 / trial["settings"]["lamination.pressure_mpa"]
                body = {"outcomes": {QUANTITY: {"value": value, "sd": 0.5}}}
                status, answer = await wires[place].post(
                    f"/campaigns/{campaign}/trials/{trial['trial']}/tell", body
                )
                told.add((campaign, trial["trial"]))
            else:
                campaign = generator.choice(ids)
                status, answer = await wires[place].post(f"/campaigns/{campaign}/ask")
                if status == 201:
                    asked.append((campaign, answer["trials"][0]))
            if status >= 300:
                errors.append(answer)
        except (OSError, AssertionError) as error:
            errors.append(error)
        times.append(time.perf_counter() - begin)
        free.put_nowait(place)

    tasks, begin = [], time.perf_counter()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    return sorted(times), errors, told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as store:
        ids = fill(store, asked.campaigns, asked.trials, "sobol")
        port, begin = free_port(), time.monotonic()
        process = start(store, port)
        print(
            f"start with {asked.campaigns} campaigns of {asked.trials} trials: "
            f"{time.monotonic() - begin:.2f} s wall, "
            f"{cpu_s(process.pid):.2f} s of processor time"
        )
        # Campaigns are read from the store when they are first asked for: all are in use before it counts.
        cold, _, early = asyncio.run(press(port, ids, asked.clients, asked.rate, asked.seconds / 2))
        before = memory_mb(process.pid)
        times, errors, told = asyncio.run(press(port, ids, asked.clients, asked.rate, asked.seconds))
        after = memory_mb(process.pid)
        process.terminate()
        process.wait()
        with contextlib.closing(read_ledger(store)) as ledger:
            found: list[tuple[str, int]] = []
            for campaign in ids:
                rows = (row for row in ledger.rows(campaign, after=1) if row.kind == "Measured")
                events = (row.entry().event for row in rows)
                found += [(campaign, one.trial) for one in events if isinstance(one, Measured)]
        print(f"{len(times)} requests in {asked.seconds:g} s, {len(errors)} errors {errors[:1]}")
        print(f"answer time, ms: {quantiles(times)}; before, from the store: {quantiles(cold)}")
        print(f"lost: {len((told | early) - set(found))}, double: {len(found) - len(set(found))}")
        print(f"memory: {before:.0f} MB before, {after:.0f} MB after")


def quantiles(times: list[float]) -> str:
    """Some of them in words, ms."""
    found = {share: times[min(len(times) - 1, int(share * len(times)))] * 1e3 for share in (0.5, 0.95, 0.99)}
    return ", ".join(f"{share:.0%} {value:.0f}" for share, value in found.items())


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


if __name__ == "__main__":
    main()
