"""Boundary elements beside a plain numpy Polonsky-Keer and tamaas: the same contact, one thread, then two.

Run: python benchmarks/surrogate/boundary_elements.py [--sides 256 512 1024] [--peers-up-to 512] [--threads]

A self-affine face (Hurst 0.8, rms slope 0.1, wavelengths from a quarter to a fortieth of the side), pressed
to about 5, 20 and 50 % contact. All three stop at 1e-8; what each left as error is computed afterwards by the
same formula. Processor time, so that a busy machine changes little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from pressopt._core import rough_contact
from pressopt.surrogate import Topography, elastic_share, press_topography

MODULUS_MPA, TOLERANCE = 1000.0, 1e-8
PRESSURES_MPA = (2.2, 9.8, 28.0)
#: Hardness over E* h' at which the law of yielding faces is compared, and pressures over E* h'.
YIELDING, LOADS = (0.5, 1.0, 2.0, 10.0), (0.01, 0.03, 0.1, 0.3)


def operator(side: int, pixel_um: float) -> np.ndarray:
    wave = np.hypot(np.fft.fftfreq(side, pixel_um)[:, None], np.fft.rfftfreq(side, pixel_um)[None, :])
    factor = np.zeros_like(wave)
    factor[wave > 0] = 2 / (MODULUS_MPA * 2 * np.pi * wave[wave > 0])
    return factor


def polonsky_keer(face: Topography, mean_mpa: float) -> tuple[np.ndarray, int]:
    """The published algorithm (Wear 231 (1999) 206) in vectorised numpy."""
    heights = face.heights_um - face.heights_um.mean()
    factor = operator(len(heights), face.pixel_um)

    def displaced(pressure: np.ndarray) -> np.ndarray:
        return np.fft.irfft2(np.fft.rfft2(pressure) * factor, s=heights.shape)

    pressure = np.full_like(heights, mean_mpa)
    direction = np.zeros_like(heights)
    conjugate, last = 0.0, 1.0
    rms = heights.std()
    for iteration in range(5000):
        gap = displaced(pressure) - heights
        touches = pressure > 0
        gap -= gap[touches].mean()
        overlap = np.where(touches, 0, np.minimum(gap, 0))
        left = (pressure * np.abs(gap)).sum() - mean_mpa * overlap.sum()
        if left < TOLERANCE * mean_mpa * gap.size * rms:
            return pressure, iteration
        square = (gap[touches] ** 2).sum()
        direction = np.where(touches, gap + conjugate * (square / last) * direction, 0)
        last = square
        answer = displaced(direction)
        answer -= answer[touches].mean()
        length = (gap * direction)[touches].sum() / (answer * direction)[touches].sum()
        pressure = np.where(touches, np.maximum(pressure - length * direction, 0), 0)
        inside = (pressure == 0) & (gap < 0)
        pressure[inside] -= length * gap[inside]
        conjugate = 0.0 if inside.any() else 1.0
        pressure *= mean_mpa / pressure.mean()
    raise RuntimeError("numpy did not converge")


def with_tamaas(face: Topography, mean_mpa: float) -> tuple[np.ndarray, int] | None:
    try:
        import tamaas as tm
    except ImportError:
        return None
    tm.set_log_level(tm.LogLevel.error)
    tm.initialize(1)
    side = len(face.heights_um)
    length = side * face.pixel_um
    model = tm.ModelFactory.createModel(tm.model_type.basic_2d, [length, length], [side, side])
    model.E, model.nu = MODULUS_MPA, 0.0
    solver = tm.PolonskyKeerRey(model, np.array(face.heights_um), TOLERANCE)
    solver.max_iter = 5000
    solver.solve(mean_mpa)
    return np.array(model.traction), -1


def ours(face: Topography, mean_mpa: float, threads: int = 1) -> tuple[np.ndarray, int]:
    pressure, _, _, _, iterations, _, _ = rough_contact(
        face.heights_um, face.pixel_um, mean_mpa, MODULUS_MPA, tolerance=TOLERANCE, threads=threads
    )
    return pressure, iterations


def error(face: Topography, pressure: np.ndarray) -> float:
    """Mean violation of the contact's conditions, against the rms height."""
    heights = face.heights_um - face.heights_um.mean()
    factor = operator(len(heights), face.pixel_um)
    gap = np.fft.irfft2(np.fft.rfft2(pressure) * factor, s=heights.shape) - heights
    touches = pressure > 0
    gap -= gap[touches].mean()
    overlap = np.where(touches, 0, np.maximum(-gap, 0)).sum() * pressure.mean()
    return float(((pressure * np.abs(gap)).sum() + overlap) / (pressure.sum() * heights.std()))


