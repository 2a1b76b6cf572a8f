"""docs/faults.md, kept by the run of the fault matrix."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import Self

PAGE = Path(__file__).parent.parent / "docs" / "faults.md"
COLUMNS = ("idle", "ramp", "hold", "cool", "sweep", "release", "resume", "by hand")
_BEGIN, _END = "<!-- written by tests/faults -->", "<!-- end -->"


class FaultTable:
    """The table of outcomes: read on entry, brought up to date on exit, by whatever ran in between."""

    def __init__(self, page: Path = PAGE) -> None:
        self._page = page
        self._rows: dict[tuple[str, str], dict[str, str]] = {}

    def tell(self, number: str, title: str, phase: str, outcome: str) -> None:
        """One case ended, and every promise was kept."""
        self._rows.setdefault((number, title), {})[phase] = outcome

    def __enter__(self) -> Self:
        text = self._page.read_text(encoding="utf-8")
        for line in text[text.index(_BEGIN) : text.index(_END)].splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if line.startswith("|") and re.fullmatch(r"[LPEC]\d", cells[0]):
                told = {phase: cell for phase, cell in zip(COLUMNS, cells[2:], strict=True) if cell}
                self._rows[cells[0], cells[1]] = told
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        text = self._page.read_text(encoding="utf-8")
        head, tail = text[: text.index(_BEGIN)], text[text.index(_END) :]
        fresh = f"{head}{_BEGIN}\n\n{self._text()}\n{tail}"
        if fresh != text:
            self._page.write_text(fresh, encoding="utf-8")

    def _text(self) -> str:
        lines = ["| | what goes wrong | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---|" * len(COLUMNS)]
        order = sorted(self._rows, key=lambda key: ("LPEC".index(key[0][0]), key[0]))
        for key in order:
            cells = [self._rows[key].get(phase, "") for phase in COLUMNS]
            lines.append(f"| {key[0]} | {key[1]} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"
