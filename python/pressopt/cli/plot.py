"""`pressopt plot`: convergence, response surface and Nyquist pictures as PNG and SVG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import rich_click as click

_NAMES = ("convergence", "surface", "nyquist")


def _pictures(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    """Split and check ``--what a,b``."""
    if value is None:
        return None
    names = [name.strip() for name in value.split(",") if name.strip()]
    unknown = [name for name in names if name not in _NAMES]
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} cannot be drawn: use {', '.join(_NAMES)}")
    return names


@click.command()
@click.argument("campaign", required=False, type=click.Path(path_type=Path))
@click.option("--what", callback=_pictures, help="Of convergence,surface,nyquist.  [default: all that there is]")
@click.option(
    "--trial", "trials", type=int, multiple=True, help="Draw the spectrum of this trial; may be repeated."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write into.  [default: the campaign's]")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def plot(
    campaign: Path | None, what: list[str] | None, trials: tuple[int, ...], out: Path | None, as_json: bool
) -> None:
    """Draw CAMPAIGN: how it converged, what the model expects over the settings, the spectra with their fits.

    CAMPAIGN is its folder or its experiment file; default: the newest campaign below this folder.

    Examples:

        pressopt plot experiments/li-lpscl-symmetric.toml

        pressopt plot --what nyquist --trial 1 --trial 17 --out pictures
    """
    from pressopt.cli.looking import look_at
    from pressopt.export.files import Picture, drawable, write_pictures

    with look_at(campaign, think=what is None or "surface" in what or "convergence" in what) as look:
        chosen = cast("list[Picture]", what) if what is not None else list(drawable(look.answer))
        written = write_pictures(
            look.answer,
            look.journal,
            out or look.folder,
            recommender=look.recommender,
            pictures=chosen,
            trials=trials,
        )
    if as_json:
        click.echo(json.dumps({"schema": "pressopt/plot/1", "files": [str(path) for path in written]}))
        return
    for path in written:
        click.echo(path)
