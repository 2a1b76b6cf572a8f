"""The small pictures of sheet and report as inline SVG: programme, scales, bars, Nyquist plot, QR code."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from pressopt.export.instructions import Span
from pressopt.export.wording import duration, frequency, number
from pressopt.pressing import PressingProtocol, RollStage

#: A programme that hardly heats is drawn as nearly flat, °C.
_LEAST_SPAN_C = 25.0
_INK, _SOFT, _LINE, _ACCENT, _HEAT = "#14202a", "#5b6873", "#c4ccd2", "#0b4a57", "#c2410c"
_GOOD = "#7fb8a4"
#: Fonts for SVG, where no style sheet reaches: WeasyPrint draws it apart from the page.
_FONTS = "Liberation Sans, Helvetica Neue, Arial, DejaVu Sans, sans-serif"


@dataclass(frozen=True, slots=True)
class Mark:
    """One value on a scale, with its interval where it has one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    strong: bool = False


def qr_code(text: str) -> str:
    """Return a QR code of ``text`` as inline SVG that fills its box."""
    import segno

    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=0, dark=_INK, title=None, nl=False
    )
    return out.getvalue().decode().replace("<svg ", '<svg width="26mm" height="26mm" ', 1)


def tolerance_scale(span: Span) -> str:
    """Return a process window as a scale: the good stretch, the set value on it, the ends below."""
    width, height, pad = 100.0, 20.0, 9.0

    def place(value: float) -> float:
        low, value, high = (math.log(v) if span.log else v for v in (span.low, value, span.high))
        share = 0.5 if high <= low else (value - low) / (high - low)
        return pad + (width - 2 * pad) * min(max(share, 0.0), 1.0)

    middle = place(span.value)
    parts = [
        f'<rect x="0" y="4.5" width="{width}" height="2" rx="1" fill="{_LINE}"/>',
        f'<rect x="{pad}" y="3.5" width="{width - 2 * pad}" height="4" rx="1" fill="{_GOOD}"/>',
        f'<polygon points="{middle - 3:.1f},0 {middle + 3:.1f},0 {middle:.1f},8.6" fill="{_INK}"/>',
        _text(0, 18, span.low_text, size=8.5, fill=_SOFT, anchor="start"),
        _text(width, 18, span.high_text, size=8.5, fill=_SOFT, anchor="end"),
    ]
    return _svg(width, height, f"good from {span.low_text} to {span.high_text}", parts, wide_mm=26)


def bar(share: float) -> str:
    """Return a share of one as a bar."""
    parts = [
        f'<rect x="0" y="1" width="60" height="6" rx="1" fill="{_LINE}"/>',
        f'<rect x="0" y="1" width="{60 * min(max(share, 0.0), 1.0):.1f}" height="6" rx="1" fill="{_ACCENT}"/>',
    ]
    return _svg(60, 8, f"{100 * share:.0f} %", parts, wide_mm=18)


def scale(marks: Sequence[Mark]) -> str:
    """Return values with their intervals on one logarithmic scale, one line each; all must be positive."""
    width, left, line = 240.0, 74.0, 15.0
    ends = [edge for mark in marks for edge in (mark.value, mark.low, mark.high) if edge is not None and edge > 0]
    low, high = math.log10(min(ends)) - 0.08, math.log10(max(ends)) + 0.12
    height = line * len(marks) + 17

    def x(value: float) -> float:
        return left + (width - left - 6) * (math.log10(max(value, 10**low)) - low) / (high - low)

    base = height - 13
    parts = []
    for tick in _round_ticks(10**low, 10**high):
        parts.append(_line(x(tick), 1, x(tick), base))
        parts.append(_text(x(tick), height - 3, number(tick), size=8, fill=_SOFT))
    for row, mark in enumerate(marks):
        y = line * (row + 0.62)
        colour = _ACCENT if mark.strong else _SOFT
        parts.append(
            _text(0, y + 3, mark.label, size=8.8, weight=700 if mark.strong else 500, fill=colour, anchor="start")
        )
        if mark.low is not None and mark.high is not None:
            thick = 4.5 if mark.strong else 1.6
            parts.append(
                f'<line x1="{x(mark.low):.1f}" y1="{y:.1f}" x2="{x(mark.high):.1f}" y2="{y:.1f}" '
                f'stroke="{_GOOD if mark.strong else _SOFT}" stroke-width="{thick}" stroke-linecap="round"/>'
            )
        parts.append(
            f'<circle cx="{x(mark.value):.1f}" cy="{y:.1f}" r="{3.2 if mark.strong else 2.6}" fill="{colour}"/>'
        )
    return _svg(width, height, "expected result and what it is compared with", parts, wide_mm=84)


