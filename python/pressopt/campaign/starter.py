"""Writes a commented experiment file from a few answers; what it writes passes the check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pressopt.campaign.experiment_file import read_experiment
from pressopt.campaign.schema import DEFAULT_PROFILES


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person has to say before a file can be written; quantities as people write them.

    Attributes:
        title: One line.
        metal: The soft metal, by its name in the catalogue.
        electrolyte: The electrolyte; empty for metal on a copper foil, measured four-wire.
        interlayer: A thin layer between metal and electrolyte, or empty.
        powder: Whether a first stage forms the electrolyte from powder.
        machine: Platens, or rolls.
        stack: Whether the pressure under which the cell is measured is searched too.
        die_diameter: Over which force becomes pressure.
        load_low, load_high: Pressure (or line force) that is searched.
        temperature_high: Highest temperature that is searched.
        trials: Cells that may be spent.
        laboratory: The virtual laboratory, or a bench.
        machine_url, instrument_url: Where press (or laminator) and analyser (or meter) are connected on a bench.
    """

    title: str
    metal: str = "Li"
    electrolyte: str = "Li6PS5Cl"
    interlayer: str = ""
    powder: bool = False
    machine: Literal["platen", "roller"] = "platen"
    stack: bool = False
    die_diameter: str = "10 mm"
    load_low: str = "1 MPa"
    load_high: str = "100 MPa"
    temperature_high: str = "80 °C"
    trials: int = 30
    laboratory: Literal["twin", "bench"] = "twin"
    machine_url: str = ""
    instrument_url: str = ""


#: Answers to begin with, one for each system that comes with pressopt.
SYSTEMS: Mapping[str, Answers] = {
    "li-lpscl-symmetric": Answers("Li | Li6PS5Cl | Li", die_diameter="12.7 mm", temperature_high="90 °C"),
    "li-llzo-symmetric": Answers(
        "Li | LLZO | Li", electrolyte="LLZO", load_high="250 MPa", temperature_high="150 °C"
    ),
    "li-copper-lamination": Answers(
        "Li on Cu between platens", electrolyte="", die_diameter="16 mm", load_low="0.5 MPa", load_high="80 MPa",
        temperature_high="120 °C",
    ),
    "li-copper-roll-lamination": Answers(
        "Li on Cu through a nip", electrolyte="", machine="roller", die_diameter="16 mm", load_low="1 N/mm",
        load_high="200 N/mm", temperature_high="120 °C",
    ),
    "li3ocl-li3incl6-secondary-press": Answers(
        "Li | Li3OCl | Li3InCl6: the second pressing", electrolyte="Li3InCl6", interlayer="Li3OCl",
        load_low="10 MPa", load_high="500 MPa",
    ),
    "na-stack-pressure": Answers(
        "Na | Na3PS4 | Na: assembly and stack pressure", metal="Na", electrolyte="Na3PS4", stack=True,
        load_low="5 MPa", load_high="400 MPa", temperature_high="75 °C",
    ),
    "two-stage-assembly": Answers(
        "Li | Li6PS5Cl | Li in two stages", powder=True, load_low="2 MPa", load_high="300 MPa",
        temperature_high="90 °C",
    ),
}  # fmt: skip


def starter_text(answers: Answers, path: Path | str = "experiment.toml") -> str:
    """The text of a commented experiment file.

    Args:
        answers: What is wanted.
        path: Where it will be written: messages name it.

    Raises:
        ExperimentError: The answers make no experiment; all that is wrong with them, at once.
    """
    blocks = (_about, _cell, _stages, _goals, _measurement, _campaign, _limits)
    text = "\n\n".join(block(answers) for block in blocks) + "\n"
    read_experiment(text, path)
    return text


def _about(answers: Answers) -> str:
    return f"""# Every quantity carries its unit, in the text ("25 MPa") or in the key (pressure_mpa = 25).
# Pressure means pressure on the sample. A setting is fixed ("1 MPa/s") or searched ({{ low = ..., high = ... }}).
# `pressopt check` says everything that is wrong with this file; `pressopt materials` lists the materials.

[experiment]
title = {_quoted(answers.title)}
goal = "Find the settings that give the lowest resistance."
seed = 1"""


def _cell(answers: Answers) -> str:
    metal = _layer(answers.metal, "electrode", "100 µm")
    if not answers.electrolyte:
        layers = [_layer("Cu", "collector", "10 µm"), metal]
    else:
        inner = _layer(answers.electrolyte, "electrolyte", "1 mm", "powder = true" if answers.powder else "")
        between = [_layer(answers.interlayer, "interlayer", "20 µm")] if answers.interlayer else []
        layers = [metal, *between, inner, *between, metal]
    head = f"""[cell]
# The electrode fills the die, unless electrode_diameter says otherwise.
die_diameter = {_quoted(answers.die_diameter)}

# The layers from the bottom up. `roughness` and `relative_density` may be given; else they are the catalogue's."""
    return "\n\n".join([head, *layers])


