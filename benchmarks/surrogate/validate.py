"""Every published point beside the uncalibrated prediction and its 90 % interval.

Run: python benchmarks/surrogate/validate.py
Writes docs/validation/surrogate.md from the points that come with pressopt.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.study.published import PUBLISHED
from pressopt.surrogate import ProtocolTable, Surrogate

HERE = Path(__file__).parent
REPORT = HERE.parents[1] / "docs" / "validation" / "surrogate.md"
DRAWS, PROBABILITY, TOLERANCE = 2000, 0.9, 0.15
Row = dict[str, str]

HEAD = f"""# Published points and the surrogate

Written by `python benchmarks/surrogate/validate.py`; nominal values of the catalogue, nothing fitted here. The
interval is the central {PROBABILITY:.0%} of {DRAWS} draws of the prior. *used*: the point helped to choose the
nominal values, so agreement shows consistency and not foresight. *within*: the nominal value lies within
{TOLERANCE:.0%} of the published range.

| point | published | nominal | interval | within | in interval | role | source |
|---|---|---|---|---|---|---|---|
"""


def surrogate_of(row: Row) -> Surrogate:
    foil = Layer(row["metal"], Role.ELECTRODE, 500.0)
    density = float(row["density"]) if row["density"] else None
    formed = bool(row["formed_mpa"])
    pellet = Layer(row["electrolyte"], Role.ELECTROLYTE, 1000.0, relative_density=density, powder=formed)
    return Surrogate(Cell((foil, pellet, foil), Die(12.7), 12.7))


def predicted(row: Row) -> tuple[float, float, float]:
    """Nominal value, low and high end of the interval."""
    surrogate = surrogate_of(row)
    pressures = [float(row[name]) for name in ("formed_mpa", "pressed_mpa") if row[name]]
    table = ProtocolTable.platen(
        pressure_mpa=[pressures],
        ramp_mpa_s=1.0,
        dwell_s=60.0,
        temperature_c=25.0,
        measure_at_mpa=float(row["held_mpa"]),
    )
    prediction = surrogate.predict(table, draws=DRAWS, seed=1)
    quantity, scale = row["quantity"], 1.0
    if quantity == "cell_ohm":
        quantity, scale = "cell_resistance_ohm_cm2", 1 / surrogate.cell.area_cm2
    low, _, high = prediction.interval(quantity, PROBABILITY)
    return (
        float(prediction.nominal[quantity][0]) * scale,
        float(low[0]) * scale,
        float(high[0]) * scale,
    )


def report(rows: list[Row]) -> str:
    lines, inside, covered = [], 0, 0
    for row in rows:
        least = float(row["low"])
        most = float(row["high"]) if row["high"] else math.inf
        nominal, low, high = predicted(row)
        near = least * (1 - TOLERANCE) <= nominal <= most * (1 + TOLERANCE)
        seen = low <= most and high >= least
        inside, covered = inside + near, covered + seen
        published = (
            f"> {least:g}" if most == math.inf else f"{least:g}" if least == most else f"{least:g} to {most:g}"
        )
        words = ["yes" if value else "**no**" for value in (near, seen)]
        lines.append(
            f"| {row['metal']} / {row['electrolyte']}, {row['label']} | {published} {row['unit']} | {nominal:.3g} "
            f"| {low:.3g} to {high:.3g} | {words[0]} | {words[1]} | {row['role']} | {row['source']} |"
        )
    total = len(rows)
    summary = f"""
{inside} of {total} nominal values within {TOLERANCE:.0%}; {covered} of {total} intervals meet the point.
"""
    return HEAD + "\n".join(lines) + "\n" + summary


def main() -> None:
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        text = report(list(csv.DictReader(file)))
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
