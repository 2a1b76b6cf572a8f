"""``pressopt eis FILE...``: spectra judged, fitted and shown, by the very path a campaign takes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import rich_click as click

from pressopt.errors import SpectrumError
from pressopt.impedance import Analysis, ImpedanceSpectrum, analyse, pressure_response, read_spectra
from pressopt.impedance.analysis import Layout
from pressopt.impedance.distribution import second_opinion
from pressopt.impedance.summary import Row, response_rows, response_summary, summary, table_rows, with_sd

#: What a folder is searched for; files given by name are read whatever they are called.
_SUFFIXES = {
    ".csv",
    ".txt",
    ".tsv",
    ".dat",
    ".mpt",
    ".dta",
    ".z",
    ".par",
    ".pssession",
    ".dfr",
    ".idf",
    ".ids",
    ".ism",
    ".crv",
    ".p00",
    ".i2b",
}


@click.command("eis")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--area", "area_cm2", type=float, help="Area of one electrode in cm²; else what the file says.")
@click.option("--interfaces", type=click.IntRange(min=1), default=2, show_default=True, help="Alike interfaces.")
@click.option("--layout", type=click.Choice(["symmetric", "blocking"]), default="symmetric", show_default=True)
@click.option(
    "--bulk", "bulk_ohm", type=(float, float), metavar="OHM SD", help="Electrolyte alone, for total - bulk."
)
@click.option(
    "--temperature",
    "temperature_c",
    type=float,
    help="At which the cells were measured, °C; else what the file says.",
)
@click.option(
    "--pressures",
    "pressures_mpa",
    metavar="MPA,...",
    callback=lambda _context, _option, text: None if text is None else _numbers(text),
    help="The spectra are of one cell under these pressures, in order: tells which arc is the contact.",
)
@click.option(
    "--negate-imaginary", is_flag=True, help="The files hold -Im Z although their header does not say so."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each spectrum and line.")
@click.option(
    "--plot", "plot_to", type=click.Path(path_type=Path, file_okay=False), help="Draw a PNG into this folder."
)
def eis(
    paths: tuple[Path, ...],
    area_cm2: float | None,
    interfaces: int,
    layout: str,
    bulk_ohm: tuple[float, float] | None,
    temperature_c: float | None,
    pressures_mpa: list[float] | None,
    negate_imaginary: bool,
    as_json: bool,
    plot_to: Path | None,
) -> None:
    """Judge and fit impedance spectra: files of analysers, or folders of them.

    Exit status 2 when a file could not be read, 0 otherwise: a bad verdict is an answer.
    """
    from rich.console import Console
    from rich.progress import track

    out, err = Console(soft_wrap=not sys.stdout.isatty()), Console(stderr=True)
    files = list(_files(paths))
    if not files:
        raise click.UsageError(f"no file in {', '.join(map(str, paths))} ends in {', '.join(sorted(_SUFFIXES))}")
    if plot_to is not None:
        plot_to.mkdir(parents=True, exist_ok=True)
    failed = 0
    many = len(files) > 1
    done: list[tuple[str, Analysis]] = []
    steps = track(files, description="spectra", console=err, transient=True) if many and err.is_terminal else files
    for file in steps:
        try:
            spectra = read_spectra(file, negate_imaginary=negate_imaginary)
            for spectrum in spectra:
                spectrum.metadata.update({} if temperature_c is None else {"temperature_c": temperature_c})
            analyses = [
                _analysed(
                    spectrum,
                    _area(spectrum, area_cm2),
                    interfaces=interfaces,
                    layout="blocking" if layout == "blocking" else "symmetric",
                    bulk_ohm=bulk_ohm,
                )
                for spectrum in spectra
            ]
        except SpectrumError as error:
            failed += 1
            if as_json:
                click.echo(json.dumps({"file": str(file), "error": str(error)}, ensure_ascii=False))
            else:
                err.print(str(error), style="red", markup=False, highlight=False)
            continue
        for k, (spectrum, analysis) in enumerate(zip(spectra, analyses, strict=True), start=1):
            opinion = second_opinion(spectrum, analysis.verdict)
            name = file.name if len(spectra) == 1 else f"{file.name} #{k}"
            if as_json:
                click.echo(
                    json.dumps({"file": str(file), "sweep": k, **summary(analysis, opinion)}, ensure_ascii=False)
                )
            elif not many:
                out.print(_detail(name, analysis, table_rows(analysis, opinion)))
            done.append((name, analysis))
            if plot_to is not None:
                _draw(spectrum, analysis, name, plot_to / f"{file.stem}{'' if len(spectra) == 1 else f'-{k}'}.png")
    if many and done and not as_json:
        out.print(_overview(done))
    if pressures_mpa is not None:
        try:
            answer = pressure_response([analysis for _, analysis in done], pressures_mpa)
        except SpectrumError as error:
            raise click.UsageError(f"--pressures: {error}") from error
        if as_json:
            click.echo(
                json.dumps({"pressures_mpa": pressures_mpa, **response_summary(answer)}, ensure_ascii=False)
            )
        else:
            out.print(_rows("answer to pressure", response_rows(answer)))
    if failed:
        sys.exit(2)


def _numbers(text: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"'{text}' is no list of pressures in MPa: write 5,20,80") from error


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in _SUFFIXES)
        else:
            yield path


def _area(spectrum: ImpedanceSpectrum, given: float | None) -> float | None:
    """Area of one electrode, cm², as given or as the file says; ``None`` where nobody says."""
    if given is not None:
        return given
    told = spectrum.metadata.get("area_cm2")
    return told if isinstance(told, float) and told > 0 else None


def _analysed(
    spectrum: ImpedanceSpectrum,
    area_cm2: float | None,
    *,
    interfaces: int,
    layout: Layout,
    bulk_ohm: tuple[float, float] | None,
) -> Analysis:
    """The campaign's analysis; without an area the numbers are those of 1 cm², and say so."""
    known = area_cm2 if area_cm2 is not None else 1.0
    found = analyse(spectrum, area_cm2=known, interfaces=interfaces, layout=layout, bulk_ohm=bulk_ohm)
    if area_cm2 is None:
        found = replace(found, notes=(*found.notes, "neither --area nor the file tells an area: 1 cm² is taken"))
    return found


