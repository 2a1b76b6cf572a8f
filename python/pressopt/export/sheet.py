"""The operator's sheet: two A4 pages that hang beside a press, as self-contained HTML.

The first page is for the hands: steps, gauges, timers, what to check, what to do when. The second is for the eyes
afterwards: what to expect, how far one may miss, and a table to fill in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pressopt.campaign.journal import Journal
from pressopt.export.answer import Answer, nearest_trial
from pressopt.export.document import document_digest, protocol_document
from pressopt.export.instructions import Expectation, Figure, Instructions, Span, Step, Tolerance, instructions
from pressopt.export.sheet_drawing import (
    Mark,
    bar,
    nyquist,
    programme,
    qr_code,
    scale,
    tolerance_scale,
)
from pressopt.export.sheet_layout import LONG_TITLE, layout_of, unbroken
from pressopt.export.spectra import recorded_spectrum

_STYLE = Path(__file__).with_name("sheet.css")
#: Rows of the table to fill in: as many as a page has room for.
_ROWS = 12
#: The same where checks and troubles had to move to that page.
_FEW_ROWS = 3
#: Timers of more characters than this are set smaller.
_LONG_TIMER = 8


def qr_text(document: Mapping[str, Any]) -> str:
    """Return what the QR code of a sheet holds: the SHA-256 of the protocol file."""
    return f"sha256:{document_digest(document)}"


def operator_sheet(answer: Answer, journal: Journal, *, ram_area_cm2: float | None = None) -> str:
    """Return the operator's sheet of a campaign as HTML that prints on two A4 pages and needs no other file.

    Without an answer it is one page that says why.

    Args:
        answer: What the campaign has found.
        journal: Where the spectrum and the dates come from.
        ram_area_cm2: Area of the press's ram, cm²: then oil pressures are given too.
    """
    words = instructions(answer, ram_area_cm2=ram_area_cm2)
    digest = qr_text(protocol_document(answer, journal, ram_area_cm2=ram_area_cm2))
    first, moved = _at_the_press(answer, words, digest)
    pages = [first]
    if words.steps:
        pages.append(_afterwards(answer, journal, words, moved))
    whole = [
        f'<div class="page">{_band(answer, digest, number, len(pages))}<div class="body">{page}</div>'
        f"{_footer(words)}</div>"
        for number, page in enumerate(pages, 1)
    ]
    title = escape(f"{answer.experiment.name}: operator's sheet")
    return unbroken(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        f"{chr(10).join(whole)}\n</body>\n</html>\n"
    )


def _band(answer: Answer, digest: str, number: int, pages: int) -> str:
    return (
        '<table class="band"><tr><td class="what">Pressing protocol</td>'
        f'<td class="id">{escape(answer.experiment.name)} &#160;·&#160; {_short(digest)} &#160;·&#160; '
        f"page {number} of {pages}</td></tr></table>"
    )


def _short(digest: str) -> str:
    short = digest.removeprefix("sha256:")[:12]
    return f"{short[:4]} {short[4:8]} {short[8:]}"


# ---------------------------------------------------------------------- page 1: at the press


def _at_the_press(answer: Answer, words: Instructions, digest: str) -> tuple[str, str]:
    """Return page one, and what had to leave it because it is full."""
    head = "".join((_header(words, digest), _ribbon(words.status), _facts(words)))
    columns = _columns(words)
    if not words.steps:
        return head + columns, ""
    protocol = answer.protocol
    layout = layout_of(words, drawable=protocol is not None and not protocol.rolled)
    rows = "".join(_step(number, step) for number, step in enumerate(words.steps, 1))
    steps = f'<table class="steps{" dense" if layout.dense else ""}">{rows}</table>'
    if protocol is not None and layout.drawn:
        steps += f'<div class="programme">{programme(protocol)}</div>'
    return (head + steps, columns) if layout.apart else (head + steps + columns, "")


def _header(words: Instructions, digest: str) -> str:
    long = ' class="long"' if len(words.title) > LONG_TITLE else ""
    return (
        f'<table class="head"><tr><td><h1{long}>{escape(words.title)}</h1>'
        f'<p class="goal">{escape(words.goal)}</p></td>'
        f'<td class="qr">{qr_code(digest)}<div>{_short(digest)}</div></td></tr></table>'
    )


def _facts(words: Instructions) -> str:
    ram = f"<td><span>Ram</span><b>{escape(words.ram)}</b></td>" if words.ram else ""
    stop = (
        f'<td class="stop"><span>Never above</span><b>{escape(words.never_above)}</b></td>'
        if words.never_above
        else ""
    )
    return (
        f'<table class="facts"><tr><td><span>{words.die_name}</span><b>{escape(words.die)}</b></td>{ram}'
        f'<td class="wide"><span>Cell, from the bottom up</span><b>{escape(words.cell)}</b></td>{stop}'
        "</tr></table>"
    )


def _ribbon(status: str) -> str:
    return f'<p class="ribbon">{escape(status)}</p>' if status else ""


def _step(number: int, step: Step) -> str:
    other = "<br>".join(_other(line) for line in step.also)
    rolled = step.gauge.unit == "N/mm"
    kind = ' class="minor"' if step.minor else ""
    return (
        f"<tr{kind}>"
        f'<td class="no"><div>{number}</div></td>'
        f'<td class="do"><b>{escape(step.name)}</b><span>{escape(step.how)}</span></td>'
        f'<td class="set">{_cap("line force" if rolled else "force")}{_figure(step.gauge)}'
        f"{_window(step.gauge_span, step.gauge_window)}</td>"
        f'<td class="other">{_cap("same as") if "MPa" in other else ""}{other}</td>'
        f'<td class="time">{_timer(step, "speed" if rolled else "timer")}</td>'
        f'<td class="heat">{_heat(step, "rolls" if rolled else "platens")}</td></tr>'
    )


def _other(line: str) -> str:
    """``20.8 MPa on sample``: number and unit strong, the rest soft."""
    value, _, rest = line.partition(" ")
    unit, _, where = rest.partition(" ")
    return escape(f"{value} {unit}") + (f" <span>{escape(where)}</span>" if where else "")


def _timer(step: Step, caption: str) -> str:
    if not step.hold.value:
        return ""
    return f"{_cap(caption)}{_figure(step.hold)}{_window(step.hold_span, step.hold_window)}"


def _heat(step: Step, caption: str) -> str:
    if not step.heat.value:
        return ""
    return f"{_cap(caption)}{_figure(step.heat)}{_window(step.heat_span, step.heat_window)}"


def _cap(text: str) -> str:
    return f'<span class="cap">{text}</span>'


def _figure(figure: Figure) -> str:
    unit = f"<small>{escape(figure.unit)}</small>" if figure.unit else ""
    long = ' class="long"' if len(figure.value) + len(figure.unit) > _LONG_TIMER else ""
    return f"<b{long}>{escape(figure.value)}{unit}</b>"


def _window(span: Span | None, words: str) -> str:
    if span is not None:
        return f'<div class="span">{tolerance_scale(span)}</div>'
    return f'<div class="note">{escape(words)}</div>' if words else ""


def _columns(words: Instructions) -> str:
    checks = "".join(f"<tr><td><i></i></td><td>{escape(check)}</td></tr>" for check in words.checks)
    rows = "".join(_trouble(when, do) for when, do in words.troubles)
    right = f'<h2>If something is off</h2><table class="when">{rows}</table>' if rows else ""
    return (
        f'<table class="two"><tr><td><h2>{escape(words.before)}</h2><table class="check">{checks}</table></td>'
        f"<td>{right}</td></tr></table>"
    )


def _trouble(when: str, do: str) -> str:
    mark = ' class="stop"' if when.startswith("STOP ") else ""
    return f"<tr><td{mark}>{escape(when.removeprefix('STOP '))}</td><td>{escape(do)}</td></tr>"


# ---------------------------------------------------------------------- page 2: afterwards


def _afterwards(answer: Answer, journal: Journal, words: Instructions, moved: str) -> str:
    parts = [moved]
    if words.expectations:
        parts.append(_result(answer, words.expectations))
    parts.append(
        f'<table class="two"><tr><td>{_picture(answer, journal)}</td>'
        f"<td>{_tolerances(words.tolerances)}</td></tr></table>"
    )
    parts += [_fill(words.table, _FEW_ROWS if moved else _ROWS), _signatures()]
    return "".join(parts)


def _result(answer: Answer, expectations: Sequence[Expectation]) -> str:
    first, *others = expectations
    comparisons = "".join(f"<p>{_capital(text)}.</p>" for text in first.comparisons)
    more = "".join(
        f'<p class="more"><span class="soft">{_capital(other.label)}</span> <b>{escape(str(other.value))}</b>, '
        f"{escape(other.range)} {_tag(other)}</p>"
        for other in others
    )
    return (
        '<table class="result"><tr><td style="width: 88mm"><h2>What to expect</h2>'
        f'<p class="soft">{_capital(first.label)} {_tag(first)}</p>'
        f'<div class="value">{escape(first.value.value)} <small>{escape(first.value.unit)}</small></div>'
        f'<p><span class="range">{escape(first.range)}</span> <span class="soft">{escape(first.note)}</span></p>'
        f"{more}</td><td><h2>Compared with</h2>{_compared(answer)}"
        f'<div class="soft">{comparisons}</div></td></tr></table>'
    )


def _compared(answer: Answer) -> str:
    """The expected interval beside what it is compared with, on one logarithmic scale."""
    result = answer.main
    expected = result.expected
    if expected is None or expected.low <= 0 or any(one.value <= 0 for one in result.references):
        return ""
    marks = [Mark("this protocol", expected.median, expected.low, expected.high, strong=True)]
    marks += [Mark(one.name, one.value, one.low, one.high) for one in result.references]
    return scale(marks)


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
    return (
        f"<h2>What the spectrum should look like</h2>{drawn}"
        f'<p class="soft">Cell {nearest.number}, pressed nearest to these settings.</p>'
    )


def _tolerances(tolerances: Sequence[Tolerance]) -> str:
    if not tolerances:
        return ""
    rows = "".join(
        f"<tr><td>{_capital(one.label)}<br><b>{escape(one.value)}</b></td>"
        f'<td class="nowrap">{escape(one.window)}{_missed(one)}</td>'
        f'<td class="bar">{bar(one.effect)}<span class="soft">{100 * one.effect:.0f} %</span></td></tr>'
        for one in tolerances
    )
    return (
        '<h2>How far you may miss it</h2><table class="tol"><tr><th>set</th><th>good from, to; result there</th>'
        f"<th>how much it matters</th></tr>{rows}</table>"
    )


def _missed(tolerance: Tolerance) -> str:
    if not tolerance.at_low:
        return ""
    return f'<br><span class="soft">result {escape(tolerance.at_low)} … {escape(tolerance.at_high)}</span>'


def _fill(headings: Sequence[str], rows: int) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    row = f"<tr>{'<td>&#160;</td>' * len(headings)}</tr>"
    return f'<div class="fill"><h2>As pressed</h2><table><tr>{head}</tr>{row * rows}</table></div>'


def _signatures() -> str:
    fields = ("Pressed by, date", "Checked by, date", "Press, die, load cell (numbers)")
    cells = "".join(f"<td><div></div><span>{field}</span></td>" for field in fields)
    return f'<table class="sign"><tr>{cells}</tr></table>'


def _footer(words: Instructions) -> str:
    return f"<footer>{'<br>'.join(escape(line) for line in words.provenance)}</footer>"
