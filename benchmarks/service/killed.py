"""The service killed (-9) again and again under load: every acknowledged tell is there, none twice.

    python benchmarks/service/killed.py --kills 200

Sixteen clients ask and tell with idempotency keys over several campaigns; after a kill they repeat what was not
answered, with the same key. In the end the store is verified and compared with what was acknowledged. With
``--store postgresql://...`` the same on PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path

from load import Wire, fill, free_port, start

from pressopt.campaign.events import Measured, Proposed
from pressopt.store.opening import read_ledger


async def client(
    place: int, port: int, campaigns: list[str], told: dict[tuple[str, int], int], stop: asyncio.Event
):
    """Ask and tell for ever; a lost answer is asked for again with the same key."""
    wire, number, generator = Wire(port), 0, random.Random(place)
    while not stop.is_set():
        campaign, key = generator.choice(campaigns), f"{place}-{number}"
        number += 1
        while True:
            try:
                trial = await wire.cycle(campaign, key)
                break
            except OSError:
                await asyncio.sleep(0.05)
        told[campaign, trial] = told.get((campaign, trial), 0) + 1


async def run(
    store: str, kills: int, campaigns: list[str], clients: int, minutes: float
) -> tuple[int, dict[tuple[str, int], int]]:
    """Kill the service again and again under load; return how often, and what was acknowledged."""
    port, told, stop = free_port(), {}, asyncio.Event()
    process = await asyncio.to_thread(start, store, port)
    tasks = [asyncio.create_task(client(place, port, campaigns, told, stop)) for place in range(clients)]
    generator, end, kill = random.Random(7), time.monotonic() + 60 * minutes, 0
    while kill < kills and time.monotonic() < end:
        kill += 1
        goal = len(told) + generator.randrange(1, 40)
        while len(told) < goal:
            await asyncio.sleep(0.01)
        process.kill()
        await asyncio.to_thread(process.wait)
        process = await asyncio.to_thread(start, store, port)
        if kill % 10 == 0:
            print(f"{kill} kills, {len(told)} trials acknowledged", flush=True)
    stop.set()
    await asyncio.gather(*tasks)
    process.terminate()
    await asyncio.to_thread(process.wait)
    return kill, told


def main() -> None:
    """Run, compare, and leave with 1 where something is missing or double."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60.0, help="No further kill after so long.")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--store", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        store = asked.store or folder
        campaigns = fill(store, 8, 0, "sobol")
        kills, told = asyncio.run(run(store, asked.kills, campaigns, asked.clients, asked.minutes))
        with contextlib.closing(read_ledger(store)) as ledger:
            entries = sum(ledger.verify().values())
            measured: list[tuple[str, int]] = []
            proposed: list[tuple[str, int]] = []
            for campaign in campaigns:
                events = [row.entry().event for row in ledger.rows(campaign)]
                measured += [(campaign, one.trial) for one in events if isinstance(one, Measured)]
                proposed += [(campaign, one.trial) for one in events if isinstance(one, Proposed)]
    lost = set(told) - set(measured)
    double = len(measured) - len(set(measured)) + sum(count > 1 for count in told.values())
    unasked = set(proposed) - set(measured)
    print(f"{kills} kills, {len(told)} tells acknowledged, {entries} entries verified")
    print(f"lost: {len(lost)}, told twice: {double}, proposed and never told: {len(unasked)}")
    raise SystemExit(bool(lost or double or unasked))


if __name__ == "__main__":
    main()
