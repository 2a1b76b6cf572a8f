"""Software limits: inside the machine's, checked at proposal, at approval and before every write."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that this experiment allows, whatever the machine could do.

    Attributes:
        pressure_mpa: Highest pressure on the sample, MPa.
        force_kn: Highest force, kN.
        temperature_c: Highest temperature, °C.
        ramp_mpa_s: Highest ramp rate, MPa/s.
        line_force_n_mm: Highest line force of a roller, N/mm.
    """

    pressure_mpa: float | None = None
    force_kn: float | None = None
    temperature_c: float | None = None
    ramp_mpa_s: float | None = None
    line_force_n_mm: float | None = None
