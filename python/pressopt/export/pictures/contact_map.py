"""Maps of one rough face under load: heights, pressures, gaps and the currents through its spots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pressopt.export.pictures.style import styled
from pressopt.surrogate import RoughContact, SpotCurrents

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def draw_contact_map(contact: RoughContact, currents: SpotCurrents | None = None) -> Figure:
    """Draw heights, pressures, gaps and, where known, current densities of a contact, µm on both axes.

    Args:
        contact: The face under load.
        currents: Currents through its spots; without them the fourth map is left out.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    face = contact.topography
    rows, columns = (side * face.pixel_um for side in face.heights_um.shape)
    gaps = np.maximum(contact.gap_um, 0)
    open_gaps = np.where(contact.touches, np.nan, gaps)
    maps: list[tuple[str, Any, dict[str, Any]]] = [
        ("height, µm", face.heights_um - face.heights_um.mean(), {"cmap": "cividis"}),
        ("pressure, MPa", np.where(contact.touches, contact.pressure_mpa, np.nan), {"cmap": "inferno"}),
        ("gap, µm", open_gaps, {"cmap": "cividis"}),
    ]
    if currents is not None:
        flowing = np.where(currents.relative > 0, currents.relative, np.nan)
        low, high = np.nanpercentile(flowing, [1, 99.9])
        maps.append(
            ("current density / mean", flowing, {"cmap": "inferno", "norm": LogNorm(low, max(high, 1.01 * low))})
        )
    figure = Figure(figsize=(4.6 * ((len(maps) + 1) // 2), 8.2), layout="constrained")
    for ax, (title, values, look) in zip(figure.subplots(2, (len(maps) + 1) // 2).flat, maps, strict=False):
        image = ax.imshow(values, extent=(0, columns, rows, 0), interpolation="nearest", **look)
        ax.set_title(title)
        ax.set_facecolor("#e8ecef")
        ax.grid(visible=False)
        ax.set_xlabel("µm")
        figure.colorbar(image, ax=ax, shrink=0.82)
    for ax in figure.axes:
        if not ax.has_data():
            ax.set_axis_off()
    kind = "elastic" if np.isinf(contact.hardness_mpa) else f"hardness {contact.hardness_mpa:g} MPa"
    figure.suptitle(
        f"{face.name or 'rough face'} at {contact.asked_mpa:g} MPa, {kind}: {contact.share:.1%} in contact",
        x=0.01,
        ha="left",
        fontweight="bold",
    )
    return figure
