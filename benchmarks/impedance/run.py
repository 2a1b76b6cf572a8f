"""Fits and validity tests of impedance spectra, beside impedance.py and pyimpspec where they are installed.

    python benchmarks/impedance/run.py [--seconds-per-peer 60] [--json FILE]
    RAYON_NUM_THREADS=2 python benchmarks/impedance/run.py --only many --many 100000

Single thread (set before NumPy is imported) unless RAYON_NUM_THREADS says otherwise, CPU time of this process,
everything in one run on one machine. The spectra: 60 points, 1 MHz to 0.1 Hz, ``R0-p(R1,CPE1)-p(R2,CPE2)-CPE3``,
0.3 % noise, start values all 2x off.
"""

# ruff: noqa: E402 - thread counts are set before NumPy is imported

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import itertools
import json
import platform
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pressopt import _core
from pressopt.errors import SpectrumError
from pressopt.impedance import ImpedanceSpectrum, analyse, circuit_impedance, fit, fit_many, judge

CIRCUIT = "R0-p(R1,CPE1)-p(R2,CPE2)-CPE3"
F = np.geomspace(1e6, 0.1, 60)
#: Two arcs well apart, and two that overlap.
TRUTH = {
    "S1": {"R0": 10.0, "R1": 50.0, "CPE1.q": 2e-8, "CPE1.n": 0.95, "R2": 120.0, "CPE2.q": 5e-6, "CPE2.n": 0.85,
           "CPE3.q": 2e-3, "CPE3.n": 0.8},
    "S2": {"R0": 10.0, "R1": 50.0, "CPE1.q": 2e-7, "CPE1.n": 0.9, "R2": 80.0, "CPE2.q": 2e-6, "CPE2.n": 0.85,
           "CPE3.q": 2e-3, "CPE3.n": 0.8},
}  # fmt: skip


def noisy(z: Any, share: float, rng: np.random.Generator) -> Any:
    """Normal noise of this share of |Z| on both parts."""
    return z + np.abs(z) * share * (rng.normal(size=z.size) + 1j * rng.normal(size=z.size))


def cpu_ms(act: Callable[[], object], *, budget_s: float, most: int = 2000) -> tuple[float, int, object]:
    """Median CPU time in ms, number of runs and the last result; stops when the budget is spent."""
    times: list[float] = []
    began = time.perf_counter()
    result: object = None
    while len(times) < most and (not times or time.perf_counter() - began < budget_s):
        start = time.process_time()
        result = act()
        times.append(1e3 * (time.process_time() - start))
    return statistics.median(times), len(times), result


def chi2(model: Any, z: Any) -> float:
    """Mean over the points of the squared relative residual."""
    return float(np.mean(np.abs(model - z) ** 2 / np.abs(z) ** 2))


def random_truth(rng: np.random.Generator) -> dict[str, float]:
    """Resistances over four decades, arcs 0.7 decades apart or more, overlapping ones included."""
    r0, r1, r2 = 10 ** rng.uniform(0, 2), 10 ** rng.uniform(0, 4), 10 ** rng.uniform(0, 4)
    fast = 10 ** rng.uniform(-6, -2.5)
    slow = fast * 10 ** rng.uniform(0.7, 3)
    n1, n2, n3 = rng.uniform(0.7, 1), rng.uniform(0.7, 1), rng.uniform(0.5, 0.95)
    tail = (r0 + r1 + r2) * 10 ** rng.uniform(-0.5, 1)
    return {
        "R0": r0, "R1": r1, "CPE1.q": fast**n1 / r1, "CPE1.n": n1, "R2": r2, "CPE2.q": slow**n2 / r2, "CPE2.n": n2,
        "CPE3.q": 0.6**-n3 / tail, "CPE3.n": n3,
    }  # fmt: skip


