"""The format of experiment files: one definition, from which files are read and the JSON Schema is written.

Each key is defined once: what it holds, between which bounds, whether it is needed, what it means. The bounds are
those of sense, not of a machine: beyond them a file is mistaken, whatever the press (assumed; no laboratory press
and no solid-state cell comes near them). The bounds of the experiment stand in its own ``[limits]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pressopt.campaign.experiment import CELLS_PER_BATCH
from pressopt.optimizer.presets import GOALS
from pressopt.pressing import QUANTITIES
from pressopt.units import kind_of_quantity, suffix

#: Name of the format; the number goes up when an old file would mean something else.
FORMAT = "pressopt/experiment/1"

BUILT_IN_STRATEGIES = ("physics-gp", "gp", "skopt-gp", "skopt-forest", "sobol", "random", "repeat")
#: Profiles that a laboratory gets when the file names none.
DEFAULT_PROFILES: Mapping[str, str] = {
    "press": "generic-plc-press-tcp",
    "laminator": "generic-roll-laminator-tcp",
    "analyzer": "generic-methodscript-analyzer",
    "meter": "generic-scpi-milliohm-meter",
    "cycler": "folder-drop-cycler",
}


@dataclass(frozen=True, slots=True)
class Text:
    """Words; ``pattern`` as a regular expression, ``hint`` says it for people."""

    pattern: str = ""
    hint: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number without unit, bounds included unless ``above`` or ``below`` exclude them."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity with unit, bounds in that unit; ``words`` may stand instead of it.

    Under the key itself it is text with a unit (``pressure = "25 MPa"``), under the key with the suffix of the
    unit a number (``pressure_mpa = 25``). ``other`` is a second unit that may stand for it.
    """

    unit: str
    low: float
    high: float
    words: tuple[str, ...] = ()
    other: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """An amount (or a whole number) that is fixed or searched: ``{ low = ..., high = ..., scale = "log" }``."""

    of: Amount | Number


