"""The operator's sheet: one A4 page that hangs beside a press, as self-contained HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pressopt.campaign.journal import Journal
from pressopt.export.answer import Answer, nearest_trial
from pressopt.export.document import document_digest, protocol_document
from pressopt.export.instructions import Expectation, Figure, Instructions, Step, instructions
from pressopt.export.sheet_drawing import nyquist, programme, qr_code
from pressopt.export.spectra import recorded_spectrum

_STYLE = Path(__file__).with_name("sheet.css")
#: Rows of the table to fill in: more than a page holds; the style sheet hides those that do not fit.
_ROWS = 30
#: Titles longer than this are set smaller, so that they stay on one line or two.
_LONG_TITLE = 46
#: From this number of steps on, lines are set closer.
_DENSE_STEPS = 5


def qr_text(document: Mapping[str, Any]) -> str:
    """Return what the QR code of a sheet holds: the SHA-256 of the protocol file."""
    return f"sha256:{document_digest(document)}"


def operator_sheet(answer: Answer, journal: Journal, *, ram_area_cm2: float | None = None) -> str:
    """Return the operator's sheet of a campaign as HTML that prints on one A4 page and needs no other file.

    Args:
        answer: What the campaign has found.
        journal: Where the spectrum and the dates come from.
        ram_area_cm2: Area of the press's ram, cm²: then oil pressures are given too.
    """
    words = instructions(answer, ram_area_cm2=ram_area_cm2)
    digest = qr_text(protocol_document(answer, journal, ram_area_cm2=ram_area_cm2))
    dense = " dense" if len(words.steps) > _DENSE_STEPS else ""
    parts = [_header(words, digest), _facts(words), _ribbon(words.status)]
    if words.steps:
        parts += [
            f'<section class="steps{dense}">',
            *(_step(number, step) for number, step in enumerate(words.steps, 1)),
            "</section>",
        ]
    if answer.protocol is not None and not answer.protocol.rolled:
        parts.append(f'<section class="programme">{programme(answer.protocol)}</section>')
    parts.append(_columns(words))
    if words.expectations:
        parts.append(_result(answer, journal, words.expectations))
    if words.steps:
        parts.append(_fill(words.table))
    else:
        parts.append('<div class="fill"></div>')
    parts.append(_footer(words))
    title = escape(f"{answer.experiment.name}: operator's sheet")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        f'<div class="page">\n{chr(10).join(part for part in parts if part)}\n</div>\n</body>\n</html>\n'
    )


def _header(words: Instructions, digest: str) -> str:
    long = ' class="long"' if len(words.title) > _LONG_TITLE else ""
    short = digest.removeprefix("sha256:")[:12]
    return (
        '<header><div class="words"><div class="eyebrow">Pressing protocol</div>'
        f"<h1{long}>{escape(words.title)}</h1>"
        f'<p class="goal">{escape(words.goal)}</p></div>'
        f'<div class="qr">{qr_code(digest)}<span>{short[:4]} {short[4:8]} {short[8:]}</span></div></header>'
    )


def _facts(words: Instructions) -> str:
    stop = (
        f'<div class="stop"><dt>Never above</dt><dd class="nowrap">{escape(words.never_above)}</dd></div>'
        if words.never_above
        else ""
    )
    return (
        f'<dl class="facts"><div><dt>{words.die_name}</dt><dd class="nowrap">{escape(words.die)}</dd></div>'
        f'<div class="wide"><dt>Cell, from the bottom up</dt><dd>{escape(words.cell)}</dd></div>{stop}</dl>'
    )


def _ribbon(status: str) -> str:
    return f'<p class="ribbon">{escape(status)}</p>' if status else ""


def _figure(figure: Figure, size: str) -> str:
    unit = f"<small>{escape(figure.unit)}</small>" if figure.unit and size == "big" else escape(f" {figure.unit}")
    return f'<div class="{size}">{escape(figure.value)}{unit if figure.unit else ""}</div>'


def _step(number: int, step: Step) -> str:
    also = "".join(f"<div>{escape(line)}</div>" for line in step.also)
    return (
        f'<div class="step{" minor" if step.minor else ""}"><div class="no">{number}</div>'
        f'<div><div class="name">{escape(step.name)}</div><div class="how">{escape(step.how)}</div></div>'
        f'<div><div class="gauges">{_figure(step.gauge, "big")}<div class="also">{also}</div></div>'
        f"{_note(step.gauge_window)}</div>"
        f"<div>{_figure(step.hold, 'mid')}{_note(step.hold_window)}</div>"
        f"<div>{_figure(step.heat, 'mid')}{_note(step.heat_window)}</div></div>"
    )


def _note(text: str) -> str:
    return f'<div class="window">{escape(text)}</div>' if text else ""


def _columns(words: Instructions) -> str:
    checks = "".join(f"<li>{escape(check)}</li>" for check in words.checks)
    found = f'<section class="columns"><div><h2>{escape(words.before)}</h2><ul class="check">{checks}</ul></div>'
    if words.troubles:
        rows = "".join(_trouble(when, do) for when, do in words.troubles)
        found += f'<div><h2>If something is off</h2><table class="when">{rows}</table></div>'
    return f"{found}</section>"


def _trouble(when: str, do: str) -> str:
    stop = when.startswith("STOP ")
    mark = ' class="stop"' if stop else ""
    return f"<tr><td{mark}>{escape(when.removeprefix('STOP '))}</td><td>{escape(do)}</td></tr>"


def _result(answer: Answer, journal: Journal, expectations: Sequence[Expectation]) -> str:
    first, *others = expectations
    comparisons = "".join(f"<p>{escape(text[:1].upper() + text[1:])}.</p>" for text in first.comparisons)
    blocks = [
        f'<p class="soft">{_capital(first.label)} {_tag(first)}</p>'
        f'<div class="value">{escape(first.value.value)} <small>{escape(first.value.unit)}</small></div>'
        f'<p><b class="range">{escape(first.range)}</b> <span class="soft">{escape(first.note)}</span></p>'
        f"{comparisons}"
    ]
    blocks += [
        f'<p class="more"><span class="soft">{_capital(other.label)}</span> <b>{escape(str(other.value))}</b>, '
        f"{escape(other.range)} {_tag(other)}</p>"
        for other in others
    ]
    return (
        f'<section class="result"><div><h2>Expected result</h2>{"".join(blocks)}</div>'
        f"<div>{_picture(answer, journal)}</div></section>"
    )


def _capital(text: str) -> str:
    return escape(text[:1].upper() + text[1:])


def _tag(expectation: Expectation) -> str:
    return "" if expectation.measured else '<span class="tag">predicted, not measured</span>'


def _picture(answer: Answer, journal: Journal) -> str:
    """The spectrum of the cell pressed nearest to the recommended settings, where there is one."""
    recommendation = answer.recommendation
    if recommendation is None:
        return ""
    nearest = nearest_trial(answer.experiment, answer.state, recommendation.settings)
    spectrum = None if nearest is None else recorded_spectrum(nearest, journal)
    if nearest is None or spectrum is None:
        return ""
    good = spectrum.good
    drawn = nyquist(spectrum.impedance_ohm[good], spectrum.frequency_hz[good])
    return f'{drawn}<p class="soft">Cell {nearest.number}, pressed nearest to these settings.</p>'


def _fill(headings: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    row = f"<tr>{'<td>&nbsp;</td>' * len(headings)}</tr>"
    return (
        f'<section class="fill"><h2>As pressed</h2><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{row * _ROWS}</tbody></table></section>"
    )


def _footer(words: Instructions) -> str:
    return f"<footer>{'<br>'.join(escape(line) for line in words.provenance)}</footer>"