def timed(run: Callable[[], tuple[np.ndarray, int] | None], repeats: int) -> tuple[float, np.ndarray | None, int]:
    best, pressure, iterations = np.inf, None, 0
    for _ in range(repeats):
        start = time.process_time()
        found = run()
        best = min(best, time.process_time() - start)
        if found is None:
            return np.nan, None, 0
        pressure, iterations = found
    return best, pressure, iterations


def yielding(face: Topography) -> None:
    """The law of the core's ``contact::yielding_share`` beside elastic-plastic boundary elements."""
    stiffness_mpa = MODULUS_MPA * face.rms_slope
    print("\n| H/(E* h') | p/(E* h') | share | law/BEM |\n|---|---|---|---|")
    for hardness in YIELDING:
        for load in LOADS:
            mean_mpa, hardness_mpa = load * stiffness_mpa, hardness * stiffness_mpa
            found = press_topography(
                face, mean_mpa, modulus_mpa=MODULUS_MPA, hardness_mpa=hardness_mpa, threads=1
            ).share
            elastic = elastic_share(mean_mpa, MODULUS_MPA, face.rms_slope)
            law = min(1.0, (elastic**4 + min(1.0, load / hardness) ** 4) ** 0.25)
            print(f"| {hardness:g} | {load:g} | {found:.4f} | {law / found:.3f} |", flush=True)


def clocked(face: Topography, mean_mpa: float, threads: int) -> float:
    """Seconds by the clock: means something on an idle machine alone."""
    start = time.perf_counter()
    ours(face, mean_mpa, threads)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--peers-up-to", type=int, default=1024, help="largest side on which the peers run")
    parser.add_argument("--threads", action="store_true", help="two threads against one too, on an idle machine")
    arguments = parser.parse_args()
    print("| side | p/E* | share | law/BEM | ours, s (steps) | numpy, s | ratio | tamaas, s | ratio | Δ share |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for side in arguments.sides:
        face = Topography.self_affine(
            side, pixel_um=1.0, rms_slope=0.1, longest_um=side / 4, shortest_um=side / 40, seed=1
        )
        for mean_mpa in PRESSURES_MPA:
            took, pressure, steps = timed(lambda: ours(face, mean_mpa), 3 if side < 1024 else 1)  # noqa: B023
            assert pressure is not None
            share = float((pressure > 0).mean())
            corrected = press_topography(face, mean_mpa, modulus_mpa=MODULUS_MPA, threads=1).share
            law = elastic_share(mean_mpa, MODULUS_MPA, face.rms_slope) / corrected
            cells, deltas = [], []
            for peer in (polonsky_keer, with_tamaas):
                if side > arguments.peers_up_to:
                    cells += ["not run", ""]
                    continue
                peer_took, found, _ = timed(lambda: peer(face, mean_mpa), 1)  # noqa: B023
                if found is None:
                    cells += ["not installed", ""]
                    continue
                deltas.append(abs(float((found > 0).mean()) - share))
                cells += [f"{peer_took:.2f} ({error(face, found):.0e})", f"{peer_took / took:.1f}"]
            print(
                f"| {side} | {mean_mpa / MODULUS_MPA:g} | {share:.4f} | {law:.3f} | {took:.3f} ({steps}, "
                f"{error(face, pressure):.0e}) | {' | '.join(cells)} | {max(deltas, default=np.nan):.0e} |",
                flush=True,
            )
    yielding(Topography.self_affine(256, pixel_um=1.0, rms_slope=0.1, longest_um=64, shortest_um=6.4, seed=1))
    face = Topography.self_affine(1024, pixel_um=1.0, rms_slope=0.1, longest_um=256, shortest_um=25.6, seed=1)
    if arguments.threads:
        for mean_mpa in PRESSURES_MPA:
            walls = [min(clocked(face, mean_mpa, threads) for _ in range(3)) for threads in (1, 2)]
            print(f"1024², {mean_mpa} MPa: {walls[0]:.2f} s, two threads {walls[0] / walls[1]:.2f} times as fast")


if __name__ == "__main__":
    main()
