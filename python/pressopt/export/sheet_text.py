"""The operator's sheet as plain text, at most 100 columns wide: for a terminal beside the press."""

from __future__ import annotations

import textwrap

from pressopt.export.answer import Answer
from pressopt.export.instructions import Instructions, instructions

_WIDTH = 100


def operator_text(answer: Answer, *, ram_area_cm2: float | None = None) -> str:
    """Return the operator's sheet as plain text."""
    words = instructions(answer, ram_area_cm2=ram_area_cm2)
    lines = [words.title, "=" * len(words.title)]
    lines += _wrapped(words.goal) if words.goal else []
    if words.status:
        lines += ["", *_wrapped(words.status)]
    lines += ["", *_wrapped(f"{words.die_name} {words.die}. Cell, from the bottom up: {words.cell}")]
    if words.never_above:
        lines.append(f"NEVER ABOVE {words.never_above}")
    lines += _steps(words)
    lines += ["", words.before]
    for check in words.checks:
        lines += _wrapped(check, first="  [ ] ", rest="      ")
    if words.troubles:
        lines += ["", "If something is off"]
    for when, do in words.troubles:
        lines += _wrapped(f"{when.removeprefix('STOP ')}: {do}", first="  - ", rest="    ")
    for expected in words.expectations:
        lines += ["", f"Expected: {expected.label}"]
        tag = "" if expected.measured else "  PREDICTED, NOT MEASURED"
        lines.append(f"  {expected.value}, {expected.range}{tag}")
        lines += _wrapped(expected.note, first="  ", rest="  ")
        for text in expected.comparisons:
            lines += _wrapped(text, first="  ", rest="  ")
    lines.append("")
    for line in words.provenance:
        lines += _wrapped(line)
    return "\n".join(lines) + "\n"


def _steps(words: Instructions) -> list[str]:
    lines: list[str] = []
    for number, step in enumerate(words.steps, 1):
        figures = [str(step.gauge)]
        figures += [f"for {step.hold}"] if step.hold.value else []
        figures += [f"at {step.heat}"] if step.heat.value else []
        lines += ["", f"{number}. {step.name:<14} {'  '.join(figures)}"]
        if step.also:
            lines.append(f"   {'':<14} = {', '.join(step.also)}")
        windows = [text for text in (step.gauge_window, step.hold_window, step.heat_window) if text]
        if windows:
            lines.append(f"   {'':<14} {'; '.join(windows)}")
        lines += _wrapped(step.how, first=f"   {'':<14} ", rest=f"   {'':<14} ")
    return lines


def _wrapped(text: str, *, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False)