def _round_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two positive numbers; the decades alone where those are many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1.0, 2.0, 5.0) if last - first <= 2 else (1.0,)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]


def programme(protocol: PressingProtocol) -> str:
    """Return pressure and temperature over time, not to scale, as inline SVG; empty for a roller."""
    stages = [stage for stage in protocol.stages if not isinstance(stage, RollStage)]
    if not stages:
        return ""
    width, height, base = 720.0, 128.0, 110.0
    holds = [(s.name, s.pressure_mpa, s.temperature_c, s.dwell_s) for s in stages]
    holds.append(("measure", protocol.measure_at_mpa, protocol.measure_at_c, protocol.settle_s))
    # Widths follow the logarithm of the time, so that a minute beside an hour can still be seen.
    weights = [math.log10(10 + dwell_s) for *_, dwell_s in holds]
    left, ramp = 84.0, 26.0
    unit = (width - left - 10 - ramp * (len(holds) + 1)) / sum(weights)
    highest = max(pressure for _, pressure, _, _ in holds)
    coldest = min([25.0, *(temperature for _, _, temperature, _ in holds)])
    span = max(max(temperature for _, _, temperature, _ in holds) - coldest, _LEAST_SPAN_C)

    def y_pressure(pressure_mpa: float) -> float:
        return base - 48.0 * pressure_mpa / highest

    def y_heat(temperature_c: float) -> float:
        return 42.0 - 22.0 * (temperature_c - coldest) / span

    x = left
    area, heat, labels = [(x, base)], [(x, y_heat(holds[0][2]))], []
    for (name, pressure, temperature, dwell_s), weight in zip(holds, weights, strict=True):
        x += ramp
        end = x + weight * unit
        middle = (x + end) / 2
        area += [(x, y_pressure(pressure)), (end, y_pressure(pressure))]
        heat += [(x, y_heat(temperature)), (end, y_heat(temperature))]
        high = base - y_pressure(pressure) > 18
        labels += [
            _text(middle, base + 13, f"{name.replace('_', ' ')} · {duration(dwell_s)}", size=9.5),
            _text(middle, y_heat(temperature) - 4, f"{number(temperature)} °C", size=10, weight=700, fill=_HEAT),
            _text(
                middle, y_pressure(pressure) + (14 if high else -5), f"{number(pressure)} MPa",
                size=11, weight=700, fill=_ACCENT,
            ),
        ]  # fmt: skip
        x = end
    area.append((x + ramp, base))
    parts = [
        f'<polygon points="{_points(area)}" fill="{_ACCENT}" fill-opacity="0.12"/>',
        f'<polyline points="{_points(area)}" fill="none" stroke="{_ACCENT}" stroke-width="2"/>',
        f'<line x1="{left}" y1="{base}" x2="{width}" y2="{base}" stroke="{_INK}" stroke-width="1"/>',
        f'<polyline points="{_points(heat)}" fill="none" stroke="{_HEAT}" stroke-width="1.6"/>',
        _text(0, y_heat(holds[0][2]) + 3, "platens", size=9.5, fill=_HEAT, anchor="start"),
        _text(0, base - 18, "pressure", size=9.5, fill=_ACCENT, anchor="start"),
        _text(0, base - 6, "on the sample", size=9.5, fill=_ACCENT, anchor="start"),
        *labels,
    ]
    title = "Pressure on the sample and platen temperature over time, not to scale"
    return _svg(width, height, title, parts, wide_mm=186)


