"""What laboratory and materials can bear: device profiles and the catalogue against what the file asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from pressopt.campaign.experiment import Device, Experiment, LaboratoryPlan
from pressopt.campaign.sense import Draft
from pressopt.errors import InputError, MaterialError, ProfileError
from pressopt.materials import Catalogue, MaterialKind
from pressopt.pressing import Role
from pressopt.profiles import DeviceProfile, load_profile
from pressopt.surrogate import Surrogate
from pressopt.toml_lines import Path
from pressopt.units import format_quantity

#: What a profile must describe to stand under each key of ``[laboratory]``.
_KINDS: Mapping[str, str] = {
    "press": "press",
    "laminator": "laminator",
    "analyzer": "impedance-analyzer",
    "meter": "resistance-meter",
    "cycler": "cycler",
}
#: Shipped profiles of machines that a person works: they have no address.
_UNWIRED = frozenset({"generic-hand-press"})
_WHY = {
    "press": "these stages go through rolls",
    "laminator": "these stages are pressed between platens",
    "analyzer": "this experiment measures four-wire",
    "meter": "this experiment measures impedance",
    "cycler": "this experiment has no table [cycling]",
}


def check(draft: Draft) -> None:
    """Write down what devices and materials do not allow; give variables the resolution of the press."""
    _materials(draft)
    plan = draft.laboratory
    if plan is None or not draft.devices_needed:
        return
    profiles = {role: _profile(draft, plan, role, device) for role, device in _devices(plan)}
    press, roll = profiles.get("press"), profiles.get("laminator")
    if not draft.rolled and press is not None and press.press is not None:
        _press(draft, press)
    if draft.rolled and roll is not None and roll.roll is not None:
        _laminator(draft, roll)
    analyzer = profiles.get("analyzer")
    if analyzer is not None and draft.measurement is not None and draft.measurement.kind == "impedance":
        _analyzer(draft, analyzer)


#: What kinds of material each role may be made of.
_MADE_OF = {
    Role.COLLECTOR: {MaterialKind.COLLECTOR, MaterialKind.METAL},
    Role.ELECTRODE: {MaterialKind.METAL},
    Role.INTERLAYER: {MaterialKind.ELECTROLYTE},
    Role.ELECTROLYTE: {MaterialKind.ELECTROLYTE},
    Role.COMPOSITE: {MaterialKind.COMPOSITE},
}


def _materials(draft: Draft) -> None:
    """Every layer is in the catalogue, fits its role, and stays solid."""
    given = draft.values.get("materials", {}).get("file")
    if given is not None and not (draft.folder / given).is_file():
        draft.report.add(
            ("materials", "file"), f"there is no file '{draft.folder / given}': paths start from this file"
        )
        given = None
    try:
        catalogue = Catalogue.load(None if given is None else draft.folder / given)
    except MaterialError as refused:
        for violation in refused.violations:
            where = f"{violation.where}: " if violation.where else ""
            draft.report.add(("materials", "file"), f'"{given}": {where}{violation.message}')
        return
    draft.catalogue = catalogue
    melting: dict[str, float] = {}
    for path, layer in draft.layers:
        try:
            material = catalogue[layer.material]
        except MaterialError as refused:
            said = refused.violations[0].message
            draft.report.add((*path, "material"), f'"{layer.material}": {said} ([materials] file = "...")')
            continue
        if material.kind not in _MADE_OF[layer.role]:
            allowed = " or a ".join(sorted(_MADE_OF[layer.role]))
            message = f"an {layer.role} is made of a{'n' if allowed[0] == 'e' else ''} {allowed}, not of a"
            message += (
                f"{'n' if material.kind[0] == 'e' else ''} {material.kind}: {layer.material} does not fit here"
            )
            draft.report.add((*path, "role"), message.replace("an collector", "a collector"))
        if layer.role is Role.ELECTRODE and "melting_c" in material:
            melting[material.name] = material["melting_c"].value
    if not melting:
        return
    name, melts_c = min(melting.items(), key=lambda item: item[1])
    limit_c = draft.limits.temperature_c if draft.limits is not None else None
    if limit_c is not None and limit_c >= melts_c:
        draft.report.add(
            draft.places["limits.temperature"],
            f"{limit_c:g} °C is not allowed: {name} melts at {melts_c:g} °C, stay below",
        )


def check_physics(draft: Draft, experiment: Experiment) -> None:
    """Where trials or goals rest on the physics, it has to know this cell and to predict what is asked."""
    predicted = [(path, goal.quantity) for path, goal in draft.objectives if goal.source == "predicted"]
    predicted += [(path, bound.quantity) for path, bound in draft.constraints if bound.source == "predicted"]
    asked_by = "a predicted quantity" if predicted else ""
    if experiment.strategy.risk is not None:
        asked_by = "strategy.risk"
    if experiment.strategy.name == "physics-gp":
        asked_by = 'strategy "physics-gp"'
    if not asked_by:
        return
    ends = ({v.name: v.low for v in draft.variables}, {v.name: v.high for v in draft.variables})
    try:
        surrogate = Surrogate(experiment.cell, draft.catalogue)
        known = surrogate.predict([experiment.protocol(end) for end in ends]).nominal
    except MaterialError as refused:
        lacking: dict[str, list[str]] = {}
        for violation in refused.violations:
            thing, _, name = violation.where.rpartition(".")
            lacking.setdefault(thing, []).append(name)
        for thing, names in lacking.items():
            draft.report.add(
                ("cell", "layers"),
                f"{asked_by} needs data that the catalogue lacks of {thing}: {', '.join(names)}. Add them in a "
                'file of your own ([materials] file = "..."), or do without the physics (strategy "gp")',
            )
        return
    except InputError as refused:
        for violation in refused.violations:
            where = f"{violation.where}: " if violation.where else ""
            draft.report.add(("cell", "layers"), f"{where}{violation.message} (asked by {asked_by})")
        return
    for path, quantity in predicted:
        if quantity not in known:
            draft.report.add(
                (*path, "quantity"), f"the physics does not predict {quantity} for this cell: leave it out"
            )


def _devices(plan: LaboratoryPlan) -> Iterator[tuple[str, Device]]:
    for role in _KINDS:
        device: Device | None = getattr(plan, role)
        if device is not None:
            yield role, device


def _profile(draft: Draft, plan: LaboratoryPlan, role: str, device: Device) -> DeviceProfile | None:
    path: Path = ("laboratory", role)
    given = role in draft.values["laboratory"]
    if role not in draft.devices_needed:
        draft.report.add(path, f"is not used here, because {_WHY[role]}: leave it out")
        return None
    if plan.kind == "twin" and device.url is not None:
        draft.report.add((*path, "url"), "the twin is served where it is needed: leave the url out")
    unwired = device.profile in _UNWIRED
    if plan.kind == "bench" and device.url is None and not (unwired or device.profile.endswith(".toml")):
        example = f'{role} = {{ profile = "{device.profile}", url = "..." }}'
        said = "has no url: say where it is connected" if given else "is missing: a bench needs it"
        draft.report.add(path, f"{said}, such as {example}")
    if device.profile.endswith(".toml") and not FilePath(device.profile).is_file():
        draft.report.add(path, f"there is no file '{device.profile}': paths start from this file")
        return None
    try:
        profile = load_profile(device.profile)
    except ProfileError as refused:
        for violation in refused.violations:
            place = f"{violation.where}: " if violation.where else ""
            source = f"{refused.source}: " if refused.source and refused.source != device.profile else ""
            line = f"line {violation.line}: " if violation.line is not None else ""
            draft.report.add((*path, "profile") if given else path, f"{source}{line}{place}{violation.message}")
        return None
    if profile.kind != _KINDS[role]:
        article = "an" if profile.kind[0] in "aeiou" else "a"
        said = f"'{profile.name}' describes {article} {profile.kind}"
        draft.report.add(path, f"{said}: name the profile of a device of kind {_KINDS[role]}")
        return None
    return profile


def _press(draft: Draft, profile: DeviceProfile) -> None:
    machine, soft, die = profile.press, profile.limits, draft.die
    if machine is None or die is None:
        return
    force_kn = min(machine.capacity_kn, soft.force_kn or machine.capacity_kn)
    most = {
        "pressure_mpa": (die.pressure_mpa(force_kn), "MPa", f"{force_kn:g} kN over the die"),
        "temperature_c": (min(machine.capacity_c, soft.temperature_c or machine.capacity_c), "°C", ""),
    }
    least = {
        "pressure_mpa": (die.pressure_mpa(machine.min_controllable_kn), "MPa",
                         f"{machine.min_controllable_kn:g} kN over the die"),
        "temperature_c": (machine.min_c, "°C", ""),
    }  # fmt: skip
    if soft.ramp_kn_s is not None:
        most["ramp_mpa_s"] = (die.pressure_mpa(soft.ramp_kn_s), "MPa/s", f"{soft.ramp_kn_s:g} kN/s over the die")
    _within(draft, profile.name, least, most)
    if not machine.heated:
        for name, _, high, path in draft.spans():
            if name.endswith(".temperature_c") and high > machine.min_c + 15:
                draft.report.add(path, f"press '{profile.name}' has no heater: give the temperature of the room")
    _resolution(draft, die.pressure_mpa(machine.resolution_kn), profile.name)


def _laminator(draft: Draft, profile: DeviceProfile) -> None:
    machine, soft = profile.roll, profile.limits
    if machine is None:
        return
    most = {
        "line_force_n_mm": (min(machine.capacity_n_mm, soft.line_force_n_mm or machine.capacity_n_mm), "N/mm", ""),
        "speed_mm_s": (min(machine.capacity_mm_s, soft.speed_mm_s or machine.capacity_mm_s), "mm/s", ""),
        "temperature_c": (min(machine.capacity_c, soft.temperature_c or machine.capacity_c), "°C", ""),
    }
    least = {
        "line_force_n_mm": (machine.min_n_mm, "N/mm", ""),
        "speed_mm_s": (machine.min_mm_s, "mm/s", ""),
        "temperature_c": (machine.min_c, "°C", ""),
    }
    _within(draft, profile.name, least, most)


_Bounds = Mapping[str, tuple[float, str, str]]


def _within(draft: Draft, machine: str, least: _Bounds, most: _Bounds) -> None:
    """What is asked lies inside what the machine does; zero pressure is released and always possible."""
    for name, low, high, path in draft.spans():
        setting = name.rpartition(".")[2]
        if setting in most and high > most[setting][0] * (1 + 1e-9):
            draft.report.add(path, f"{_asked(high, low, high, most[setting])}, '{machine}' does at most "
                                   f"{_said(most[setting])}: stay below")  # fmt: skip
        if (
            setting in least
            and low < least[setting][0] * (1 - 1e-9)
            and not (setting == "pressure_mpa" and low == 0)
        ):
            draft.report.add(path, f"{_asked(low, low, high, least[setting])}, '{machine}' does at least "
                                   f"{_said(least[setting])}: stay above")  # fmt: skip


def _asked(value: float, low: float, high: float, bound: tuple[float, str, str]) -> str:
    how = "is" if low == high else "is searched up to" if value == high else "is searched from"
    return f"{how} {format_quantity(value, bound[1], digits=6)}"


def _said(bound: tuple[float, str, str]) -> str:
    value, unit, because = bound
    return format_quantity(value, unit, digits=4) + (f" ({because})" if because else "")


def _resolution(draft: Draft, step_mpa: float, machine: str) -> None:
    """Pressures are proposed on steps that the press can set, or on the coarser ones that the file asks for."""
    for index, variable in enumerate(draft.variables):
        if variable.unit != "MPa":
            continue
        if variable.resolution is None:
            draft.variables[index] = replace(variable, resolution=step_mpa)
        elif variable.resolution < step_mpa * (1 - 1e-9):
            draft.report.add(
                (*draft.places[variable.name], "step"),
                f"{format_quantity(variable.resolution, 'MPa', digits=4)} is finer than '{machine}' can set on "
                f"this die ({format_quantity(step_mpa, 'MPa', digits=4)}): give a wider step, or leave it out",
            )


def _analyzer(draft: Draft, profile: DeviceProfile) -> None:
    machine = profile.analyzer
    values: Mapping[str, Any] = draft.values.get("measurement", {})
    if machine is None or "band" not in values or "amplitude" not in values:
        return
    low_hz, high_hz = values["band"]
    if low_hz < machine.low_hz * (1 - 1e-9) or high_hz > machine.high_hz * (1 + 1e-9):
        draft.report.add(
            _spelled(draft, "band"),
            f"{_hz(low_hz)} to {_hz(high_hz)} is asked, '{profile.name}' measures "
            f"{_hz(machine.low_hz)} to {_hz(machine.high_hz)}: stay inside",
        )
    if values["amplitude"] > machine.limit_amplitude_mv:
        draft.report.add(
            _spelled(draft, "amplitude"),
            f"{values['amplitude']:g} mV is asked, '{profile.name}' gives at most "
            f"{machine.limit_amplitude_mv:g} mV: stay below",
        )


def _spelled(draft: Draft, key: str) -> Path:
    """The key under [measurement] as the file spells it."""
    return draft.places.get(f"measurement.{key}", ("measurement", key))


def _hz(value: float) -> str:
    for factor, unit in ((1e6, "MHz"), (1e3, "kHz"), (1.0, "Hz")):
        if value >= factor:
            return f"{value / factor:g} {unit}"
    return f"{value * 1e3:g} mHz"
