"""An analysis as rows of text and as JSON values: what tables, sheets and scripts show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pressopt.impedance.analysis import Analysis
from pressopt.impedance.distribution import Distribution
from pressopt.impedance.pressures import PressureResponse

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what, its value, and a remark."""

    label: str
    value: str
    remark: str = ""


def with_sd(value: float, sd: float) -> str:
    """Return ``12.3 ± 0.4`` with the standard deviation at two figures and the value to the same place."""
    if not (math.isfinite(value) and math.isfinite(sd) and sd > 0):
        return f"{value:.4g}"
    place = 1 - math.floor(math.log10(sd))
    if place < -6 or place > 9 or sd > abs(value):
        return f"{value:.2g} ± {sd:.2g}"
    return f"{round(value, place):.{max(place, 0)}f} ± {round(sd, place):.{max(place, 0)}f}"


def summary(analysis: Analysis, distribution: Distribution | None = None) -> Json:
    """Return everything worth keeping of an analysis as JSON values; NaN becomes ``None``."""
    opinion = analysis.second_opinion_ohm_cm2
    return {
        "verdict": analysis.verdict.value,
        "causes": [str(cause) for cause in analysis.verdict.causes],
        "reasons": list(analysis.verdict.reasons),
        "noise": _finite(analysis.verdict.noise),
        "drift": _finite(analysis.verdict.drift),
        "interfacial_resistance_ohm_cm2": analysis.interface_ohm_cm2,
        "interfacial_resistance_sd_ohm_cm2": analysis.interface_sd_ohm_cm2,
        "interfacial_resistance_log_sd": analysis.interface_log_sd,
        "cell_resistance_ohm_cm2": analysis.cell_ohm_cm2,
        "cell_resistance_sd_ohm_cm2": analysis.cell_sd_ohm_cm2,
        "confidence": analysis.confidence,
        "interface_arc": _taken(analysis),
        "total_minus_bulk_ohm_cm2": list(opinion) if opinion else None,
        "area_cm2": analysis.area_cm2,
        "interfaces": analysis.interfaces,
        "temperature_c": analysis.temperature_c,
        "pressure_mpa": analysis.pressure_mpa,
        "circuit": analysis.fit.circuit if analysis.fit else None,
        "arcs": [
            {
                "role": arc.role,
                "resistance_ohm": arc.resistance_ohm,
                "sd_ohm": arc.sd_ohm,
                "capacitance_f_cm2": _finite(arc.capacitance_f_cm2),
                "apex_hz": _finite(arc.apex_hz),
            }
            for arc in analysis.arcs
        ],
        "relaxation_peaks": [
            {"resistance_ohm": peak.resistance_ohm, "tau_s": peak.tau_s, "capacitance_f": peak.capacitance_f}
            for peak in (distribution.peaks if distribution else ())
        ],
        "notes": list(analysis.notes),
    }


def table_rows(analysis: Analysis, distribution: Distribution | None = None) -> list[Row]:
    """Return the lines of a table a person reads from top to bottom: verdict, answer, arcs, remarks."""
    rows = [Row("verdict", analysis.verdict.value, "; ".join(analysis.verdict.reasons))]
    if analysis.interface_ohm_cm2 is not None and analysis.interface_sd_ohm_cm2 is not None:
        rows.append(
            Row(
                "interface",
                f"{with_sd(analysis.interface_ohm_cm2, analysis.interface_sd_ohm_cm2)} Ω cm²",
                _said_of_interface(analysis),
            )
        )
    if analysis.cell_ohm_cm2 is not None and analysis.cell_sd_ohm_cm2 is not None:
        rows.append(Row("whole cell", f"{with_sd(analysis.cell_ohm_cm2, analysis.cell_sd_ohm_cm2)} Ω cm²"))
    if analysis.second_opinion_ohm_cm2 is not None:
        rows.append(Row("total - bulk", f"{with_sd(*analysis.second_opinion_ohm_cm2)} Ω cm²", "second opinion"))
    for arc in analysis.arcs:
        where = (
            "above the band"
            if math.isnan(arc.apex_hz)
            else f"{arc.capacitance_f_cm2:.1e} F/cm², apex {arc.apex_hz:.3g} Hz"
        )
        peak = distribution.near(arc.apex_hz) if distribution and math.isfinite(arc.apex_hz) else None
        if peak is not None:
            where += f"; without a circuit {peak.resistance_ohm:.3g} Ω at {peak.apex_hz:.3g} Hz"
        rows.append(Row(f"  {arc.role}", f"{with_sd(arc.resistance_ohm, arc.sd_ohm)} Ω", where))
    if analysis.fit is not None:
        noise = f"residuals {math.sqrt(analysis.fit.chi2_reduced) * analysis.verdict.noise:.2%} of |Z|"
        rows.append(Row("circuit", analysis.fit.circuit, noise))
    rows += [Row("note", note) for note in analysis.notes]
    return rows


def _taken(analysis: Analysis) -> Json | None:
    """Which arc was taken as the interface, and for how many of them; ``None`` where none was."""
    arc = next((arc for arc in analysis.arcs if arc.role == "interface"), None)
    if arc is None:
        return None
    return {
        "apex_hz": _finite(arc.apex_hz),
        "capacitance_f_cm2_of_one": _finite(arc.capacitance_f_cm2),
        "resistance_ohm_of_all": arc.resistance_ohm,
        "sd_ohm": arc.sd_ohm,
        "interfaces_in_it": analysis.interfaces,
        "confidence": analysis.confidence,
    }


def _said_of_interface(analysis: Analysis) -> str:
    """For what the interface's number stands: how many, which arc, how surely, at which temperature."""
    said = ["one interface" if analysis.interfaces == 1 else f"each of {analysis.interfaces} alike interfaces"]
    arc = next((arc for arc in analysis.arcs if arc.role == "interface"), None)
    if arc is not None and math.isfinite(arc.apex_hz):
        said.append(f"the arc at {arc.apex_hz:.3g} Hz")
    said.append(f"confidence {analysis.confidence:.0%}")
    told = analysis.temperature_c
    said.append("temperature not told" if told is None else f"{told:g} °C")
    return "; ".join(said)


def response_rows(response: PressureResponse) -> list[Row]:
    """Return how each arc answers to pressure, and which one is the contact."""
    rows = [
        Row(
            f"  {role}",
            f"R ~ p^-({with_sd(power, sd)})",
            "falls as a contact" if role == response.interface else "",
        )
        for role, (power, sd) in response.powers.items()
    ]
    taken = response.interface or "none"
    sure = f"confidence {response.confidence:.0%}" if response.interface else ""
    return [*rows, Row("contact", taken, sure), Row("note", response.note)]


def response_summary(response: PressureResponse) -> Json:
    """Return how the arcs answer to pressure as JSON values."""
    return {
        "contact": response.interface,
        "confidence": response.confidence,
        "falling_powers": {role: {"power": power, "sd": sd} for role, (power, sd) in response.powers.items()},
        "note": response.note,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
