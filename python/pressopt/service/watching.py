"""Starts the runner of each press, watches it, starts it again; finds those that live on from before."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pressopt.clock import wall_monotonic_s
from pressopt.service.access import Role, digest_of_token, fresh_token
from pressopt.service.acts import RunnerEnded, RunnerStarted, TokenCreated, TokenRevoked
from pressopt.service.host import By, Host
from pressopt.service.press_plan import PressPlan, plan_document
from pressopt.service.press_runner import lock_of, order_of
from pressopt.service.settings import Settings

#: How often runners are looked at, and the longest pause before one is started again, s of wall time.
_PERIOD_S = 0.5
_LONGEST_S = 30.0
_BY = By("service")


class Watching:
    """The runners of a service's presses."""

    def __init__(self, host: Host, settings: Settings) -> None:
        self._host = host
        self._settings = settings
        self._children: dict[str, int] = {}
        self._pause_s: dict[str, float] = {}
        self._not_before_s: dict[str, float] = {}

    def folder(self, plan: PressPlan) -> Path:
        """Where a runner keeps its journals."""
        return self._settings.folder / "runners" / plan.name

    async def run(self) -> None:
        """Start and watch for ever."""
        for plan in self._settings.presses:
            await self._write_order(plan)
        while True:
            for plan in self._settings.presses:
                await self._look(plan)
            await asyncio.sleep(_PERIOD_S)

    async def _look(self, plan: PressPlan) -> None:
        name, child = plan.name, self._children.get(plan.name)
        if child is not None:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                del self._children[name]
                await self._host.note((RunnerEnded(name, _how(os.waitstatus_to_exitcode(status))),), _BY, {})
        if name in self._children or _is_held(lock_of(self.folder(plan))):
            return
        now_s = wall_monotonic_s()
        if now_s < self._not_before_s.get(name, 0.0):
            return
        self._pause_s[name] = min(2 * self._pause_s.get(name, 0.5), _LONGEST_S)
        self._not_before_s[name] = now_s + self._pause_s[name]
        pid = self._children[name] = await asyncio.to_thread(self._start, plan)
        await self._host.note((RunnerStarted(name, pid),), _BY, {})

    def _start(self, plan: PressPlan) -> int:
        """Start a runner in a session of its own (what ends the service does not end it); return its pid."""
        folder = self.folder(plan)
        log = os.open(folder / "runner.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return os.posix_spawn(
                sys.executable,
                [sys.executable, "-m", "pressopt.service.press_runner", str(folder)],
                _environment(),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,
            )
        finally:
            os.close(log)

    async def _write_order(self, plan: PressPlan) -> None:
        """Tell the runner which press and which service; where tokens are demanded, with one of its own."""
        folder = self.folder(plan)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = None
        if not self._settings.local:
            name = f"runner-{plan.name}"
            token = fresh_token()
            made = TokenCreated(name, Role.operator.name, digest_of_token(token))
            known = self._host.state.tokens.get(name)
            old = (TokenRevoked(name),) if known is not None and not known.revoked_at else ()
            await self._host.note((*old, made), _BY, {})
        order = {"plan": plan_document(plan), "url": f"http://{self._address()}", "token": token}
        part = order_of(folder).with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(order, file)
        part.replace(order_of(folder))

    def _address(self) -> str:
        """Where runners on this machine reach the service."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._settings.host, self._settings.host)
        return f"{host}:{self._settings.port}"


def _is_held(lock: Path) -> bool:
    """Whether a living runner holds its lock, whoever started it."""
    if not lock.exists():
        return False
    handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _environment() -> Mapping[str, str]:
    """The environment of a runner: one thread for each library, as instruments want."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
