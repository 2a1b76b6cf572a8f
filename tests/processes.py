"""Processes of `pressopt` that a test can start fast and kill where it wants.

One process imports everything once and forks for each call, so that a real process, with its own locks, lines
and threads, costs a tenth of a second and dies of a real SIGKILL. It starts no thread before it forks.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXPERIMENTS = Path(__file__).parent.parent / "experiments"


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal that killed it) and what it said."""

    code: int
    out: str
    err: str


class Processes:
    """Starts `pressopt` over and over; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._server = subprocess.Popen(
            [sys.executable, "-W", "error", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait(10)

    def __call__(
        self,
        *argv: str | Path,
        kill: tuple[str, int] | None = None,
        by: tuple[str, ...] = ("SIGKILL",),
        results: bool = False,
    ) -> Ended:
        """Run `pressopt argv` to its end.

        Args:
            argv: As on the command line.
            kill: Where it kills itself: ("before" or "after", number of the call of append), ("reading", number
                of a reading of the press) or ("point", number of a point of the sweep); counted from 1.
            by: With which signals, one after the other. "full" instead lets the disk be full from there
                on, "mistake" raises what nobody foresaw.
            results: Whether `run` and `resume` write the files of results, which takes seconds.
        """
        started = self.start(*argv, kill=kill, by=by, results=results)
        return started()

    def start(
        self,
        *argv: str | Path,
        kill: tuple[str, int] | None = None,
        by: tuple[str, ...] = ("SIGKILL",),
        results: bool = False,
    ) -> Callable[[], Ended]:
        """As a call, but return at once; what is returned waits for the end. One at a time."""
        self._count += 1
        out, err = self._folder / f"{self._count}.out", self._folder / f"{self._count}.err"
        order = {
            "argv": [str(item) for item in argv],
            "kill": kill,
            "by": by,
            "results": results,
            "out": str(out),
            "err": str(err),
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(order), file=self._server.stdin, flush=True)
        answers = self._server.stdout

        def wait() -> Ended:
            code = int(answers.readline())
            return Ended(code, out.read_text(), err.read_text())

        return wait


def experiment_file(
    folder: Path, *, trials: int, strategy: str = "sobol", changes: dict[str, str] | None = None
) -> Path:
    """Write a short variant of the shipped argyrodite experiment into ``folder`` and return its path."""
    text = (EXPERIMENTS / "li-lpscl-symmetric.toml").read_text()
    wanted = {
        'name = "physics-gp"': f'name = "{strategy}"',
        "trials = 30": f"trials = {trials}",
        "initial = 5": f"initial = {min(2, trials)}",
        'high = "1 h"': 'high = "10 min"',
        **(changes or {}),
    }
    for old, new in wanted.items():
        assert old in text, f"the shipped experiment no longer holds {old!r}"
        text = text.replace(old, new, 1)
    path = folder / "short.toml"
    path.write_text(text)
    return path


# ---------------------------------------------------------------------- the process that forks


def _arm(where: str, number: int, by: list[str]) -> None:
    """Let this process be hit by signals, or by a full disk, at a place."""
    from pressopt.cli.progress import LineWatcher
    from pressopt.store import SqliteJournal

    append, seen = SqliteJournal.append, 0

    def hit() -> None:
        if by == ["mistake"]:
            raise AssertionError("somebody at pressopt made a mistake")
        for name in by:
            os.kill(os.getpid(), getattr(signal, name))

    def counted(journal: SqliteJournal, *events: Any, **more: Any) -> None:
        nonlocal seen
        seen += 1
        if by == ["full"] and seen == number:
            size = journal.path.with_name(journal.path.name + "-wal").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # no file may grow beyond
        elif where == "before" and seen == number:
            hit()
        append(journal, *events, **more)
        if where == "after" and seen == number:
            hit()

    def on_call(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            hit()

    if where in {"before", "after"}:
        setattr(SqliteJournal, "append", counted)  # noqa: B010 - a patch, and mypy knows it
    elif where == "reading":
        setattr(LineWatcher, "on_reading", on_call)  # noqa: B010
    else:
        setattr(LineWatcher, "on_point", on_call)  # noqa: B010


def _child(order: dict[str, Any]) -> None:
    from pressopt.assembly import Campaign
    from pressopt.cli import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    try:
        if not order["results"]:
            setattr(Campaign, "write_results", lambda _: [])  # noqa: B010
        if order["kill"]:
            _arm(order["kill"][0], order["kill"][1], order["by"])
        main(order["argv"])
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:  # noqa: BLE001 - a process ends with its traceback and code 1
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    import scipy.optimize
    import scipy.stats
    import skopt

    import pressopt.assembly
    import pressopt.cli.people
    import pressopt.cli.progress
    import pressopt.cli.run
    import pressopt.export.summary  # noqa: F401

    del scipy, skopt
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(order)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
