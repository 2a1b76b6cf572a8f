"""Time per protocol of the surrogate beside numpy and numba with the same equations, in one run.

Run: python benchmarks/surrogate/speed.py [--json FILE]
Processor time of one thread, the best of several rounds in turn, so that a busy machine disturbs all alike.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from peers import QUALITIES, Numba, Numpy, NumpyStepped

from pressopt import _core
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.surrogate import ProtocolTable, Surrogate

PROTOCOLS, STAGES, ROUNDS = 100_000, 3, 7
#: Fewer protocols for peers that take milliseconds each, and the relative error that all have to keep.
STEPPED_PROTOCOLS, TOLERANCE = 2_000, 1e-4
#: Table rows that are streamed to see whether memory grows, and tables.
STREAMED, TABLES = 100_000, 20
#: exp, expm1, ln and root per stage and per outcome, counted in the core; a power is an exp and an ln.
PER_STAGE, PER_OUTCOME = 14, 49
#: A vector unit evaluates an exp or an ln in about 25 multiply-adds and as many cheap operations; at 2 a cycle and
#: 4 lanes that is this many cycles of each number.
CYCLES_EACH = 6


def cell() -> Cell:
    foil, pellet = Layer("Li", Role.ELECTRODE, 500.0), Layer("Li6PS5Cl", Role.ELECTROLYTE, 1000.0)
    return Cell((foil, pellet, foil), Die(12.7), 12.7)


def table(count: int = PROTOCOLS, seed: int = 0) -> ProtocolTable:
    random = np.random.default_rng(seed)
    shape = (count, STAGES)
    return ProtocolTable.platen(
        pressure_mpa=random.uniform(1, 60, shape),
        ramp_mpa_s=random.uniform(0.1, 2, shape),
        dwell_s=random.uniform(1, 3600, shape),
        temperature_c=random.uniform(20, 120, shape),
        measure_at_mpa=5.0,
    )


def once_us(run: Callable[[], object], count: int) -> float:
    start = time.process_time()
    run()
    return (time.process_time() - start) / count * 1e6


def worst(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest relative error over all qualities; next to nothing counts as nothing."""
    return float((np.abs(found - exact) / np.maximum(np.abs(exact), 1e-6)).max())


def steps_needed(
    p: dict[str, float], interfaces: int, protocols: ProtocolTable, exact: np.ndarray
) -> NumpyStepped:
    """The coarsest stepping that keeps the tolerance in 99 of 100 protocols."""
    for steps in (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512):
        peer = NumpyStepped(p, interfaces, steps)
        found = peer.run(protocols.stages, protocols.measured)
        error = (np.abs(found - exact) / np.maximum(np.abs(exact), 1e-6)).max(axis=0)
        if np.quantile(error, 0.99) <= TOLERANCE:
            return peer
    raise RuntimeError(f"{steps} steps a ramp leave an error of {np.quantile(error, 0.99):.1e}")


def resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    surrogate, protocols, few = Surrogate(cell()), table(), table(STEPPED_PROTOCOLS)
    rows = surrogate.rows_at(np.zeros((1, len(surrogate.parameters))))
    p = dict(zip(_core.physics_parameters(), rows[0].tolist(), strict=True))
    kind = _core.CellKind(lamination=False, rolled=False, formation=False, interfaces=2, melting_c=180.5)
    qualities = surrogate.outcomes(rows, protocols, threads=1)
    exact = np.array([qualities[name][0] for name in QUALITIES])

    runs: dict[str, tuple[Callable[[], object], int]] = {
        "pressopt, qualities": (lambda: surrogate.outcomes(rows, protocols, threads=1), PROTOCOLS),
        "pressopt, elements behind them": (
            lambda: _core.predict_elements(kind, rows, protocols.stages, protocols.measured, threads=1),
            PROTOCOLS,
        ),
    }
    peers: list[Numpy | Numba] = [Numpy(p, 2)]
    try:
        peers.append(Numba(p, 2))
    except ImportError:
        print("numba is not installed: left out (pip install 'pressopt[bench]')")
    for peer in peers:
        error = worst(peer.run(protocols.stages, protocols.measured), exact)
        print(f"{peer.name}: agrees with the core to {error:.1e}")
        runs[peer.name] = (lambda peer=peer: peer.run(protocols.stages, protocols.measured), PROTOCOLS)
    stepped = steps_needed(p, 2, few, exact_of(surrogate, rows, few))
    runs[stepped.name] = (lambda: stepped.run(few.stages, few.measured), STEPPED_PROTOCOLS)
    if len(peers) > 1:
        compiled = Numba(p, 2, stepped.steps)
        compiled.run(few.stages, few.measured)
        runs[compiled.name] = (lambda: compiled.run(few.stages, few.measured), STEPPED_PROTOCOLS)

    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, (run, count) in runs.items():
            best[name] = min(best[name], once_us(run, count))
    ours = best["pressopt, qualities"]
    operations = (STAGES + 1) * PER_STAGE + PER_OUTCOME
    print(f"\n{PROTOCOLS} protocols of {STAGES} stages, one thread, µs of processor time per protocol:")
    for name, us in best.items():
        print(f"  {name:32} {us:9.3f}   {us / ours:8.1f} times ours")
    print(f"floor: {operations} exp and ln a protocol, {CYCLES_EACH} cycles each at 3 GHz: "
          f"{operations * CYCLES_EACH / 3e3:.2f} µs")  # fmt: skip

    surrogate.outcomes(rows, table(STREAMED), threads=1)
    before = resident_mib()
    for seed in range(TABLES):
        surrogate.outcomes(rows, table(STREAMED, seed), threads=1)
    grown = resident_mib() - before
    print(f"memory: {STREAMED * TABLES:.0e} protocols streamed in tables of {STREAMED:.0e}: {grown:.1f} MiB more")
    if arguments.json:
        figures = {"us": best, "operations": operations, "grown_mib": grown, "steps": stepped.steps}
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def exact_of(surrogate: Surrogate, rows: np.ndarray, protocols: ProtocolTable) -> np.ndarray:
    qualities = surrogate.outcomes(rows, protocols, threads=1)
    return np.array([qualities[name][0] for name in QUALITIES])


if __name__ == "__main__":
    main()
