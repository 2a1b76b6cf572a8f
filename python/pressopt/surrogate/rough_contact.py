"""Contact point by point: boundary elements on a topography, and the currents through its spots.

The high fidelity beside :class:`~pressopt.surrogate.Surrogate`: for those who have a scan of their pellet, and to
check the analytic closure laws. Numerics and sources: ``rust/core/src/boundary_elements``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pressopt._core import elastic_contact_share, rough_contact, spot_currents
from pressopt.errors import InputError
from pressopt.surrogate.topography import Real, Topography


@dataclass(frozen=True, eq=False)
class RoughContact:
    """A face under load.

    Attributes:
        topography: The face.
        asked_mpa: Mean pressure over the whole patch, MPa.
        modulus_mpa: Contact modulus E*, MPa.
        hardness_mpa: What a point carries at most; ``inf`` for an elastic contact.
        pressure_mpa: Shape (rows, columns): pressure of each point.
        gap_um: Shape (rows, columns): gap of each point; below zero where the weaker face has flowed.
        share: Share of the area in contact, corrected for the digital boundary (Yastrebov, Anciaux and Molinari,
            Tribol. Int. 114 (2017) 161).
        flowing: Share of the area that carries the hardness.
        iterations: Steps that it took.
        residual: Mean violation of the contact's conditions against the rms height.
    """

    topography: Topography
    asked_mpa: float
    modulus_mpa: float
    hardness_mpa: float
    pressure_mpa: Real
    gap_um: Real
    share: float
    flowing: float
    iterations: int
    residual: float

    @property
    def touches(self) -> npt.NDArray[np.bool_]:
        """Shape (rows, columns): where the faces touch."""
        return self.pressure_mpa > 0

    def currents(
        self,
        conductivity_s_cm: float,
        *,
        thickness_um: float | None = None,
        interface_ohm_cm2: float = 0.0,
        threads: int | None = None,
    ) -> SpotCurrents:
        """Spread a current over the spots, into an electrolyte below them.

        Args:
            conductivity_s_cm: Of the electrolyte, S/cm.
            thickness_um: Of the electrolyte; a half-space when not given.
            interface_ohm_cm2: Charge transfer over the real area, Ω cm².
            threads: How many to use; all cores when not given.

        Raises:
            InputError: A value that is not allowed, or a patch that does not repeat.
        """
        if not self.topography.periodic:
            raise InputError("currents need a patch that repeats: read the topography with periodic=True")
        try:
            relative, resistance, _ = spot_currents(
                np.ascontiguousarray(self.touches),
                self.topography.pixel_um,
                conductivity_s_cm,
                thickness_um=thickness_um,
                interface_ohm_cm2=interface_ohm_cm2,
                threads=threads,
            )
        except ValueError as error:
            raise InputError(str(error)) from None
        return SpotCurrents(relative, resistance, interface_ohm_cm2 / float(self.touches.mean()))


@dataclass(frozen=True, eq=False)
class SpotCurrents:
    """Currents through the spots of a contact.

    Attributes:
        relative: Shape (rows, columns): current density against its mean over the patch.
        resistance_ohm_cm2: Constriction and charge transfer together, Ω cm² of the patch.
        transfer_ohm_cm2: Charge transfer alone, were the current even over the spots.
    """

    relative: Real
    resistance_ohm_cm2: float
    transfer_ohm_cm2: float

    @property
    def hot_spot(self) -> float:
        """Current density that the hottest hundredth of the current exceeds, against the mean over the patch.

        The single hottest point would depend on the pixel: at the rim of a spot the density has a singularity.
        """
        dense = np.sort(self.relative[self.relative > 0])[::-1]
        reached = np.searchsorted(np.cumsum(dense), 0.01 * dense.sum())
        return float(dense[min(int(reached), dense.size - 1)])


def contact_modulus_mpa(
    youngs_gpa: float, poisson: float, other_youngs_gpa: float = math.inf, other_poisson: float = 0.3
) -> float:
    """E* in MPa of two faces, ``1/E* = (1-ν₁²)/E₁ + (1-ν₂²)/E₂`` (Johnson, Contact Mechanics, 1985)."""
    compliance = (1 - poisson**2) / youngs_gpa + (1 - other_poisson**2) / other_youngs_gpa
    return 1e3 / compliance


def elastic_share(pressure_mpa: float, modulus_mpa: float, rms_slope: float, *, corrected: bool = True) -> float:
    """Elastic share in contact of a random face from its rms slope alone.

    ``erf(√2 p/(E* h′))`` (Persson, J. Chem. Phys. 115 (2001) 3840); ``corrected`` stretches the argument so that
    it meets boundary elements, within 2 % for faces with a decade of wavelengths (benchmarks/surrogate).
    """
    return elastic_contact_share(pressure_mpa, modulus_mpa, rms_slope, corrected)


def press_topography(
    topography: Topography,
    pressure_mpa: float,
    *,
    modulus_mpa: float,
    hardness_mpa: float | None = None,
    tolerance: float = 1e-8,
    threads: int | None = None,
) -> RoughContact:
    """Press a rough face against a flat one by boundary elements.

    Args:
        topography: The face.
        pressure_mpa: Mean pressure over the patch, MPa.
        modulus_mpa: Contact modulus, see :func:`contact_modulus_mpa`.
        hardness_mpa: What a point carries at most, MPa; elastic when not given.
        tolerance: Of the mean violation of the contact's conditions, against the rms height.
        threads: How many to use; all cores when not given. The result does not depend on it.

    Raises:
        InputError: A value that is not allowed (a pressure at or above the hardness is one), or no convergence.
    """
    try:
        pressures, gaps, share, flowing, iterations, _, residual = rough_contact(
            topography.heights_um,
            topography.pixel_um,
            pressure_mpa,
            modulus_mpa,
            hardness_mpa=hardness_mpa,
            periodic=topography.periodic,
            tolerance=tolerance,
            threads=threads,
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    return RoughContact(
        topography,
        pressure_mpa,
        modulus_mpa,
        math.inf if hardness_mpa is None else hardness_mpa,
        pressures,
        gaps,
        share,
        flowing,
        iterations,
        residual,
    )