def one_fit(budget_s: float) -> list[dict[str, object]]:
    """Our fit and each peer's, from the same start values on the same spectra."""
    rows: list[dict[str, object]] = []
    for name, truth in TRUTH.items():
        rng = np.random.default_rng(20260101)
        z = noisy(circuit_impedance(CIRCUIT, truth, F), 0.003, rng)
        spectrum = ImpedanceSpectrum(F, z)
        start = {
            k: v if k.endswith(".n") else v * (2.0 if i % 2 else 0.5) for i, (k, v) in enumerate(truth.items())
        }
        floor = chi2(fit(spectrum, CIRCUIT, initial=truth).impedance(F), z)

        def add(what: str, act: Callable[[], Any], model: Callable[[Any], Any], *, case: str = name, at: Any = z,
                least: float = floor) -> None:  # fmt: skip
            try:
                ms, runs, found = cpu_ms(act, budget_s=budget_s)
                off = chi2(model(found), at) / least
                rows.append({"case": case, "what": what, "cpu_ms": ms, "runs": runs, "chi2_over_floor": off})
            except Exception as error:  # noqa: BLE001 - a peer that fails is a result
                rows.append({"case": case, "what": what, "failed": f"{type(error).__name__}: {error}"[:120]})

        add(
            "pressopt fit, 2x off",
            lambda s=spectrum, b=start: fit(s, CIRCUIT, initial=b),
            lambda r: r.impedance(F),
        )
        add("pressopt fit, no start", lambda s=spectrum: fit(s, CIRCUIT), lambda r: r.impedance(F))
        _add_impedance_py(add, start, z)
        _add_pyimpspec(add, start, z)
    return rows


def _add_impedance_py(add: Callable[..., None], start: dict[str, float], z: Any) -> None:
    try:
        from impedance.models.circuits import CustomCircuit
    except ImportError:
        return

    def act() -> Any:
        circuit = CustomCircuit("R0-p(R1,CPE1)-p(R2,CPE2)-CPE3", initial_guess=list(start.values()))
        return circuit.fit(F, z, weight_by_modulus=True)

    add("impedance.py fit", act, lambda c: c.predict(F))


def _add_pyimpspec(add: Callable[..., None], start: dict[str, float], z: Any) -> None:
    try:
        import pyimpspec
    except ImportError:
        return
    v = {k: f"{x:.8e}" for k, x in start.items()}
    text = (
        f"R{{R={v['R0']}}}(R{{R={v['R1']}}}Q{{Y={v['CPE1.q']},n={v['CPE1.n']}}})"
        f"(R{{R={v['R2']}}}Q{{Y={v['CPE2.q']},n={v['CPE2.n']}}})Q{{Y={v['CPE3.q']},n={v['CPE3.n']}}}"
    )
    data = pyimpspec.DataSet(frequencies=F, impedances=z)
    for method in ("leastsq", "least_squares", "powell"):

        def act(method: str = method) -> Any:
            circuit = pyimpspec.parse_cdc(text)
            return pyimpspec.fit_circuit(circuit, data, method=method, weight="modulus", num_procs=1)

        add(f"pyimpspec {method}", act, lambda r: r.circuit.get_impedances(F))


def validity(budget_s: float) -> list[dict[str, object]]:
    """Kramers-Kronig and Z-HIT, ours and the peers'."""
    z = noisy(circuit_impedance(CIRCUIT, TRUTH["S1"], F), 0.003, np.random.default_rng(20260101))
    spectrum = ImpedanceSpectrum(F, z)
    re, im = np.ascontiguousarray(z.real), np.ascontiguousarray(z.imag)
    clock = np.linspace(0, 1, F.size)[None]

    def ours() -> None:
        _core.spectrum_consistency(F, re, im, per_decade=2.5, clocks=clock)
        _core.spectrum_z_hit(F, re, im, window=9)

    tests: dict[str, Callable[[], Any]] = {
        "pressopt Kramers-Kronig + drift + slip + Z-HIT": ours,
        "pressopt judge": lambda: judge(spectrum),
        "pressopt analyse": lambda: analyse(spectrum, area_cm2=0.785),
    }
    try:
        from impedance.validation import linKK

        tests["impedance.py linKK"] = lambda: linKK(F, z, c=0.85, max_M=60, fit_type="complex", add_cap=True)
    except ImportError:
        pass
    try:
        import pyimpspec

        data = pyimpspec.DataSet(frequencies=F, impedances=z)
        tests["pyimpspec Kramers-Kronig"] = lambda: pyimpspec.perform_kramers_kronig_test(
            data, test="complex", num_procs=1
        )
        tests["pyimpspec Z-HIT"] = lambda: pyimpspec.perform_zhit(data, num_procs=1)
    except ImportError:
        pass
    rows: list[dict[str, object]] = []
    for name, act in tests.items():
        try:
            ms, runs, _ = cpu_ms(act, budget_s=budget_s)
            rows.append({"what": name, "cpu_ms": ms, "runs": runs})
        except Exception as error:  # noqa: BLE001 - a peer that fails is a result
            rows.append({"what": name, "failed": f"{type(error).__name__}: {error}"[:120]})
    return rows


