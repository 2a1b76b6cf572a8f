"""The JSON Schema of experiment files: current, and of one mind with the loader."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pressopt.campaign.schema import json_schema
from pressopt.campaign.starter import SYSTEMS, starter_text

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.toml"))
TABLE = tomllib.loads((Path(__file__).parent / "experiment_mistakes.toml").read_text(encoding="utf-8"))
#: Mistakes that only show between several keys, in the meaning of words, or on this machine.
BEYOND_A_SCHEMA = {
    "bare ton", "wrong kind of unit", "pressure under force", "low above high", "low equals high", "log with zero",
    "log temperature",
    "step too wide", "step too fine", "nothing searched", "beyond sense", "start larger than budget",
    "stop without target", "searched beyond limits", "force limit over the die", "hotter than limits",
    "hotter than melting", "beyond the press", "unmeasurable objective", "objective of another instrument",
    "objective twice", "impossible target", "probability no share", "bounds crossed",
    "constraint on what nobody measures", "relation of nothing", "relation that never holds",
    "relations that exclude each other", "relation nonsense", "unknown material", "material in the wrong place",
    "materials file missing", "electrode larger than die", "negative thickness", "electrolyte outside",
    "no electrolyte", "powder with one stage", "stage named stack", "stage name twice", "platen and roller",
    "unknown strategy", "unknown profile", "profile of another device", "device not needed", "url on the twin",
    "bench without urls", "profile file missing", "band beyond the analyser", "four-wire through an electrolyte",
}  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def test_the_shipped_schema_is_current() -> None:
    """Write it anew with `pressopt schema -o python/pressopt/campaign/experiment.schema.json`."""
    shipped = resources.files("pressopt.campaign").joinpath("experiment.schema.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == json_schema()


def test_the_schema_is_a_schema() -> None:
    """It is valid by its own standard."""
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_schema_accepts_every_shipped_file(validator: jsonschema.Draft202012Validator, path: Path) -> None:
    """What the loader runs, an editor does not underline."""
    assert [error.message for error in validator.iter_errors(tomllib.loads(path.read_text("utf-8")))] == []


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_schema_accepts_every_starter(validator: jsonschema.Draft202012Validator, name: str) -> None:
    """What `pressopt init` writes is of the format."""
    assert validator.is_valid(tomllib.loads(starter_text(SYSTEMS[name])))


@pytest.mark.parametrize("row", TABLE["mistakes"], ids=lambda row: row["name"])
def test_the_schema_sees_what_a_schema_can_see(validator: jsonschema.Draft202012Validator, row: Any) -> None:
    """It refuses all mistakes of shape; only those that need more are left to `pressopt check`."""
    data = tomllib.loads(TABLE["base"].replace(row["old"], row["new"], 1))
    assert validator.is_valid(data) == (row["name"] in BEYOND_A_SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            'pressure = { low = "1 MPa", high = "100 MPa", scale = "log" }',
            "pressure_mpa = { low = 1, high = 100 }",
        ),
        ('pressure = { low = "1 MPa", high = "100 MPa", scale = "log" }', 'force = "0.5 tf"'),
        ('pressure = "5 MPa"', "pressure_mpa = 5"),
        ('pressure = "5 MPa"', 'pressure = "released"'),
        ('pressure = "5 MPa"', 'pressure = "5 MPa"\nband_hz = { low = 1, high = 1e6 }'),
        ('temperature = "25 °C"', "temperature_c = 25"),
        ('temperature = "25 °C"', 'temperature = "298.15 K"'),
        ('temperature = "25 °C"', 'temperature = "25 °C"\nramp = "0.1 kN/s"'),
        ('temperature = "25 °C"', 'temperature = "25 °C"\nramp_kn_s = 0.1'),
        ('die_diameter = "10 mm"', "die_diameter_mm = 10"),
        ('kind = "twin"', 'kind = "twin"\npress = { profile = "generic-plc-press-rtu" }'),
        ("[budget]", '[strategy]\nname = "gp"\nrisk = 0.1\n[budget]'),
        ("[budget]", '[[constraints]]\nrelation = "stack.pressure <= press.pressure"\n[budget]'),
    ],
)
def test_schema_and_loader_accept_the_same_spellings(
    validator: jsonschema.Draft202012Validator, old: str, new: str
) -> None:
    """Every way to write a value passes both."""
    from pressopt.campaign.experiment_file import read_experiment

    assert old in TABLE["base"]
    text = TABLE["base"].replace(old, new, 1)
    assert [error.message for error in validator.iter_errors(tomllib.loads(text))] == []
    read_experiment(text, "x.toml")


def test_the_same_value_is_read_from_every_spelling() -> None:
    """Unit in the text, unit in the key, another unit: one experiment."""
    from pressopt.campaign.experiment_file import read_experiment

    old = 'pressure = { low = "1 MPa", high = "100 MPa", scale = "log" }'
    texts = [
        old,
        'pressure_mpa = { low = 1, high = 100, scale = "log" }',
        'pressure = { low = "10 bar", high = "0.1 GPa", scale = "log" }',
    ]
    spaces = [read_experiment(TABLE["base"].replace(old, new, 1), "x.toml").space for new in texts]
    assert spaces[0] == spaces[1] == spaces[2]
