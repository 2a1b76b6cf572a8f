"""What differs between two protocol files, in the words of the laboratory: gauge numbers, timers, results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pressopt.export.wording import (
    count,
    duration,
    force_tf,
    frequency,
    interval,
    label_of,
    number,
    quantity_label,
    quantity_unit,
    setting,
)
from pressopt.pressing import Die

Matter = Literal["cell", "pressing", "measurement", "result", "limits", "evidence", "origin"]
#: In this order differences are told: first what changes the work at the press.
MATTERS: tuple[Matter, ...] = ("pressing", "cell", "measurement", "result", "limits", "evidence", "origin")
#: Differences of these matters make another protocol: the cell is handled differently.
HANDLING: frozenset[Matter] = frozenset({"pressing", "cell", "measurement"})

_STAGE_WORDS = {
    "ramp_mpa_s": ("ramp", "MPa/s"),
    "temperature_c": ("temperature", "°C"),
    "line_force_n_mm": ("line force", "N/mm"),
    "speed_mm_s": ("speed", "mm/s"),
    "passes": ("passes", ""),
    "on_abort": ("on abort", ""),
}
_LAYER_WORDS = {
    "thickness_um": ("thickness", "µm"),
    "roughness_um": ("roughness", "µm"),
    "relative_density": ("relative density", ""),
}
_LIMIT_WORDS = {
    "pressure_mpa": ("pressure", "MPa"),
    "force_kn": ("force", "kN"),
    "temperature_c": ("temperature", "°C"),
    "ramp_mpa_s": ("ramp", "MPa/s"),
    "line_force_n_mm": ("line force", "N/mm"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    Attributes:
        matter: What it concerns.
        where: What is meant: ``lamination pressure``.
        first, second: How it is in either file.
        remark: What that means at the press; may be empty.
    """

    matter: Matter
    where: str
    first: str
    second: str
    remark: str = ""

    def __str__(self) -> str:
        remark = f" ({self.remark})" if self.remark else ""
        return f"{self.where}: {self.first} -> {self.second}{remark}"


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Return all that differs between two checked protocol files, what concerns the work at the press first."""
    found = [*_cells(first, second), *_stages(first, second), *_measurements(first, second)]
    found += [*_results(first, second), *_limits(first, second), *_evidence(first, second)]
    found += _origins(first, second)
    return sorted(found, key=lambda one: MATTERS.index(one.matter))


def verdict(found: list[Difference]) -> str:
    """Return in one sentence what the differences mean."""
    if not found:
        return "The two protocols are the same in everything."
    handling = [one for one in found if one.matter in HANDLING]
    if not handling:
        return "A cell is handled the same way by both; what is known about the result differs."
    return f"A cell is handled differently: {count(len(handling), 'thing')} to set or prepare otherwise."


# ---------------------------------------------------------------------- the cell


def _cells(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    one, two = first["cell"], second["cell"]
    if one["die_diameter_mm"] != two["die_diameter_mm"]:
        ratio = (two["die_diameter_mm"] / one["die_diameter_mm"]) ** 2
        yield Difference(
            "cell", "die", f"Ø {number(one['die_diameter_mm'])} mm", f"Ø {number(two['die_diameter_mm'])} mm",
            f"the same pressure takes {number(ratio)} times the force",
        )  # fmt: skip
    if one["electrode_diameter_mm"] != two["electrode_diameter_mm"]:
        yield Difference(
            "cell", "electrode", f"Ø {number(one['electrode_diameter_mm'])} mm",
            f"Ø {number(two['electrode_diameter_mm'])} mm",
        )  # fmt: skip
    stacks = [[layer["material"] for layer in cell["layers"]] for cell in (one, two)]
    if stacks[0] != stacks[1]:
        yield Difference("cell", "layers", " | ".join(stacks[0]), " | ".join(stacks[1]), "another cell")
        return
    for place, (below, above) in enumerate(zip(one["layers"], two["layers"], strict=True), 1):
        name = f"layer {place}, {below['material']}"
        for key, (word, unit) in _LAYER_WORDS.items():
            if below[key] != above[key]:
                yield Difference("cell", f"{name}, {word}", _value(below[key], unit), _value(above[key], unit))
        if below["role"] != above["role"]:
            yield Difference("cell", f"{name}, role", below["role"], above["role"])
        if below["powder"] != above["powder"]:
            words = {True: "powder", False: "solid"}
            yield Difference("cell", name, words[below["powder"]], words[above["powder"]])


# ---------------------------------------------------------------------- the work


def _stages(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    ones = {stage["name"]: stage for stage in first["stages"]}
    twos = {stage["name"]: stage for stage in second["stages"]}
    for name in [*ones, *(name for name in twos if name not in ones)]:
        one, two = ones.get(name), twos.get(name)
        if one is None or two is None:
            there = _whole(one if two is None else two)
            here, gone = (there, "no such stage") if two is None else ("no such stage", there)
            yield Difference("pressing", f"stage {name}", here, gone)
        elif one["kind"] != two["kind"]:
            yield Difference("pressing", f"stage {name}", _whole(one), _whole(two))
        else:
            yield from _stage(name, one, two, _die(first), _die(second))
    shared = [name for name in ones if name in twos]
    if shared != [name for name in twos if name in ones]:
        yield Difference("pressing", "order of the stages", ", ".join(ones), ", ".join(twos))


def _stage(
    name: str, one: Mapping[str, Any], two: Mapping[str, Any], die: Die, other: Die
) -> Iterator[Difference]:
    label = name.replace("_", " ").replace("-", " ")
    if "pressure_mpa" in one:
        yield from _pressure(f"{label} pressure", one["pressure_mpa"], two["pressure_mpa"], die, other, "pressing")
        if one["dwell_s"] != two["dwell_s"]:
            longer = two["dwell_s"] - one["dwell_s"]
            yield Difference(
                "pressing", f"{label} dwell", duration(one["dwell_s"]), duration(two["dwell_s"]),
                f"{duration(abs(longer))} {'longer' if longer > 0 else 'shorter'}",
            )  # fmt: skip
    for key, (word, unit) in _STAGE_WORDS.items():
        if key in one and one[key] != two[key]:
            yield Difference("pressing", f"{label} {word}", _value(one[key], unit), _value(two[key], unit))


def _pressure(
    where: str, one_mpa: float, two_mpa: float, die: Die, other: Die, matter: Matter
) -> Iterator[Difference]:
    """A pressure with what the gauge shows for it; another die shows another force for the same pressure."""
    if one_mpa == two_mpa and die == other:
        return
    same = "the same pressure over another die" if one_mpa == two_mpa else _change(one_mpa, two_mpa)
    yield Difference(matter, where, _loaded(one_mpa, die), _loaded(two_mpa, other), same)


def _loaded(pressure_mpa: float, die: Die) -> str:
    if pressure_mpa == 0:
        return "released"
    force_kn = die.force_kn(pressure_mpa)
    return f"{number(pressure_mpa, 4)} MPa = {number(force_kn)} kN = {number(force_tf(force_kn))} tf"


def _measurements(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    one, two = first["measurement"], second["measurement"]
    if one is None or two is None:
        if one is not two:
            words = {True: "no protocol", False: "a protocol"}
            yield Difference("pressing", "protocol", words[one is None], words[two is None])
        return
    yield from _pressure(
        "pressure while measuring",
        one["pressure_mpa"],
        two["pressure_mpa"],
        _die(first),
        _die(second),
        "measurement",
    )
    for key, where, unit in (
        ("temperature_c", "temperature while measuring", "°C"),
        ("release_mpa_s", "rate of release", "MPa/s"),
    ):
        if one[key] != two[key]:
            yield Difference("measurement", where, _value(one[key], unit), _value(two[key], unit))
    if one["settle_s"] != two["settle_s"]:
        yield Difference(
            "measurement", "wait before measuring", duration(one["settle_s"]), duration(two["settle_s"])
        )
    if one["instrument"] != two["instrument"]:
        yield Difference("measurement", "instrument", _instrument(one), _instrument(two))


def _instrument(measurement: Mapping[str, Any]) -> str:
    plan = measurement["instrument"]
    if plan is None:
        return "not told"
    if plan["kind"] == "four-wire":
        return f"four-wire resistance, {plan['readings']} readings"
    return (
        f"impedance {frequency(plan['high_hz'])} to {frequency(plan['low_hz'])}, "
        f"{plan['points_per_decade']} points per decade, {number(plan['amplitude_mv'])} mV"
    )


# ---------------------------------------------------------------------- what is known


def _results(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    ones = {result["quantity"]: result for result in first["results"]}
    twos = {result["quantity"]: result for result in second["results"]}
    for name in [*ones, *(name for name in twos if name not in ones)]:
        label = f"expected {quantity_label(name)}"
        one, two = ones.get(name), twos.get(name)
        here, there = _expected(name, one), _expected(name, two)
        if here != there:
            yield Difference("result", label, here, there, _overlap(one, two))
        if one and two and one["target"] != two["target"]:
            unit = quantity_unit(name)
            yield Difference(
                "result",
                f"target for {quantity_label(name)}",
                _value(one["target"], unit),
                _value(two["target"], unit),
            )
    for name in dict.fromkeys([*first["settings"], *second["settings"]]):
        windows = [_window(name, document["settings"].get(name)) for document in (first, second)]
        if windows[0] != windows[1]:
            yield Difference("result", f"process window of {label_of(name)}", *windows)


def _expected(quantity: str, result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "not asked for"
    if result["expected"] is None:
        return "nothing expected yet"
    expected = result["expected"]
    text = f"{number(expected['median'])} {quantity_unit(quantity)}".rstrip()
    known = "" if result["source"] == "measured" else ", predicted only"
    return f"{text} ({interval(expected['low'], expected['high'])}{known})"


def _overlap(one: Mapping[str, Any] | None, two: Mapping[str, Any] | None) -> str:
    """Whether a difference of two results means anything."""
    if one is None or two is None or one["expected"] is None or two["expected"] is None:
        return ""
    a, b = one["expected"], two["expected"]
    if a["low"] <= b["high"] and b["low"] <= a["high"]:
        return "the intervals overlap: not told apart"
    lower = b["median"] < a["median"]
    return "clearly better" if lower == (two["direction"] == "minimize") else "clearly worse"


def _window(name: str, found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not searched"
    if found["window"] is None:
        return "none"
    return f"{setting(name, found['window']['low'], 3)} to {setting(name, found['window']['high'], 3)}"


def _limits(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    for key, (word, unit) in _LIMIT_WORDS.items():
        one, two = first["limits"][key], second["limits"][key]
        if one != two:
            yield Difference("limits", f"never above, {word}", _value(one, unit), _value(two, unit))
    if first["safety"] != second["safety"]:
        new = [note for note in second["safety"] if note not in first["safety"]]
        old = [note for note in first["safety"] if note not in second["safety"]]
        yield Difference(
            "limits", "safety notes", " ".join(old) or "as in the second", " ".join(new) or "none more"
        )


def _evidence(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    cells = [_cells_behind(document["evidence"]) for document in (first, second)]
    if cells[0] != cells[1]:
        yield Difference("evidence", "cells behind it", *cells)
    states = [document["incomplete_because"] or "complete" for document in (first, second)]
    if states[0] != states[1]:
        yield Difference("evidence", "state of the campaign", *states)


def _cells_behind(evidence: Mapping[str, Any]) -> str:
    failed = sum(evidence["cells_failed"].values())
    return (
        f"{evidence['cells_pressed']} pressed, {evidence['cells_valid']} valid, {failed} failed, "
        f"{count(evidence['replicates'], 'replicate')}"
    )


def _origins(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    one, two = first["provenance"], second["provenance"]
    heads = [part["journal_head_sha256"][:12] or "empty" for part in (one, two)]
    if one["journal_head_sha256"] != two["journal_head_sha256"]:
        yield Difference("origin", "journal", *heads)
    for key, where in (("strategy", "strategy"), ("seed", "seed"), ("approved_by", "approved by")):
        if one[key] != two[key]:
            yield Difference("origin", where, str(one[key] or "nobody"), str(two[key] or "nobody"))


# ---------------------------------------------------------------------- words


def _die(document: Mapping[str, Any]) -> Die:
    return Die(document["cell"]["die_diameter_mm"])


def _whole(stage: Mapping[str, Any] | None) -> str:
    assert stage is not None  # one of the two files has it
    if stage["kind"] == "roll":
        return f"rolled at {number(stage['line_force_n_mm'])} N/mm, {count(stage['passes'], 'pass', 'passes')}"
    heat = f"{number(stage['temperature_c'])} °C"
    return f"{number(stage['pressure_mpa'], 4)} MPa for {duration(stage['dwell_s'])} at {heat}"


def _value(value: Any, unit: str) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value.replace("_", " ")
    return f"{number(value, 4)} {unit}".rstrip()


def _change(one: float, two: float) -> str:
    if one == 0 or two == 0:
        return ""
    share = 100 * (two / one - 1)
    return f"{number(abs(share), 2)} % {'more' if share > 0 else 'less'}"