def _detail(name: str, analysis: Analysis, rows: list[Row]) -> object:
    return _rows(f"{name}  ({analysis.area_cm2:g} cm²)", rows)


def _rows(title: str, rows: list[Row]) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, show_header=False, box=None, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    for row in rows:
        table.add_row(Text(row.label), Text(row.value), Text(row.remark))
    return table


def _overview(done: list[tuple[str, Analysis]]) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("spectrum", overflow="fold")
    table.add_column("interface / Ω cm²", justify="right", no_wrap=True)
    table.add_column("cell / Ω cm²", justify="right", no_wrap=True)
    table.add_column("sure", justify="right")
    table.add_column("verdict", overflow="fold")
    for name, a in done:
        interface = cell = ""
        if a.interface_ohm_cm2 is not None and a.interface_sd_ohm_cm2 is not None:
            interface = with_sd(a.interface_ohm_cm2, a.interface_sd_ohm_cm2)
        if a.cell_ohm_cm2 is not None and a.cell_sd_ohm_cm2 is not None:
            cell = with_sd(a.cell_ohm_cm2, a.cell_sd_ohm_cm2)
        sure = f"{a.confidence:.0%}" if interface else ""
        if not a.verdict.usable and interface:  # what the fit says of a spectrum that may not be believed
            interface, cell, sure = f"({interface})", f"({cell})", ""
        table.add_row(Text(name), interface, cell, sure, Text(_short(a)))
    return table


def _short(analysis: Analysis) -> str:
    causes = ", ".join(map(str, analysis.verdict.causes))
    return f"{analysis.verdict.value}: {causes}" if causes else analysis.verdict.value


def _draw(spectrum: ImpedanceSpectrum, analysis: Analysis, name: str, path: Path) -> None:
    from pressopt.impedance.plot import figure_spectrum

    figure_spectrum(spectrum, analysis, title=name).savefig(path, dpi=150)


if __name__ == "__main__":
    eis()
