"""The three pictures of the operator's sheet as inline SVG: the programme, a Nyquist plot, the QR code."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from pressopt.export.wording import duration, number
from pressopt.pressing import PressingProtocol, RollStage

#: A programme that hardly heats is drawn as nearly flat, °C.
_LEAST_SPAN_C = 25.0
_INK, _SOFT, _LINE, _ACCENT, _HEAT = "#14181c", "#5a646e", "#c9d0d6", "#0a5c66", "#c2410c"


def qr_code(text: str) -> str:
    """Return a QR code of ``text`` as inline SVG that fills its box."""
    import segno

    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, dark=_INK, title=None, nl=False
    )
    return out.getvalue().decode()


def programme(protocol: PressingProtocol) -> str:
    """Return pressure and temperature over time, not to scale, as inline SVG; empty for a roller."""
    stages = [stage for stage in protocol.stages if not isinstance(stage, RollStage)]
    if not stages:
        return ""
    width, height, top, base = 720.0, 86.0, 10.0, 70.0
    holds = [(s.name, s.pressure_mpa, s.temperature_c, s.dwell_s) for s in stages]
    holds.append(("measure", protocol.measure_at_mpa, protocol.measure_at_c, protocol.settle_s))
    # Widths follow the logarithm of the time, so that a minute beside an hour can still be seen.
    weights = [math.log10(10 + dwell_s) for *_, dwell_s in holds]
    ramp = 26.0
    scale = (width - 40 - ramp * (len(holds) + 1)) / sum(weights)
    highest = max(pressure for _, pressure, _, _ in holds)
    coldest = min([25.0, *(temperature for _, _, temperature, _ in holds)])
    hottest = max(temperature for _, _, temperature, _ in holds)
    span = max(hottest - coldest, _LEAST_SPAN_C)

    def y_pressure(pressure_mpa: float) -> float:
        return base - (base - top) * 0.78 * pressure_mpa / highest

    def y_heat(temperature_c: float) -> float:
        return base - 4 - (base - top - 6) * 0.92 * (temperature_c - coldest) / span

    x = 20.0
    area, heat, labels = [(x, base)], [(x, y_heat(holds[0][2]))], []
    for (name, pressure, temperature, dwell_s), weight in zip(holds, weights, strict=True):
        x += ramp
        area.append((x, y_pressure(pressure)))
        heat.append((x, y_heat(temperature)))
        end = x + weight * scale
        middle = (x + end) / 2
        area.append((end, y_pressure(pressure)))
        heat.append((end, y_heat(temperature)))
        labels.append(_text(middle, height - 5, f"{name} · {duration(dwell_s)}", size=8.5))
        room = base - y_pressure(pressure)
        below = y_pressure(pressure) + (11 if room > 16 else -4)
        labels.append(_text(middle, below, f"{number(pressure)} MPa", size=9, weight=700, fill=_ACCENT))
        x = end
    x += ramp
    area.append((x, base))
    parts = [
        f'<polygon points="{_points([*area, (area[0][0], base)])}" fill="{_ACCENT}" fill-opacity="0.13"/>',
        f'<polyline points="{_points(area)}" fill="none" stroke="{_ACCENT}" stroke-width="1.6"/>',
        f'<line x1="10" y1="{base}" x2="{width - 10}" y2="{base}" stroke="{_INK}" stroke-width="0.8"/>',
    ]
    if hottest - coldest > 0.5:
        parts.append(
            f'<polyline points="{_points(heat)}" fill="none" stroke="{_HEAT}" stroke-width="1.3" '
            f'stroke-dasharray="4 2.5"/>'
        )
        for (_, _, temperature, _), (_, right) in zip(holds, _pairs(heat[1:]), strict=True):
            if temperature > coldest + 0.5:
                text = f"{number(temperature)} °C"
                parts.append(_text(right[0], right[1] - 3, text, size=8.5, fill=_HEAT, anchor="end", weight=700))
    parts += labels
    title = "Pressure on the sample and platen temperature over time, not to scale"
    return _svg(width, height, title, parts)


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
    parts.append(_text(left + (width - left - right) / 2, height - 6, "Re Z / Ω, whole cell", size=9.5))
    middle = top + drawn / 2
    parts.append(
        f'<text transform="translate(9 {middle:.1f}) rotate(-90)" font-size="9.5" text-anchor="middle" '
        f'fill="{_INK}">−Im Z / Ω</text>'
    )
    ends = f"{number(float(frequency_hz.max()))} Hz to {number(float(frequency_hz.min()))} Hz"
    return _svg(width, height, f"Nyquist plot, {ends}", parts)


def _step(span: float) -> float:
    """Distance of about five round ticks over ``span``."""
    rough = span / 5
    decade = 10.0 ** math.floor(math.log10(rough))
    return next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= rough)


def _pairs(points: Sequence[tuple[float, float]]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return list(zip(points[::2], points[1::2], strict=True))


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


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
