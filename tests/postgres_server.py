"""A PostgreSQL server of its own for a test, in a temporary folder, where Debian's package is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def _programs() -> Path | None:
    """Where the server's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    named = shutil.which("initdb")
    return Path(named).parent if named else None


class PostgresServer:
    """Starts, stops (also at once) and starts again; knows its address."""

    def __init__(self) -> None:
        programs = _programs()
        if programs is None:
            pytest.skip("PostgreSQL is not installed here: apt-get install postgresql")
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="pressopt-pg-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")  # it refuses to run as root
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        self.start()

    @property
    def address(self) -> str:
        """Of its database, as `--store` takes it."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start, and return when it answers."""
        options = f"-k {self.folder} -c listen_addresses='' -c shared_buffers=16MB -c max_connections=40"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-t", "60", "-o", options, "start")

    def stop(self, *, how: str = "immediate") -> None:
        """Stop; ``immediate`` is what a power cut leaves behind."""
        self._run("pg_ctl", "-D", "data", "-m", how, "-w", "stop")

    def close(self) -> None:
        """Stop and remove everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*as_postgres, str(self._programs / program), *words],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a server keeps what it inherits: nobody would ever see its end
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{program} {words}: {done.stderr!r}"
