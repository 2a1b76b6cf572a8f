"""``pressopt topography``: a scan of a face, pressed point by point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from pressopt.materials import Catalogue
    from pressopt.surrogate import RoughContact, SpotCurrents


@click.command()
@click.argument("scan", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--pressure",
    "pressures",
    metavar="QUANTITY",
    multiple=True,
    help='Mean pressure, as "25 MPa"; again for more.',
)
@click.option("--metal", default="Li", show_default=True, help="What is pressed against the face.")
@click.option("--electrolyte", default="LLZO", show_default=True, help="What the face is made of.")
@click.option("--elastic", is_flag=True, help="No flow of the metal, whatever its hardness.")
@click.option(
    "--pixel", metavar="LENGTH", help='Distance of the points, as "0.5 um", where the file does not say it.'
)
@click.option("--alone", is_flag=True, help="The patch does not repeat (no current map).")
@click.option("--no-level", is_flag=True, help="Keep the mean plane of the scan.")
@click.option(
    "--materials", "extra", type=click.Path(path_type=Path), help="Your own materials, beside the catalogue."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Draw maps (PNG) into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")
def topography(
    scan: Path,
    pressures: tuple[str, ...],
    metal: str,
    electrolyte: str,
    elastic: bool,
    pixel: str | None,
    alone: bool,
    no_level: bool,
    extra: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Press a measured face by boundary elements: share in contact, pressures, constriction, hot spots.

    FILE is a map of heights: rows of numbers in µm with --pixel, Gwyddion's text export, or whatever the extra
    `topography` reads. Without --pressure only the face's own figures are printed.

        pressopt topography pellet.txt --pressure "5 MPa" --pressure "25 MPa" --metal Li --electrolyte LLZO
    """
    from pressopt.materials import Catalogue
    from pressopt.surrogate import contact_modulus_mpa, elastic_share, press_topography, read_topography
    from pressopt.units import parse_quantity

    pixel_um = None if pixel is None else 1e3 * parse_quantity(pixel, "mm", key="--pixel")
    face = read_topography(scan, pixel_um=pixel_um, periodic=not alone)
    face = face if no_level else face.levelled()
    said: dict[str, object] = {
        "schema": "pressopt/topography/1",
        "file": str(scan),
        "points": list(face.heights_um.shape),
        "pixel_um": face.pixel_um,
        "rms_height_um": face.rms_height_um,
        "rms_slope": face.rms_slope,
    }
    catalogue = Catalogue.load(extra)
    modulus_mpa = contact_modulus_mpa(
        *(_datum(catalogue, name, key) for name, key in _elastic_data(metal, electrolyte))
    )
    hardness_mpa = None if elastic else _datum(catalogue, metal, "hardness_mpa")
    said |= {"modulus_mpa": modulus_mpa, "hardness_mpa": hardness_mpa}
    lines = [
        f"{scan.name}: {face.heights_um.shape[0]} x {face.heights_um.shape[1]} points, {face.pixel_um:g} µm apart",
        f"rms height {face.rms_height_um:.3g} µm, rms slope {face.rms_slope:.3g}",
        f"{metal} on {electrolyte}: E* {modulus_mpa / 1e3:.3g} GPa, "
        + ("elastic" if hardness_mpa is None else f"hardness {hardness_mpa:g} MPa"),
    ]
    results: list[dict[str, object]] = []
    for text in pressures:
        pressure_mpa = parse_quantity(text, "MPa", key="--pressure")
        contact = press_topography(face, pressure_mpa, modulus_mpa=modulus_mpa, hardness_mpa=hardness_mpa)
        currents = None
        if not alone:
            kappa_ms_cm = _datum(catalogue, electrolyte, "ionic_conductivity_ms_cm")
            currents = contact.currents(1e-3 * kappa_ms_cm)
        picture = None if out is None else _draw(contact, currents, out, scan.stem)
        law = elastic_share(pressure_mpa, modulus_mpa, face.rms_slope)
        results.append(_result(contact, currents, law, picture))
        lines.append(_line(contact, currents, law, picture))
    if as_json:
        click.echo(json.dumps(said | {"contacts": results}))
        return
    click.echo("\n".join(lines))


def _elastic_data(metal: str, electrolyte: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, key) for name in (metal, electrolyte) for key in ("youngs_modulus_gpa", "poisson_ratio"))


#: Poisson's ratio of ceramics whose own is not in the catalogue (assumed; enters as 1 - ν²).
_CERAMIC_POISSON = 0.26


def _datum(catalogue: Catalogue, name: str, key: str) -> float:
    material = catalogue[name]
    if key == "poisson_ratio" and key not in material:
        return _CERAMIC_POISSON
    return float(material[key].value)


def _draw(contact: RoughContact, currents: SpotCurrents | None, out: Path, stem: str) -> Path:
    from pressopt.export.pictures import draw_contact_map, picture_bytes

    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{stem}-{contact.asked_mpa:g}MPa.png"
    path.write_bytes(picture_bytes(draw_contact_map(contact, currents), "png"))
    return path


def _result(
    contact: RoughContact, currents: SpotCurrents | None, law: float, picture: Path | None
) -> dict[str, object]:
    return {
        "pressure_mpa": contact.asked_mpa,
        "share": contact.share,
        "flowing": contact.flowing,
        "elastic_law_share": law,
        "highest_mpa": float(contact.pressure_mpa.max()),
        "residual": contact.residual,
        "constriction_ohm_cm2": None if currents is None else currents.resistance_ohm_cm2,
        "hot_spot": None if currents is None else currents.hot_spot,
        "picture": None if picture is None else str(picture),
    }


def _line(contact: RoughContact, currents: SpotCurrents | None, law: float, picture: Path | None) -> str:
    text = f"{contact.asked_mpa:g} MPa: {100 * contact.share:.2f} % in contact"
    text += f", {100 * contact.flowing:.2f} % flowing (elastic law {100 * law:.2f} %)"
    if currents is not None:
        text += f", constriction {currents.resistance_ohm_cm2:.3g} Ω cm², hot spots {currents.hot_spot:.3g} times"
    return text if picture is None else f"{text}\n  {picture}"
