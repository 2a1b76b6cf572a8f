"""Starts `pressopt` many times without its imports: one process has them, and forks for each start.

A service that is killed two hundred times would otherwise spend its life importing. What is forked is a real
process with locks, sockets and threads of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence


class Forked:
    """Starts `pressopt` by forking; a context manager."""

    def __enter__(self) -> Forked:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
        self._parent = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        self._parent.wait(60)

    def start(self, words: Sequence[str]) -> int:
        """Start `pressopt words` and return its process id."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        print(json.dumps(list(words)), file=self._parent.stdin, flush=True)
        return int(self._parent.stdout.readline())

    def end(self, pid: int, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process and wait until it is gone."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        os.kill(pid, how)
        print(json.dumps(pid), file=self._parent.stdin, flush=True)
        self._parent.stdout.readline()


def _child(words: list[str]) -> None:
    from pressopt.cli import main

    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    with contextlib.suppress(SystemExit):
        main(words)
    os._exit(0)


def _serve() -> None:
    import pressopt.cli.serve
    import pressopt.service.app
    import pressopt.service.listening
    import pressopt.store.opening
    import pressopt.surrogate  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, int):
            os.waitpid(asked, 0)
            print("gone", flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _child(asked)
        print(pid, flush=True)


if __name__ == "__main__":
    _serve()