@dataclass(frozen=True, slots=True)
class Band:
    """A range of an amount: ``{ low = "1 Hz", high = "1 MHz" }``."""

    of: Amount


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A profile by name or file, or a table of profile and url."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    Attributes:
        holds: What may stand there.
        meaning: One sentence for people.
        needed: Whether it has to be given.
        default: What it is otherwise, in the unit used inside.
    """

    holds: Node
    meaning: str
    needed: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with known keys only.

    Attributes:
        keys: Its keys.
        one_of: Groups of keys of which exactly one is given.
        any_of: Groups of keys of which at least one is given.
        goes_with: Keys that need another key beside them.
    """

    keys: Mapping[str, Key]
    one_of: tuple[tuple[str, ...], ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()
    goes_with: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variants:
    """A table whose keys depend on the word under ``tag``."""

    tag: str
    meaning: str
    tables: Mapping[str, Table]


@dataclass(frozen=True, slots=True)
class Rows:
    """An array of tables (``[[stages]]``) with at least ``least`` rows."""

    of: Table | Variants
    least: int = 1


Node = Text | Choice | Flag | Number | Amount | Setting | Band | DeviceEntry | Table | Variants | Rows

_PRESSURE = Amount("MPa", 1e-3, 5000.0)
_FORCE = Amount("kN", 1e-4, 5000.0)
_RAMP = Amount("MPa/s", 1e-4, 1000.0, other="kN/s")
_TIME = Amount("s", 0.0, 30 * 86400.0)
_TEMPERATURE = Amount("°C", -50.0, 600.0)
_LINE_FORCE = Amount("N/mm", 0.01, 10_000.0)
_SPEED = Amount("mm/s", 1e-3, 10_000.0)
_NAME = Text("[a-z][a-z0-9_]*", "small letters, digits and _, a letter first", ("lamination",))

_EXPERIMENT = Table(
    {
        "title": Key(Text(), "One line that says what this is about.", needed=True),
        "goal": Key(Text(), "What is wanted and why, in your own words.", default=""),
        "seed": Key(Number(0, 2**31 - 1, whole=True), "Seed of all choices of the campaign.", default=1),
    }
)

_LAYER = Table(
    {
        "material": Key(Text(), "Name in the materials catalogue (see `pressopt materials`).", needed=True),
        "role": Key(
            Choice(("collector", "electrode", "interlayer", "electrolyte", "composite")),
            "What the layer is for.",
            needed=True,
        ),
        "thickness": Key(Amount("µm", 1e-3, 50_000.0), "Thickness before the first stage.", needed=True),
        "roughness": Key(Amount("µm", 1e-4, 1000.0), "Rms roughness of its faces; else the catalogue's."),
        "relative_density": Key(
            Number(above=0.0, high=1.0), "Density before the first stage, 1 is dense; else the catalogue's."
        ),
        "powder": Key(Flag(), "Whether the first stage forms this layer from powder.", default=False),
    }
)

_CELL = Table(
    {
        "die_diameter": Key(
            Amount("mm", 0.5, 1000.0), "Diameter over which force becomes pressure on the sample.", needed=True
        ),
        "electrode_diameter": Key(
            Amount("mm", 0.5, 1000.0), "Diameter to which resistance is normalised; else that of the die."
        ),
        "layers": Key(Rows(_LAYER, least=2), "The layers from the bottom up.", needed=True),
    }
)

_PLATEN = Table(
    {
        "name": Key(_NAME, "Name of the stage; settings are called after it.", needed=True),
        "pressure": Key(Setting(_PRESSURE), "Pressure on the sample during the hold."),
        "force": Key(Setting(_FORCE), "Force during the hold instead; it becomes pressure over the die."),
        "ramp": Key(Setting(_RAMP), "Rate of the ramp, of pressure or of force.", default=1.0),
        "dwell": Key(Setting(_TIME), "Time at pressure and temperature.", needed=True),
        "temperature": Key(Setting(_TEMPERATURE), "Temperature of the platens during the hold.", needed=True),
        "on_abort": Key(
            Choice(("release", "hold_and_cool", "hold")),
            "What the press does when this stage is broken off.",
            default="release",
        ),
    },
    one_of=(("pressure", "force"),),
)

_ROLLER = Table(
    {
        "name": Key(_NAME, "Name of the stage; settings are called after it.", needed=True),
        "line_force": Key(Setting(_LINE_FORCE), "Force per width of the web.", needed=True),
        "speed": Key(Setting(_SPEED), "Speed of the web.", needed=True),
        "passes": Key(Setting(Number(1, 100, whole=True)), "How often the cell goes through the nip.", default=1),
        "temperature": Key(Setting(_TEMPERATURE), "Temperature of the rolls.", needed=True),
    }
)

_QUANTITY = Choice(tuple(QUANTITIES))
_SOURCE = Key(
    Choice(("measured", "predicted")),
    "Measured on each cell, or said by the physics alone (and every output says so).",
    default="measured",
)

_OBJECTIVE = Table(
    {
        "goal": Key(
            Choice(GOALS),
            "A goal by name instead of a quantity: it stands for objectives and bounds.",
        ),
        "quantity": Key(_QUANTITY, "What is to improve; its name carries the unit."),
        "direction": Key(
            Choice(("minimize", "maximize")), "Whether less or more is better; else as the quantity's nature is."
        ),
        "target": Key(Number(), "The value that is good enough, in the unit of the quantity."),
        "source": _SOURCE,
        "weight": Key(Number(above=0.0), "Its share where several objectives have to be made one.", default=1.0),
    },
    one_of=(("quantity", "goal"),),
    goes_with={"direction": "quantity", "target": "quantity"},
)

_CONSTRAINT = Table(
    {
        "quantity": Key(_QUANTITY, "An outcome that has to stay within bounds."),
        "upper": Key(Number(), "Its largest allowed value."),
        "lower": Key(Number(), "Its smallest allowed value."),
        "source": _SOURCE,
        "probability": Key(
            Number(low=0.5, below=1.0), "How sure the recommended settings have to keep the bound.", default=0.95
        ),
        "relation": Key(
            Text(examples=("assembly.pressure <= formation.pressure",)), "A rule between settings instead."
        ),
    },
    one_of=(("quantity", "relation"),),
    any_of=(("upper", "lower", "relation"),),
    goes_with={"upper": "quantity", "lower": "quantity", "source": "quantity", "probability": "quantity"},
)

_STATE: Mapping[str, Key] = {
    "pressure": Key(
        Setting(Amount("MPa", 1e-3, 5000.0, words=("released",))),
        'Pressure on the sample while it is measured, or "released"; it may be searched.',
    ),
    "force": Key(Setting(_FORCE), "Force while it is measured instead; it becomes pressure over the die."),
    "temperature": Key(_TEMPERATURE, "Temperature while it is measured.", default=25.0),
    "settle": Key(_TIME, "Waiting time before it is measured.", default=60.0),
    "release_rate": Key(_RAMP, "Rate at which pressure is taken off.", default=1.0),
}

_MEASUREMENT = Variants(
    "kind",
    "By which instrument: an impedance analyser, or a four-wire milliohm meter.",
    {
        "impedance": Table(
            {
                **_STATE,
                "band": Key(Band(Amount("Hz", 1e-6, 1e9)), "Frequencies of the sweep.", default=(1.0, 1e6)),
                "amplitude": Key(Amount("mV", 0.01, 1000.0), "Amplitude of the excitation.", default=10.0),
                "bias": Key(Amount("V", -10.0, 10.0), "DC level.", default=0.0),
                "points_per_decade": Key(Number(1, 100, whole=True), "Density of the points.", default=10),
            },
            one_of=(("pressure", "force"),),
        ),
        "four-wire": Table(
            {**_STATE, "readings": Key(Number(2, 1000, whole=True), "Readings that are averaged.", default=10)},
            one_of=(("pressure", "force"),),
        ),
    },
)

_DENSITY = Number(1e-6, 1e4)
_CYCLING = Table(
    {
        "low_ma_cm2": Key(_DENSITY, "Current density of the first cycle of a ramp."),
        "high_ma_cm2": Key(_DENSITY, "Current density at which the ramp ends."),
        "step_ma_cm2": Key(_DENSITY, "How much it rises from cycle to cycle: the resolution of the result."),
        "current_ma_cm2": Key(_DENSITY, "Instead of a ramp: the current density of all cycles, for life."),
        "cycles": Key(Number(1, 100_000, whole=True), "How many cycles a life test lasts at most."),
        "half_cycle": Key(_TIME, "Time of plating, and of stripping, in each cycle.", default=600.0),
        "limit_v": Key(Number(1e-3, 100.0), "The cell has ended beyond this voltage, V.", default=1.0),
    }
)

_BUDGET = Table(
    {
        "trials": Key(Number(1, 10_000, whole=True), "How many cells may be spent in all.", needed=True),
        "initial": Key(
            Number(1, 10_000, whole=True),
            "Space-filling trials before the strategy chooses; else as many as suit the strategy.",
        ),
        "replicates": Key(
            Number(1, 100, whole=True),
            "Cells for each setting; else the model repeats settings where noise, not ignorance, limits.",
        ),
        "cell_cost": Key(
            Number(above=0.0),
            "What one cell costs, in any unit: with `hour_cost`, the strategy seeks the most gain for the money.",
        ),
        "hour_cost": Key(Number(low=0.0), "What one hour of the press costs, in the same unit.", default=0.0),
        "heating_rate": Key(
            Number(above=0.0, below=1000.0),
            "How fast platens heat, and cool, in K/min, for that cost.",
            default=5.0,
        ),
        "stop_at_target": Key(Flag(), "End once every target is expected to be met.", default=False),
        "stop_gain_below": Key(
            Number(above=0.0, below=1.0), "End once one more trial is expected to improve less than this share."
        ),
    }
)

_STRATEGY = Table(
    {
        "name": Key(Text(examples=BUILT_IN_STRATEGIES), "How trials are chosen.", default="physics-gp"),
        "risk": Key(
            Number(above=0.0, below=1.0),
            "Largest predicted probability of a short that a trial may carry, from the first trial on.",
        ),
        "cells_per_batch": Key(
            Number(0, 1000, whole=True),
            "How many cells share a foil (or what else differs between batches): their readings err together. "
            "0 when that does not matter.",
            default=CELLS_PER_BATCH,
        ),
    }
)

_SOURCE_FILE = Table(
    {
        "file": Key(
            Text(examples=("../2025/trials.csv",)),
            "A table of trials: an earlier campaign as `pressopt export` writes it, or published points.",
            needed=True,
        ),
        "name": Key(Text(), "How reports call it."),
        "trust": Key(
            Number(above=0.0, high=1.0),
            "How much it counts before cells speak: 0.5 for a distant relative.",
            default=1.0,
        ),
    }
)

_DEVICES: Mapping[str, Key] = {
    "press": Key(DeviceEntry(), "The press: profile by name or file."),
    "laminator": Key(DeviceEntry(), "The roll laminator, for roller stages."),
    "analyzer": Key(DeviceEntry(), "The impedance analyser."),
    "meter": Key(DeviceEntry(), "The four-wire milliohm meter."),
    "cycler": Key(DeviceEntry(), "The cycler, where there is a table [cycling]."),
}

_LABORATORY = Variants(
    "kind",
    "The virtual laboratory that comes with pressopt, or a real bench.",
    {
        "twin": Table(
            {
                "seed": Key(Number(0, 2**31 - 1, whole=True), "Seed of the twin's hidden truth.", default=1),
                "loading": Key(
                    Choice(("automatic", "person")), "Who puts cells under the press.", default="automatic"
                ),
                **_DEVICES,
            }
        ),
        "bench": Table(
            {
                "loading": Key(
                    Choice(("automatic", "person")), "Who puts cells under the press.", default="person"
                ),
                **_DEVICES,
            }
        ),
    },
)

_LIMITS = Table(
    {
        "pressure": Key(_PRESSURE, "Highest pressure on the sample."),
        "force": Key(_FORCE, "Highest force."),
        "temperature": Key(_TEMPERATURE, "Highest temperature.", needed=True),
        "ramp": Key(_RAMP, "Highest ramp rate."),
        "line_force": Key(_LINE_FORCE, "Highest line force of a roller."),
    },
    any_of=(("pressure", "force", "line_force"),),
)

#: The whole file.
FILE = Table(
    {
        "experiment": Key(_EXPERIMENT, "What it is about.", needed=True),
        "cell": Key(_CELL, "What is pressed.", needed=True),
        "stages": Key(
            Rows(Variants("kind", "Between platens, or through a nip.", {"platen": _PLATEN, "roller": _ROLLER})),
            "How it is pressed, stage by stage.",
            needed=True,
        ),
        "objectives": Key(Rows(_OBJECTIVE), "What is to improve.", needed=True),
        "constraints": Key(Rows(_CONSTRAINT, least=0), "What has to hold.", default=()),
        "measurement": Key(_MEASUREMENT, "In which state, and by what, a cell is measured.", needed=True),
        "cycling": Key(_CYCLING, "Cycling after the measurement, for critical current or life."),
        "budget": Key(_BUDGET, "How many cells may be spent.", needed=True),
        "strategy": Key(_STRATEGY, "How trials are chosen.", default={"name": "physics-gp"}),
        "sources": Key(Rows(_SOURCE_FILE, least=0), "What was learned elsewhere, on related cells.", default=()),
        "laboratory": Key(_LABORATORY, "Where it runs.", needed=True),
        "limits": Key(_LIMITS, "The most that this experiment may ever ask, whatever the machine.", needed=True),
        "materials": Key(
            Table({"file": Key(Text(), "Your own materials, a file beside this one.", needed=True)}),
            "Materials beside the catalogue.",
        ),
    }
)


# ---------------------------------------------------------------------------- JSON Schema


def json_schema() -> dict[str, Any]:
    """The format as JSON Schema (draft 2020-12), for editors and for those who write files by program."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{FORMAT.replace('/', ':')}",
        "title": "pressopt experiment",
        "description": (
            "An experiment file of pressopt, as the object that TOML stands for. What only makes sense between "
            "several keys is checked by `pressopt check`."
        ),
        **_schema_of(FILE),
    }


_QUANTITY_TEXT = r"^\s*[-+\u2212]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*[^\s\d.,].*$"


def _schema_of(node: Node) -> dict[str, Any]:
    match node:
        case Text(pattern, _, examples):
            schema: dict[str, Any] = {"type": "string", "pattern": f"^{pattern}$" if pattern else r"\S"}
            return {**schema, "examples": list(examples)} if examples else schema
        case Choice(options):
            return {"enum": list(options)}
        case Flag():
            return {"type": "boolean"}
        case Number():
            return _number_schema(node)
        case Amount(unit):
            text = {"type": "string", "pattern": _QUANTITY_TEXT, "examples": [kind_of_quantity(unit)[1]]}
            return {"anyOf": [text, {"enum": list(node.words)}]} if node.words else text
        case Setting(of):
            return {"anyOf": [_schema_of(of), _range_schema(of, searched=True)]}
        case Band(of):
            return _range_schema(of, searched=False)
        case DeviceEntry():
            profile = {"type": "string", "pattern": r"\S"}
            return {
                "anyOf": [
                    profile,
                    {
                        "type": "object",
                        "properties": {"profile": profile, "url": profile},
                        "required": ["profile"],
                        "additionalProperties": False,
                    },
                ]
            }
        case Table():
            return _table_schema(node)
        case Variants(tag, meaning, tables):
            return {
                "oneOf": [
                    _table_schema(table, {tag: {"const": word, "description": meaning}})
                    for word, table in tables.items()
                ]
            }
        case Rows(of, least):
            return {"type": "array", "minItems": least, "items": _schema_of(of)}


def _number_schema(node: Number) -> dict[str, Any]:
    bounds = {
        "minimum": node.low,
        "maximum": node.high,
        "exclusiveMinimum": node.above,
        "exclusiveMaximum": node.below,
    }
    kind = "integer" if node.whole else "number"
    return {"type": kind, **{name: bound for name, bound in bounds.items() if bound is not None}}


def _plain_schema(node: Amount | Number, unit: str) -> dict[str, Any]:
    """An amount under a key that carries its unit: a number."""
    if isinstance(node, Number):
        return _number_schema(node)
    if unit == node.other:  # its bounds depend on the die
        return {"type": "number", "exclusiveMinimum": 0}
    return {"type": "number", "minimum": node.low, "maximum": node.high}


def _range_schema(of: Amount | Number, *, searched: bool, unit: str = "") -> dict[str, Any]:
    text = {"type": "string", "pattern": _QUANTITY_TEXT}
    end = _plain_schema(of, unit) if unit or isinstance(of, Number) else text
    properties: dict[str, Any] = {"low": end, "high": end}
    if searched:
        properties["scale"] = {"enum": ["linear", "log"]}
        properties["step"] = {"type": "number", "exclusiveMinimum": 0} if unit or isinstance(of, Number) else text
    return {
        "type": "object",
        "properties": properties,
        "required": ["low", "high"],
        "additionalProperties": False,
    }


def spellings_of(name: str, node: Node) -> dict[str, str]:
    """The keys under which a value may stand, each with the unit that it carries, or an empty string."""
    of = node.of if isinstance(node, (Setting, Band)) else node
    if not isinstance(of, Amount):
        return {name: ""}
    return {name: ""} | {name + suffix(unit): unit for unit in (of.unit, of.other) if unit}


def _table_schema(table: Table, tag: Mapping[str, Any] | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = dict(tag or {})
    rules: list[dict[str, Any]] = []
    required = list(tag or {})
    for name, key in table.keys.items():
        keys = spellings_of(name, key.holds)
        for spelling, unit in keys.items():
            properties[spelling] = {"description": key.meaning, **_key_schema(key.holds, unit)}
            if key.default is not None and len(keys) == 1 and not isinstance(key.holds, Band):
                properties[spelling]["default"] = list(key.default) if key.default == () else key.default
        if key.needed:
            if len(keys) == 1:
                required.append(name)
            else:
                rules.append({"oneOf": [{"required": [spelling]} for spelling in keys]})
        elif len(keys) > 1 and not any(name in group for group in table.one_of):
            rules.append({"not": {"anyOf": [{"required": list(pair)} for pair in _pairs(list(keys))]}})
    for group in table.one_of:
        rules.append({"oneOf": [{"required": [s]} for name in group for s in _keys_of(table, name)]})
    for group in table.any_of:
        rules.append({"anyOf": [{"required": [s]} for name in group for s in _keys_of(table, name)]})
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    if table.goes_with:
        schema["dependentRequired"] = {name: [other] for name, other in table.goes_with.items()}
    if rules:
        schema["allOf"] = rules
    return schema


def _keys_of(table: Table, name: str) -> tuple[str, ...]:
    return tuple(spellings_of(name, table.keys[name].holds))


def _pairs(keys: list[str]) -> list[tuple[str, str]]:
    return [(one, other) for index, one in enumerate(keys) for other in keys[index + 1 :]]


def _key_schema(node: Node, unit: str) -> dict[str, Any]:
    """What may stand under a key that carries ``unit``, or none."""
    if not unit:
        return _schema_of(node)
    match node:
        case Setting(of):
            return {"anyOf": [_plain_schema(of, unit), _range_schema(of, searched=True, unit=unit)]}
        case Band(of):
            return _range_schema(of, searched=False, unit=unit)
        case Amount():
            return _plain_schema(node, unit)
        case _:
            return _schema_of(node)