def nyquist(impedance_ohm: npt.NDArray[np.complex128], frequency_hz: npt.NDArray[np.float64]) -> str:
    """Return a Nyquist plot with equal axes as inline SVG.

    Args:
        impedance_ohm: Shape (n,), Ω, whole cell; only good points.
        frequency_hz: Shape (n,), Hz.
    """
    real, minus_imaginary = impedance_ohm.real, -impedance_ohm.imag
    width, left, right, top, bottom = 300.0, 34.0, 10.0, 10.0, 30.0
    most, room = width - left - right, 120.0
    step = _step(max(1.35 * float(np.ptp(real)), 0.7 * float(minus_imaginary.max())) or 1.0)
    low = math.floor(float(real.min()) / step) * step
    high = max(math.ceil(float(real.max()) / step) * step, low + step)
    # Leads and anything else below the axis is cut short: the arc is what is looked for.
    floor = -0.2 * step if float(minus_imaginary.min()) < -0.05 * step else 0.0
    ceiling = max(step, math.ceil(float(minus_imaginary.max()) / step) * step)
    # Equal axes: the tighter of the two directions sets the scale, the other gets more room.
    unit = min(most / (high - low), room / (ceiling - floor))
    high = low + most / unit
    drawn = max((ceiling - floor) * unit, 60.0)
    height = top + bottom + drawn
    ceiling = floor + drawn / unit

    def x(value: float) -> float:
        return left + (value - low) * unit

    def y(value: float) -> float:
        return top + (ceiling - value) * unit

    parts = []
    for tick in np.arange(math.ceil(low / step), math.floor(high / step + 1e-9) + 1) * step:
        parts.append(_line(x(tick), top, x(tick), top + drawn))
        parts.append(_text(x(tick), top + drawn + 11, number(float(tick)), size=9.5, fill=_SOFT))
    for tick in np.arange(math.ceil(floor / step), math.floor(ceiling / step + 1e-9) + 1) * step:
        parts.append(_line(left, y(tick), width - right, y(tick)))
        parts.append(_text(left - 4, y(tick) + 2.8, number(float(tick)), size=9.5, fill=_SOFT, anchor="end"))
    inside = [
        (x(float(a)), y(float(b))) for a, b in zip(real, minus_imaginary, strict=True) if floor <= b <= ceiling
    ]
    parts.append(f'<polyline points="{_points(inside)}" fill="none" stroke="{_ACCENT}" stroke-width="0.9"/>')
    parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2" fill="{_ACCENT}"/>' for a, b in inside]
    apex = _apex(minus_imaginary)
    if apex is not None:
        a, b = x(float(real[apex])), y(float(minus_imaginary[apex]))
        parts.append(_text(a, b - 5, frequency(float(frequency_hz[apex])), size=9.5, weight=700, fill=_ACCENT))
    parts.append(_text(left + (width - left - right) / 2, height - 6, "Re Z / Ω, whole cell", size=9.5))
    middle = top + drawn / 2
    parts.append(
        f'<text transform="translate(9 {middle:.1f}) rotate(-90)" font-size="9.5" text-anchor="middle" '
        f'fill="{_INK}">−Im Z / Ω</text>'
    )
    ends = f"{number(float(frequency_hz.max()))} Hz to {number(float(frequency_hz.min()))} Hz"
    return _svg(width, height, f"Nyquist plot, {ends}", parts, wide_mm=86)


def _apex(minus_imaginary: npt.NDArray[np.float64]) -> int | None:
    """Place of the highest point that has lower ones on both sides, or None: no arc."""
    inner = minus_imaginary[1:-1]
    tops = np.flatnonzero((inner >= minus_imaginary[:-2]) & (inner >= minus_imaginary[2:])) + 1
    return int(tops[np.argmax(minus_imaginary[tops])]) if len(tops) else None


def _step(span: float) -> float:
    """Distance of about five round ticks over ``span``."""
    rough = span / 5
    decade = 10.0 ** math.floor(math.log10(rough))
    return next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= rough)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_LINE}" stroke-width="0.6"/>'


def _text(
    x: float, y: float, text: str, *, size: float, fill: str = _INK, weight: int = 500, anchor: str = "middle"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(text)}</text>'
    )


def _svg(width: float, height: float, title: str, parts: Sequence[str], *, wide_mm: float) -> str:
    """Wrap parts into an SVG of a fixed size on paper: boxes that follow the text are laid out differently."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{wide_mm:g}mm" '
        f'height="{wide_mm * height / width:.2f}mm" role="img" font-family="{_FONTS}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
