"""Raw bytes of every exchange, written down as they cross the wire: for a look afterwards, and to be replayed.

One JSON object for each piece: ``{"s": 12.345678, "line": "press", "way": "tx", "hex": "0001..."}``, where ``s``
are wall seconds since the recording began. A line of a joined device is called ``press.plc``.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TextIO

from pressopt.clock import utc_now, wall_monotonic_s
from pressopt.errors import LinkRefused

SCHEMA = "pressopt/wires/1"


class WireRecorder:
    """Appends to one file for all lines of a laboratory; use as a context manager or close it.

    Args:
        path: The file; a recording that is there is continued.

    Raises:
        LinkRefused: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: TextIO | None = path.open("a", encoding="utf-8")
        except OSError as error:
            raise LinkRefused(f"the recording {path} cannot be written: {error}") from error
        self._start_s = wall_monotonic_s()
        self._write({"schema": SCHEMA, "date": utc_now().isoformat(timespec="seconds")})

    def tap(self, line: str) -> WireTap:
        """What sees the bytes of ``line``."""
        return WireTap(self, line)

    def note(self, line: str, way: str, data: bytes) -> None:
        """Write one piece down; after :meth:`close` nothing."""
        seconds = round(wall_monotonic_s() - self._start_s, 6)
        self._write({"s": seconds, "line": line, "way": way, "hex": data.hex()})

    def _write(self, row: dict[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()  # a process that is killed has written what it sent

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class WireTap:
    """Sees the bytes of one line; a :data:`~pressopt.instruments.line.Tap`."""

    def __init__(self, recorder: WireRecorder, line: str) -> None:
        self._recorder, self._line = recorder, line

    def part(self, name: str) -> WireTap:
        """The tap of a part's line."""
        return WireTap(self._recorder, f"{self._line}.{name}")

    def __call__(self, way: Literal["tx", "rx"], data: bytes) -> None:
        self._recorder.note(self._line, way, data)
