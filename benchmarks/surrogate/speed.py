"""Time per protocol of the surrogate, printed beside the count of costly operations behind it.

Run: python benchmarks/surrogate/speed.py
"""

from __future__ import annotations

import time

import numpy as np

from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.surrogate import ProtocolTable, Surrogate

PROTOCOLS, STAGES, REPEATS = 100_000, 3, 5
#: exp, ln and real powers per stage and per outcome of a metal | electrolyte cell, counted in the code.
PER_STAGE, PER_OUTCOME = 12, 30


def cell() -> Cell:
    foil, pellet = Layer("Li", Role.ELECTRODE, 500.0), Layer("Li6PS5Cl", Role.ELECTROLYTE, 1000.0)
    return Cell((foil, pellet, foil), Die(12.7), 12.7)


def table() -> ProtocolTable:
    random = np.random.default_rng(0)
    shape = (PROTOCOLS, STAGES)
    return ProtocolTable.platen(
        pressure_mpa=random.uniform(1, 60, shape),
        ramp_mpa_s=random.uniform(0.1, 2, shape),
        dwell_s=random.uniform(1, 3600, shape),
        temperature_c=random.uniform(20, 120, shape),
        measure_at_mpa=5.0,
    )


def best_us(surrogate: Surrogate, protocols: ProtocolTable, threads: int) -> float:
    rows = surrogate.rows_at(np.zeros((1, len(surrogate.parameters))))
    took = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        surrogate.outcomes(rows, protocols, threads=threads)
        took.append(time.perf_counter() - start)
    return min(took) / PROTOCOLS * 1e6


def main() -> None:
    surrogate, protocols = Surrogate(cell()), table()
    # The way to the state of measurement is integrated like a stage.
    operations = (STAGES + 1) * PER_STAGE + PER_OUTCOME
    print(f"{PROTOCOLS} protocols of {STAGES} stages, all outcomes, {operations} transcendental operations each")
    for threads in (1, 2):
        print(f"  {threads} thread(s): {best_us(surrogate, protocols, threads):.2f} µs per protocol")


if __name__ == "__main__":
    main()