def random_circuits(count: int) -> dict[str, object]:
    """Fits without start values on random circuits: at the floor, and the slower arc within its own interval.

    It may lie far below the noise: then its interval must say so.
    """
    rng = np.random.default_rng(42)
    floor = inside = 0
    for k in range(count):
        truth = random_truth(rng)
        z = noisy(circuit_impedance(CIRCUIT, truth, F), (0.003, 0.01)[k % 2], rng)
        spectrum = ImpedanceSpectrum(F, z)
        found = fit(spectrum, CIRCUIT)
        best = fit(spectrum, CIRCUIT, initial=truth)
        floor += found.chi2 <= best.chi2 * (1 + 1 / (2 * F.size - 9))
        low, high = found.interval("R2")
        inside += low <= truth["R2"] <= high
    return {"spectra": count, "at_floor": floor / count, "slower_arc_inside_95": inside / count}


def many(count: int) -> dict[str, object]:
    """Different spectra without start values from one stream: rate, processor time and growth of memory.

    Every second one is random, the others are S1 with noise of their own; making them is part of the time.
    """
    rng = np.random.default_rng(7)
    simple = circuit_impedance(CIRCUIT, TRUTH["S1"], F)

    def spectra() -> Iterator[ImpedanceSpectrum]:
        for k in range(count):
            clean = circuit_impedance(CIRCUIT, random_truth(rng), F) if k % 2 else simple
            yield ImpedanceSpectrum(F, noisy(clean, 0.003, rng))

    for _ in fit_many(list(itertools.islice(spectra(), 512)), CIRCUIT):
        pass  # buffers and threads exist from here on
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall, refused = time.perf_counter(), 0
    for found in fit_many(spectra(), CIRCUIT):
        refused += isinstance(found, SpectrumError)
    wall_s = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "spectra": count,
        "refused": refused,
        "threads": os.environ["RAYON_NUM_THREADS"],
        "wall_s": wall_s,
        "cpu_ms_each": 1e3 * (after.ru_utime - before.ru_utime) / count,
        "memory_growth_mb": (after.ru_maxrss - before.ru_maxrss) / 1024,
    }


def main() -> None:
    """Run everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds-per-peer", type=float, default=20.0)
    parser.add_argument("--random", type=int, default=200, help="random circuits")
    parser.add_argument("--many", type=int, default=2000, help="spectra in one call")
    parser.add_argument("--only", action="append", choices=["one_fit", "validity", "random_circuits", "many"])
    parser.add_argument("--json", help="write the figures here")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    parts: dict[str, Callable[[], Any]] = {
        "one_fit": lambda: one_fit(asked.seconds_per_peer),
        "validity": lambda: validity(asked.seconds_per_peer),
        "random_circuits": lambda: random_circuits(asked.random),
        "many": lambda: many(asked.many),
    }
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    }
    for name, part in parts.items():
        if asked.only is None or name in asked.only:
            result[name] = part()
    for row in result.get("one_fit", []) + result.get("validity", []):
        figure = row.get("failed") or f"{row['cpu_ms']:12.3f} ms CPU  n={row['runs']}"
        floor = f"  chi2/floor {row['chi2_over_floor']:.4g}" if "chi2_over_floor" in row else ""
        print(f"{row.get('case', ''):3} {row['what']:48} {figure}{floor}")
    print(json.dumps({k: v for k, v in result.items() if k not in {"one_fit", "validity"}}))
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
