"""The service killed (-9) again and again under load: every acknowledged tell is there, none twice.

    python benchmarks/service/killed.py --kills 200
    python benchmarks/service/killed.py --kills 200 --postgres

Sixteen clients ask and tell with idempotency keys over several campaigns; after a kill they repeat what was not
answered, with the same key. Meanwhile a press of the service works on a campaign of its own; with every tenth kill
its runner is killed as well, and a person says of a trial that became `uncertain` that its cell is given up. With
``--postgres`` a server is started for it, and every tenth time stopped at once and started again instead.

In the end the store is verified and compared with what was acknowledged, and with the journal of the runner.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked import Forked
from load import Wire, answers, fill, free_port, text

from pressopt.campaign import events as e
from pressopt.campaign.replay import replay
from pressopt.store import SqliteJournal
from pressopt.store.opening import read_ledger
from pressopt.store.places import journal_of

#: Every so many kills of the service something else is killed with it.
ALSO = 10
CAMPAIGNS = 8


@dataclass
class Trouble:
    """The service, what goes wrong with it, and what it acknowledged.

    Attributes:
        store: As `--store` takes it.
        folder: Where runners keep their journals.
        database: The PostgreSQL server, where there is one.
        told: How often each (campaign, trial) was acknowledged as told.
    """

    store: str
    folder: Path
    forked: Forked
    database: Any = None
    port: int = field(default_factory=free_port)
    told: dict[tuple[str, int], int] = field(default_factory=dict)
    runner_kills: int = 0
    database_stops: int = 0
    pressed: str = ""
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> int:
        """Start the service and return its process once it answers."""
        pid = self.forked.start(["serve", "--store", self.store, "--port", str(self.port)])
        end = time.monotonic() + 120
        while not answers(self.port):
            if time.monotonic() > end:
                raise SystemExit("the service did not start")
            time.sleep(0.02)
        return pid

    def runner(self) -> Path:
        """The folder of the one press's runner."""
        return self.folder / "runners" / "twin"

    def kill_runner(self) -> None:
        """Kill the runner, if it lives."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.runner() / "runner.lock").read_text()), signal.SIGKILL)
            self.runner_kills += 1

    async def ask_and_tell(self, place: int, campaigns: list[str]) -> None:
        """Ask and tell until the end; a lost answer is asked for again with the same key."""
        wire, number, generator = Wire(self.port), 0, random.Random(place)
        while not self.stop.is_set():
            campaign, key = generator.choice(campaigns), f"{place}-{number}"
            number += 1
            while True:
                try:
                    trial = await wire.cycle(campaign, key)
                    break
                except OSError:
                    await asyncio.sleep(0.05)
            self.told[campaign, trial] = self.told.get((campaign, trial), 0) + 1

    async def be_the_person(self) -> None:
        """Give up every cell of which nobody knows how it was pressed."""
        wire, key = Wire(self.port), 0
        while not self.stop.is_set():
            await asyncio.sleep(0.3)
            with contextlib.suppress(OSError):
                _, campaign = await wire.get(f"/campaigns/{self.pressed}")
                for trial in campaign["asking"]:
                    key += 1
                    path = f"/campaigns/{self.pressed}/trials/{trial}/resolve"
                    await wire.post(path, {"action": "discard"}, key=f"person-{key}")

    async def run(self, kills: int, campaigns: list[str], clients: int, minutes: float) -> int:
        """Kill the service again and again under load; return how often."""
        pid = await asyncio.to_thread(self.start)
        body = {"experiment": text("sobol"), "presses": ["*"], "name": "pressed.toml"}
        _, made = await Wire(self.port).post("/campaigns", body)
        self.pressed = made["id"]
        tasks = [asyncio.create_task(self.ask_and_tell(place, campaigns)) for place in range(clients)]
        tasks.append(asyncio.create_task(self.be_the_person()))
        generator, end, kill = random.Random(7), time.monotonic() + 60 * minutes, 0
        while kill < kills and time.monotonic() < end:
            kill += 1
            goal = len(self.told) + generator.randrange(1, 20)
            while len(self.told) < goal:
                await asyncio.sleep(0.01)
            if self.database is not None and kill % ALSO == ALSO // 2:
                await asyncio.to_thread(self.database.stop)
                self.database_stops += 1
                await asyncio.sleep(generator.random())
                await asyncio.to_thread(self.database.start)
                goal = len(self.told) + clients  # the same service goes on
                while len(self.told) < goal:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(self.forked.end, pid)
            if kill % ALSO == 0:
                self.kill_runner()
                print(f"{kill} kills, {len(self.told)} trials acknowledged", flush=True)
            pid = await asyncio.to_thread(self.start)
        await self.settle()
        self.stop.set()
        await asyncio.gather(*tasks)
        await asyncio.to_thread(self.forked.end, pid, signal.SIGTERM)
        self.kill_runner()
        return kill

    async def settle(self) -> None:
        """Propose nothing more on the press, and wait until what it has in hands has ended."""
        wire = Wire(self.port)
        await wire.post(f"/campaigns/{self.pressed}/pause")
        while True:
            _, campaign = await wire.get(f"/campaigns/{self.pressed}")
            if not campaign["in_flight"]:
                return
            await asyncio.sleep(0.2)

    def wrong(self, campaigns: list[str]) -> int:
        """Compare the store with what was acknowledged; print and return how much is wrong."""
        measured: list[tuple[str, int]] = []
        proposed: set[tuple[str, int]] = set()
        with contextlib.closing(read_ledger(self.store)) as ledger:
            entries = sum(ledger.verify().values())
            for campaign in campaigns:
                events = [row.entry().event for row in ledger.rows(campaign)]
                measured += [(campaign, one.trial) for one in events if isinstance(one, e.Measured)]
                proposed |= {(campaign, one.trial) for one in events if isinstance(one, e.Proposed)}
            rows = [row.entry() for row in ledger.rows(self.pressed)]
        lost = set(self.told) - set(measured)
        double = len(measured) - len(set(measured)) + sum(count > 1 for count in self.told.values())
        unasked = proposed - set(measured)
        print(f"{len(self.told)} tells acknowledged, {entries} entries verified")
        print(f"lost: {len(lost)}, told twice: {double}, proposed and never told: {len(unasked)}")
        with contextlib.closing(SqliteJournal.read(journal_of(self.runner() / self.pressed))) as journal:
            by_runner = [one.event for one in journal.entries()]
        pressings = [one.event.trial for one in rows if isinstance(one.event, e.PressingStarted)]
        theirs = [one.trial for one in by_runner if isinstance(one, e.PressingStarted)]
        twice = len(pressings) - len(set(pressings))
        differs = sorted(pressings) != sorted(theirs)
        state = replay(rows)
        open_ = len(state.in_flight)
        given_up = sum(isinstance(one.event, e.Resolved) for one in rows)
        print(
            f"on the press: {len(pressings)} cells pressed, {len(state.done)} measured, "
            f"{given_up} uncertain and given up; pressed twice: {twice}, unlike the runner's journal: "
            f"{'yes' if differs else 'no'}, left hanging: {open_}"
        )
        return len(lost) + double + len(unasked) + twice + differs + open_


@contextlib.contextmanager
def postgres(wanted: bool):
    """A PostgreSQL server of its own, as the tests start one."""
    if not wanted:
        yield None
        return
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from postgres_server import PostgresServer

    with contextlib.closing(PostgresServer()) as server:
        yield server


def main() -> None:
    """Run, compare, and leave with 1 where something is missing or double."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60.0, help="No further kill after so long.")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--postgres", action="store_true", help="On a PostgreSQL server that is stopped as well.")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as name,
        contextlib.chdir(name),
        postgres(asked.postgres) as database,
        Forked() as forked,
    ):
        store = database.address if database is not None else name
        folder = Path(name) / "pressopt-service" if database is not None else Path(name)
        campaigns = fill(store, CAMPAIGNS, 0, "sobol")
        trouble = Trouble(store, folder, forked, database)
        kills = asyncio.run(trouble.run(asked.kills, campaigns, asked.clients, asked.minutes))
        print(
            f"the service killed {kills} times, the runner {trouble.runner_kills} times, "
            f"the database stopped {trouble.database_stops} times"
        )
        raise SystemExit(bool(trouble.wrong(campaigns)))


if __name__ == "__main__":
    main()