def _layer(material: str, role: str, thickness: str, more: str = "") -> str:
    lines = [
        "[[cell.layers]]",
        f"material = {_quoted(material)}",
        f'role = "{role}"',
        f'thickness = "{thickness}"',
    ]
    return "\n".join([*lines, more] if more else lines)


def _stages(answers: Answers) -> str:
    load = f'low = {_quoted(answers.load_low)}, high = {_quoted(answers.load_high)}, scale = "log"'
    heat = f'temperature = {{ low = "25 °C", high = {_quoted(answers.temperature_high)}, step = "1 °C" }}'
    if answers.machine == "roller":
        return f"""[[stages]]
name = "lamination"
kind = "roller"
line_force = {{ {load} }}
speed = {{ low = "1 mm/s", high = "50 mm/s", scale = "log" }}
passes = {{ low = 1, high = 4 }}
{heat}"""
    forming = """[[stages]]
name = "formation"                # forms the pellet from powder, before the metal is laid on
kind = "platen"
pressure = { low = "80 MPa", high = "500 MPa", scale = "log" }
dwell = "3 min"
temperature = "25 °C"

"""
    return f"""{forming if answers.powder else ""}[[stages]]
name = "assembly"
kind = "platen"
# Or force = {{ low = "0.1 tf", ... }}: it becomes pressure over the die. A bare "ton" is refused.
pressure = {{ {load} }}
dwell = {{ low = "10 s", high = "1 h", scale = "log", step = "1 s" }}
{heat}
ramp = "1 MPa/s"
on_abort = "release"              # or hold_and_cool, hold"""


def _goals(answers: Answers) -> str:
    quantity = "interfacial_resistance_ohm_cm2" if not answers.powder else "cell_resistance_ohm_cm2"
    if not answers.electrolyte:
        quantity = "contact_resistance_mohm_cm2"
    goals = f"""[[objectives]]
quantity = "{quantity}"
direction = "minimize"
# target = 10                     # good enough, in the unit of the quantity"""
    rules = []
    if answers.powder:
        rules.append("assembly.pressure <= formation.pressure")
    if answers.stack:
        rules.append("stack.pressure <= assembly.pressure")
    return "\n\n".join([goals, *(f'[[constraints]]\nrelation = "{rule}"' for rule in rules)])


def _measurement(answers: Answers) -> str:
    if not answers.electrolyte:
        return """[measurement]
kind = "four-wire"
pressure = "released"
temperature = "25 °C"
settle = "1 min"
readings = 10"""
    searched = f'{{ low = "1 MPa", high = {_quoted(answers.load_high)}, scale = "log" }}'
    held = searched if answers.stack else '"5 MPa"'
    return f"""[measurement]
kind = "impedance"
# Held under this pressure, or "released".
pressure = {held}
temperature = "25 °C"
settle = "1 min"
band = {{ low = "1 Hz", high = "1 MHz" }}
amplitude = "10 mV"
points_per_decade = 10"""


def _campaign(answers: Answers) -> str:
    laboratory = """[laboratory]
kind = "twin"                     # the virtual laboratory; "bench" for a real one
seed = 1"""
    if answers.laboratory == "bench":
        machine, instrument = ("laminator" if answers.machine == "roller" else "press",
                               "analyzer" if answers.electrolyte else "meter")  # fmt: skip
        laboratory = f"""[laboratory]
kind = "bench"
loading = "person"                # a person confirms every cell; "automatic" with a sample changer
{_device(machine, answers.machine_url)}
{_device(instrument, answers.instrument_url)}"""
    return f"""[budget]
trials = {answers.trials}                       # cells in all
initial = {min(5, answers.trials)}                       # spread evenly, before the strategy is asked
# stop_gain_below = 0.01          # end earlier, once one more cell is expected to improve less than 1 %

[strategy]
name = "physics-gp"               # or gp, skopt-gp, skopt-forest, sobol, random

{laboratory}"""


def _device(role: str, url: str) -> str:
    return f'{role} = {{ profile = "{DEFAULT_PROFILES[role]}", url = {_quoted(url)} }}'


def _limits(answers: Answers) -> str:
    if answers.machine == "roller":
        most = f"line_force = {_quoted(answers.load_high)}"
    elif answers.powder:
        most = 'pressure = "500 MPa"'
    else:
        most = f"pressure = {_quoted(answers.load_high)}"
    return f"""# The most that this experiment may ever ask, whatever the machine could do.
[limits]
{most}
temperature = {_quoted(answers.temperature_high)}"""


def _quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False)
