"""What a pass through a roller nip does to a cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pressopt.twin.laws import REFERENCE_C, CellState, Law, Real, advance
from pressopt.twin.plant import RollSpec

WARMING_S = 1.2
"""Time constant with which a foil between rolls takes their temperature, s (assumed: 100 µm between elastomer)."""

IRONING = 0.06
"""Gain in forged pressure by every pass after the first (assumed)."""

STRETCH_N_MM = 260.0
"""Line force at which the stretch of one pass harms like a peak of 16 MPa between platens (assumed)."""


def roll_pass(
    law: Law,
    state: CellState,
    spec: RollSpec,
    *,
    line_force_n_mm: Real,
    speed_mm_s: Real,
    temperature_c: Real,
    done: Real,
) -> CellState:
    """State after one pass; all arrays (N, 1).

    Args:
        law: Hidden parameters.
        state: State before.
        spec: The laminator.
        line_force_n_mm: True line force, N/mm.
        speed_mm_s: Speed, mm/s.
        temperature_c: Temperature of the rolls, °C.
        done: 1 where the cell takes part in this pass, 0 where it has had all of its passes.
    """
    force = np.maximum(line_force_n_mm, 0.0) * done
    # π/4 of the highest pressure is the mean over the nip of a Hertzian line contact.
    pressure_mpa = np.pi / 4 * np.sqrt(force * spec.cover_mpa / (np.pi * spec.radius_mm))
    nip_mm = 2 * np.sqrt(4 * force * spec.radius_mm / (np.pi * spec.cover_mpa))
    dwell_s = nip_mm / speed_mm_s
    reached_c = REFERENCE_C + (temperature_c - REFERENCE_C) * -np.expm1(-np.maximum(dwell_s, 1e-9) / WARMING_S)
    before = state.peak
    state = advance(law, state, pressure_mpa, reached_c, dwell_s)
    # A wave that is rolled over again lies flatter, whatever the time under load.
    ironed = np.where(before > 0, 1 + IRONING * done, 1.0)
    # Stretching adds up from pass to pass: it acts like a higher peak load on the face.
    stretched = (np.maximum(before, state.peak) ** 2 + done * (16.0 * force / STRETCH_N_MM) ** 2) ** 0.5
    return replace(state, peak=np.where(done > 0, stretched, before), forged=state.forged * ironed)
