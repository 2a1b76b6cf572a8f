"""A service in a process of its own with campaigns in its store, and lean HTTP clients that press on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pressopt.campaign import events as e
from pressopt.campaign import own_press
from pressopt.campaign.experiment_file import read_experiment
from pressopt.campaign.ledger import Write
from pressopt.campaign.replay import CampaignState
from pressopt.campaign.runner import proposed
from pressopt.optimizer import Proposal
from pressopt.service.acts import Placement
from pressopt.service.host import VIEW
from pressopt.service.hosted import Hosted, dumped, summary_of
from pressopt.store.opening import open_ledger

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "li-lpscl-symmetric.toml"
QUANTITY = "interfacial_resistance_ohm_cm2"


def text(strategy: str, trials: int = 10_000) -> str:
    """The shipped experiment with another strategy and budget, without its constraint: peers have none either."""
    shipped = EXPERIMENT.read_text(encoding="utf-8")
    before, _, after = shipped.partition("[[constraints]]")
    shipped = before + after[after.index("[measurement]") :]
    return shipped.replace('"physics-gp"', f'"{strategy}"').replace("trials = 30", f"trials = {trials}")


def fill(store: str, count: int, trials: int, strategy: str) -> list[str]:
    """Write campaigns with finished trials into a store; return their ids."""
    experiment = read_experiment(text(strategy), Path("bench.toml"))
    settings = experiment.space.sample(max(trials, 1), seed=3)
    opened = e.CampaignOpened("bench", "bench.toml", text(strategy), experiment.digest, 1, {})
    events: list[e.Event] = [opened]
    state = CampaignState()
    model = Hosted("model", experiment, state, state)
    _, model.decided = model.decide(events, "bench")
    for number, one in enumerate(settings[:trials], 1):
        more: list[e.Event] = [proposed(number, Proposal(one, "space-filling"), strategy)]
        _, model.decided = model.decide(more, "bench")
        result = own_press.Result({QUANTITY: (10.0 + 100.0 / float(one["lamination.pressure_mpa"]), 0.5)})
        told = own_press.told(experiment, model.decided.trial(number), result, own_press.Pressed(), by="bench")
        _, model.decided = model.decide(told, "bench")
        events += [*more, *told]
    ids = [f"bench-{strategy}-{place:06x}" for place in range(count)]
    with contextlib.closing(open_ledger(store)) as ledger:
        for start in range(0, count, 20):
            writes = []
            for name in ids[start : start + 20]:
                hosted = Hosted(name, experiment, state, state)
                rows, after = hosted.decide(events, "bench")
                summary = summary_of(name, experiment, after, Placement(), rows[0].at)
                writes.append(Write(rows=rows, summaries=((name, dumped({**summary, "view": VIEW})),)))
            ledger.write(writes)
    return ids


@contextlib.contextmanager
def service(store: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`pressopt serve` as a process of its own."""
    process = start(store, port)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def start(store: str, port: int) -> subprocess.Popen[bytes]:
    """Start `pressopt serve` and return once it answers."""
    command = "from pressopt.cli import main; main()"
    words = ["serve", "--store", store, "--port", str(port), "--no-presses"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", command, *words], stdout=subprocess.DEVNULL, env=environment)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if answers(port):
            return process
        time.sleep(0.05)
    process.kill()
    raise SystemExit("the service did not start")


def answers(port: int) -> bool:
    """Whether a service answers there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
        probe.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return probe.recv(100).startswith(b"HTTP/1.1 200")
    return False


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Wire:
    """One connection: HTTP/1.1 by hand, because a client library would cost more than the service."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str) -> tuple[int, Any]:
        """Look at something; as :meth:`post`."""
        return await self._send("GET", path)

    async def post(self, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """Send one request and return status and document; raises OSError when the connection is lost."""
        return await self._send("POST", path, body, key)

    async def _send(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        data = json.dumps(body).encode() if body is not None else b""
        kind = "Content-Type: application/json\r\n" if data else ""
        named = f"Idempotency-Key: {key}\r\n" if key else ""
        head = (
            f"{method} /v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}{named}Content-Length: {len(data)}\r\n\r\n"
        )
        try:
            self._writer.write(head.encode() + data)
            await self._writer.drain()
            header = await self._reader.readuntil(b"\r\n\r\n")
            length = int(header.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answer = await self._reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            self._writer.close()
            self._reader = self._writer = None
            raise OSError(str(error)) from error
        status = int(header.split(b" ", 2)[1])
        if status == 503:
            raise OSError("the service cannot write just now")
        return status, json.loads(answer)

    async def cycle(self, campaign: str, key: str = "") -> int:
        """Ask for a trial and tell it; return its number."""
        status, asked = await self.post(f"/campaigns/{campaign}/ask", key=key and f"{key}a")
        assert status == 201, asked
        trial = asked["trials"][0]
        value = 10.0 + 100.0 / trial["settings"]["lamination.pressure_mpa"]
        body = {"outcomes": {QUANTITY: {"value": value, "sd": 0.5}}}
        path = f"/campaigns/{campaign}/trials/{trial['trial']}/tell"
        status, told = await self.post(path, body, key=key and f"{key}t")
        assert status == 200, told
        return int(trial["trial"])
