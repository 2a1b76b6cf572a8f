"""A run on a real terminal, stopped by the keys that a person presses."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest

from processes import experiment_file


class Terminal:
    """A terminal of 100 columns with one program on it."""

    def __init__(self, *argv: str) -> None:
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", COLUMNS="100", LINES="40")
            os.execv(argv[0], argv)
        self.seen = ""

    def read_until(self, text: str, *, within_s: float = 60.0) -> None:
        """Read until ``text`` was seen, or, where it is empty, until the program has ended."""
        end_s = time.monotonic() + within_s
        while not text or text not in self.seen:
            assert time.monotonic() < end_s, f"{text!r} never came: {self.seen[-2000:]}"
            if not select.select([self.screen], [], [], 0.5)[0]:
                continue
            try:
                data = os.read(self.screen, 65536)
            except OSError:  # Linux says so when the last program has closed the terminal
                data = b""
            if not data:
                assert not text, f"the program ended before {text!r} came: {self.seen[-2000:]}"
                return
            self.seen += data.decode(errors="replace")

    def ended(self) -> int:
        """Return the exit code once the program has ended."""
        self.read_until("")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.screen)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("presses", [1, pytest.param(2, marks=pytest.mark.long)])
def test_ctrl_c_on_a_terminal_stops_safely(tmp_path: Path, presses: int) -> None:
    """Ctrl-C typed into a live display ends the run with 130 and the words that go on with it."""
    experiment = experiment_file(tmp_path, trials=25)
    folder = tmp_path / "campaign"
    command = f"from pressopt.cli import main; main(['run', {str(experiment)!r}, '--store', {str(folder)!r}])"
    terminal = Terminal(sys.executable, "-c", command)
    terminal.read_until("best reading so far")
    for _ in range(presses):
        os.write(terminal.screen, b"\x03")
    assert terminal.ended() == 130
    assert "stopping: the trial in flight ends first" in terminal.seen
    assert "stopped safely; go on with: pressopt resume" in terminal.seen
    assert "Traceback" not in terminal.seen
