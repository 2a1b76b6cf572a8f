"""Rough faces on a grid: measured or generated heights, their statistics, and files that hold them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, Violation

Real = npt.NDArray[np.float64]

#: Metres in a unit of length that height files name.
_METRES = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "nm": 1e-9, "pm": 1e-12, "Å": 1e-10}


@dataclass(frozen=True, eq=False)
class Topography:
    """Heights of one face, towards the other.

    Attributes:
        heights_um: Shape (rows, columns), µm; finite.
        pixel_um: Distance of neighbouring points, µm, the same in both directions.
        periodic: Whether the patch repeats (a piece of a large face) or is all that there is.
        name: Where it came from.

    Raises:
        InputError: Everything that is wrong with the heights or the spacing, at once.
    """

    heights_um: Real
    pixel_um: float
    periodic: bool = True
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        heights = np.array(self.heights_um, dtype=float)
        wrong = []
        if heights.ndim != 2 or min(heights.shape) < 4:
            wrong.append(
                Violation("heights_um", f"shape {heights.shape}: give rows and columns, 4 of each or more")
            )
        elif (holes := int((~np.isfinite(heights)).sum())) > 0:
            row, column = np.argwhere(~np.isfinite(heights))[0]
            wrong.append(
                Violation(
                    "heights_um",
                    f"{holes} of {heights.size} points have no height, the first at row {row}, column {column}: "
                    "fill the gaps of the scan in the program that took it",
                )
            )
        if not (math.isfinite(self.pixel_um) and self.pixel_um > 0):
            wrong.append(Violation("pixel_um", f"{self.pixel_um} is not allowed: give a distance above 0 µm"))
        if wrong:
            raise InputError(wrong)
        heights.setflags(write=False)
        object.__setattr__(self, "heights_um", heights)

    @classmethod
    def self_affine(
        cls,
        points: int,
        *,
        pixel_um: float,
        rms_slope: float,
        hurst: float = 0.8,
        longest_um: float | None = None,
        shortest_um: float | None = None,
        seed: int = 0,
    ) -> Topography:
        """Generate an isotropic self-affine face with random phases.

        The power spectrum falls as ``q**(-2 - 2 hurst)`` between the two wavelengths and is zero outside them
        (Persson et al., J. Phys.: Condens. Matter 17 (2005) R1).

        Args:
            points: Points along each side.
            pixel_um: Their distance, µm.
            rms_slope: Root mean square of the gradient's length.
            hurst: Hurst exponent, 0 to 1.
            longest_um: Longest wavelength; a quarter of the side when not given.
            shortest_um: Shortest wavelength; eight pixels when not given.
            seed: Of the random phases and amplitudes.

        Raises:
            InputError: A value outside its range, or no wave between the two wavelengths; all at once.
        """
        side = points * pixel_um
        longest = side / 4 if longest_um is None else longest_um
        shortest = 8 * pixel_um if shortest_um is None else shortest_um
        allowed = {
            "points": (points, 8 <= points <= 16384, "8 to 16384"),
            "pixel_um": (pixel_um, pixel_um > 0, "above 0 µm"),
            "rms_slope": (rms_slope, 0 < rms_slope < 10, "between 0 and 10"),
            "hurst": (hurst, 0 < hurst <= 1, "above 0, up to 1"),
            "longest_um": (
                longest,
                shortest < longest <= side,
                f"above the shortest, up to the side, {side:g} µm",
            ),
            "shortest_um": (shortest, shortest >= 2 * pixel_um, f"at least two pixels, {2 * pixel_um:g} µm"),
        }
        wrong = [
            Violation(name, f"{value:g} is not allowed: give {text}")
            for name, (value, right, text) in allowed.items()
            if not right
        ]
        if wrong:
            raise InputError(wrong)
        wave = _wave_lengths_inverse((points, points), pixel_um)
        inside = (wave >= 1 / longest) & (wave <= 1 / shortest)
        amplitude = np.zeros_like(wave)
        amplitude[inside] = wave[inside] ** -(1 + hurst)
        noise = np.random.default_rng(seed).standard_normal((points, points))
        heights = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, s=(points, points))
        made = cls(heights, pixel_um, name=f"self-affine, Hurst {hurst:g}, seed {seed}")
        return cls(heights * (rms_slope / made.rms_slope), pixel_um, name=made.name)

    @property
    def rms_height_um(self) -> float:
        """Root mean square height about the mean, Sq, µm."""
        return float(self.heights_um.std())

    @property
    def rms_slope(self) -> float:
        """Root mean square length of the gradient, h′ (Sdq): spectral where periodic, else from neighbours."""
        if self.periodic:
            shape = self.heights_um.shape
            power = np.abs(np.fft.rfft2(self.heights_um - self.heights_um.mean())) ** 2
            weight = np.full(power.shape[1], 2.0)
            weight[0] = 1.0
            if shape[1] % 2 == 0:
                weight[-1] = 1.0
            squared = (2 * np.pi * _wave_lengths_inverse(shape, self.pixel_um)) ** 2
            return float(np.sqrt((power * squared * weight).sum()) / self.heights_um.size)
        down, right = np.gradient(self.heights_um, self.pixel_um)
        return float(np.sqrt((down**2 + right**2).mean()))

    def levelled(self) -> Topography:
        """The same face without its mean plane, as a scan is levelled before it is used."""
        rows, columns = (np.arange(side) - (side - 1) / 2 for side in self.heights_um.shape)
        heights = self.heights_um - self.heights_um.mean()
        for step in (rows[:, None], columns[None, :]):
            along = np.broadcast_to(step, heights.shape)
            heights = heights - along * ((heights * along).sum() / (along**2).sum())
        return Topography(heights, self.pixel_um, self.periodic, self.name)


def _wave_lengths_inverse(shape: tuple[int, ...], pixel_um: float) -> Real:
    """1/wavelength of each component of ``rfft2``, 1/µm."""
    down, right = np.fft.fftfreq(shape[0], pixel_um), np.fft.rfftfreq(shape[1], pixel_um)
    return np.asarray(np.hypot(down[:, None], right[None, :]), dtype=float)


def read_topography(path: Path, *, pixel_um: float | None = None, periodic: bool = True) -> Topography:
    """Read a map of heights.

    Read here: text of numbers in rows (µm; ``pixel_um`` says how far apart), and Gwyddion's text export, whose
    header says width and units. Every other format of profilers and microscopes is read by SurfaceTopography
    (Röttger et al., Surf. Topogr.: Metrol. Prop. 10 (2022) 035032), the extra ``topography``.

    Raises:
        InputError: The file is missing, holds no map of heights, or its spacing is not known or not square.
    """
    if not path.is_file():
        raise InputError([Violation(str(path), "there is no such file")])
    if path.suffix.lower() in {".txt", ".csv", ".tsv", ".asc", ".dat"}:
        return _read_text(path, pixel_um, periodic)
    return _read_foreign(path, periodic)


def _read_text(path: Path, pixel_um: float | None, periodic: bool) -> Topography:
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    header = dict(re.findall(r"^#\s*(Width|Height|Value units):\s*(.+?)\s*$", text, flags=re.MULTILINE))
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            rows.append([float(word) for word in re.split(r"[\s,;]+", line.strip().rstrip(",;"))])
        except ValueError:
            raise InputError(
                [Violation(str(path), f"{line.strip()[:40]!r} is not a row of heights", line=number)]
            ) from None
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                [
                    Violation(
                        str(path), f"{len(rows[-1])} heights where the first row has {len(rows[0])}", line=number
                    )
                ]
            )
    if not rows:
        raise InputError([Violation(str(path), "no rows of heights")])
    height_um = 1e6 * _metres(path, header["Value units"]) if "Value units" in header else 1.0
    if "Width" in header:
        across = _length_um(path, header["Width"]) / len(rows[0])
        down = _length_um(path, header["Height"]) / len(rows) if "Height" in header else across
        _square(path, across, down)
        pixel_um = across
    if pixel_um is None:
        raise InputError(
            [Violation(str(path), "the file does not say how far its points are apart: give pixel_um (--pixel)")]
        )
    return Topography(height_um * np.array(rows), pixel_um, periodic, path.name)


def _read_foreign(path: Path, periodic: bool) -> Topography:
    try:
        from SurfaceTopography import read_topography as read
    except ImportError:
        raise InputError(
            [
                Violation(
                    str(path),
                    f"{path.suffix or 'this format'} is read by SurfaceTopography: "
                    "pip install 'pressopt[topography]', or export the map as text",
                )
            ]
        ) from None
    try:
        scan: Any = read(str(path))
        scan = scan.to_unit("µm") if scan.unit is not None else scan
        heights = np.ma.filled(np.ma.masked_invalid(scan.heights()), np.nan)
        across, down = scan.pixel_size
    except Exception as error:  # another library's reader may fail in any way on a broken file
        raise InputError([Violation(str(path), f"SurfaceTopography could not read it: {error}")]) from error
    _square(path, across, down)
    return Topography(heights, float(across), periodic, path.name)


def _square(path: Path, across: float, down: float) -> None:
    if not math.isclose(across, down, rel_tol=1e-3):
        raise InputError(
            [
                Violation(
                    str(path),
                    f"points are {across:g} µm apart across and {down:g} µm down: "
                    "resample the map to square pixels",
                )
            ]
        )


def _length_um(path: Path, text: str) -> float:
    number, _, unit = text.partition(" ")
    try:
        return float(number) * 1e6 * _metres(path, unit.strip())
    except ValueError:
        raise InputError([Violation(str(path), f"{text!r} in the header is not a length")]) from None


def _metres(path: Path, unit: str) -> float:
    if unit not in _METRES:
        raise InputError([Violation(str(path), f"unit {unit!r} is not known: {', '.join(_METRES)}")])
    return _METRES[unit]
