"""docs/faults.md, kept by the run of the fault matrix."""

from __future__ import annotations

import fcntl
import re
from pathlib import Path
from types import TracebackType
from typing import Self

PAGE = Path(__file__).parent.parent / "docs" / "faults.md"
COLUMNS = ("idle", "ramp", "hold", "cool", "sweep", "release", "resume", "by hand")
_BEGIN, _END = "<!-- written by tests/faults -->", "<!-- end -->"


class FaultTable:
    """The table of outcomes, brought up to date on exit by whatever ran in between; several may at once."""

    def __init__(self, page: Path = PAGE) -> None:
        self._page = page
        self._told: dict[tuple[str, str], dict[str, str]] = {}

    def tell(self, number: str, title: str, phase: str, outcome: str) -> None:
        """One case ended, and every promise was kept."""
        self._told.setdefault((number, title), {})[phase] = outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._page.open("r+", encoding="utf-8") as page:
            fcntl.flock(page, fcntl.LOCK_EX)
            text = page.read()
            head, tail = text[: text.index(_BEGIN)], text[text.index(_END) :]
            rows = _rows(text)
            for key, told in self._told.items():
                rows.setdefault(key, {}).update(told)
            fresh = f"{head}{_BEGIN}\n\n{_text(rows)}\n{tail}"
            if fresh != text:
                page.seek(0)
                page.truncate()
                page.write(fresh)


def _rows(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """The rows of the page as it is."""
    rows = {}
    for line in text[text.index(_BEGIN) : text.index(_END)].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"[LPEC]\d", cells[0]):
            rows[cells[0], cells[1]] = {
                phase: cell for phase, cell in zip(COLUMNS, cells[2:], strict=True) if cell
            }
    return rows


def _text(rows: dict[tuple[str, str], dict[str, str]]) -> str:
    lines = ["| | what goes wrong | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---|" * len(COLUMNS)]
    for key in sorted(rows, key=lambda key: ("LPEC".index(key[0][0]), *key)):
        cells = [rows[key].get(phase, "") for phase in COLUMNS]
        lines.append(f"| {key[0]} | {key[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
