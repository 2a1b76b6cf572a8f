"""``pressopt check``, ``init``, ``materials`` and ``schema`` as people and programs call them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pressopt.campaign.experiment_file import load_experiment
from pressopt.campaign.schema import json_schema
from pressopt.campaign.starter import SYSTEMS
from pressopt.cli import main

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
GOOD = EXPERIMENTS / "li-lpscl-symmetric.toml"


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one command."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A file with two mistakes."""
    text = GOOD.read_text(encoding="utf-8")
    text = text.replace("trials = 30 ", "trials = 0 ").replace('settle = "1 min"', 'settle = "1 m"')
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_check_says_what_a_good_file_stands_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A file without mistakes is summed up, with status 0."""
    code, out, err = call(capsys, "check", GOOD)
    assert code == 0
    assert err == ""
    assert "30 cells, on the twin" in out
    assert "lamination.pressure_mpa 1 to 100 MPa" in out


def test_check_reports_every_mistake_of_every_file(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    """Good and bad files in one call: each bad one with all its mistakes on lines of their own, and status 2."""
    code, out, _ = call(capsys, "check", GOOD, bad, bad.parent / "none.toml")
    assert code == 2
    assert f"{bad}: 2 mistakes" in out
    lines = bad.read_text("utf-8").splitlines()
    settle = next(n for n, line in enumerate(lines, 1) if line.startswith("settle"))
    said = f'  line {settle}: measurement.settle: "1 m" is not a time: m is a metre, write "1 min"'
    assert said in out.splitlines()
    assert "budget.trials: 0 is not allowed: give 1 to 10000" in out
    assert "none.toml: 1 mistake\n" in out


def test_check_json_is_one_object(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    """Programs get files, lines and messages, and the same status."""
    code, out, _ = call(capsys, "check", "--json", GOOD, bad)
    document = json.loads(out)
    assert code == 2
    assert document["schema"] == "pressopt/check/1"
    assert document["ok"] is False
    assert [file["ok"] for file in document["files"]] == [True, False]
    assert document["files"][0]["searched"]["lamination.pressure_mpa"]["high"] == 100.0
    assert {v["where"] for v in document["files"][1]["violations"]} == {"budget.trials", "measurement.settle"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_init_writes_a_file_that_passes_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, system: str
) -> None:
    """Each system's starter is a commented experiment that can be run."""
    path = tmp_path / "mine.toml"
    assert call(capsys, "init", path, "--system", system)[0] == 0
    assert path.read_text("utf-8").count("#") >= 8
    assert call(capsys, "check", path)[0] == 0


def test_init_puts_the_answers_into_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Options change what is written, a bench included."""
    path = tmp_path / "mine.toml"
    options = ["--die", "13 mm", "--high", "60 MPa", "--trials", "12", "--title", 'My "own" cell',
               "--laboratory", "bench", "--machine-url", "tcp://192.168.0.20:502",
               "--instrument-url", "/dev/serial/by-id/x"]  # fmt: skip
    assert call(capsys, "init", path, "--system", "li-lpscl-symmetric", *options)[0] == 0
    experiment = load_experiment(path)
    assert experiment.title == 'My "own" cell'
    assert experiment.cell.die.diameter_mm == 13.0
    assert experiment.space.variables[0].high == 60.0
    assert experiment.budget.trials == 12
    assert experiment.laboratory.loading == "person"
    assert experiment.laboratory.press is not None
    assert experiment.laboratory.press.url == "tcp://192.168.0.20:502"


def test_init_overwrites_nothing_unless_forced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that is there stays as it is; --force is a wish of its own."""
    path = tmp_path / "mine.toml"
    path.write_text("precious", encoding="utf-8")
    code, _, err = call(capsys, "init", path, "--system", "na-stack-pressure")
    assert code == 2
    assert "is there already: choose another name, or overwrite it with --force" in err
    assert path.read_text("utf-8") == "precious"
    assert call(capsys, "init", path, "--system", "na-stack-pressure", "--force")[0] == 0
    assert load_experiment(path).cell.layers[0].material == "Na"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nobody is there to answer: give --system"),
        (["--system", "li-air"], "system 'li-air' is not known"),
        (["--system", "li-lpscl-symmetric", "--laboratory", "bench"], "a bench needs --machine-url"),
        (["--system", "li-lpscl-symmetric", "--die", "10"], '"10" has no unit'),
        (["--system", "li-lpscl-symmetric", "--high", "10 t"], "can mean three forces"),
        (["--system", "li-lpscl-symmetric", "--electrolyte", "glass"], '"glass": no such material'),
    ],
)
def test_init_refuses_answers_that_make_no_experiment(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: list[str], message: str
) -> None:
    """Wrong answers are named, and nothing is written."""
    path = tmp_path / "mine.toml"
    code, _, err = call(capsys, "init", path, *options)
    assert code == 2
    assert message in " ".join(err.split())
    assert not path.exists()


def test_init_lists_the_systems(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to know their names."""
    code, out, _ = call(capsys, "init", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(SYSTEMS)


def test_schema_prints_the_schema_and_writes_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """For an editor: the same text on the terminal and in a file."""
    code, out, _ = call(capsys, "schema")
    assert code == 0
    assert json.loads(out) == json_schema()
    assert call(capsys, "schema", "--output", tmp_path / "s.json")[0] == 0
    assert (tmp_path / "s.json").read_text("utf-8") == out


def test_materials_lists_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    """Every material on a line of its own, with how many values nobody has measured."""
    code, out, _ = call(capsys, "materials")
    assert code == 0
    for name in ("Li", "Na", "Li6PS5Cl", "Li3OCl", "Na3PS4", "Cu", "steel"):
        assert any(line.split()[0] == name for line in out.splitlines()[1:])
    code, out, _ = call(capsys, "materials", "--json")
    listed = {material["name"]: material for material in json.loads(out)["materials"]}
    assert "LPSCl" in listed["Li6PS5Cl"]["aliases"]


def test_one_material_comes_with_unit_source_and_confidence(capsys: pytest.CaptureFixture[str]) -> None:
    """By name or alias, for people and for programs."""
    code, out, _ = call(capsys, "materials", "lithium")
    assert code == 0
    melting = next(line for line in out.splitlines() if line.startswith("melting_c"))
    assert "180.5" in melting
    assert "°C" in melting
    assert "general knowledge" in melting
    code, out, _ = call(capsys, "materials", "LPSCl", "--json")
    document = json.loads(out)
    assert document["name"] == "Li6PS5Cl"
    for value in document["values"].values():
        assert value["source"]
        assert value["confidence"]
        assert value["low"] <= value["value"] <= value["high"]


def test_an_unknown_material_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A typo gets a suggestion and status 2."""
    code, _, err = call(capsys, "materials", "Li6PS5CI")
    assert code == 2
    assert "did you mean Li6PS5Cl" in err


def test_a_material_of_the_users_own_can_be_pressed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A materials file beside the experiment makes its materials known; without data the physics steps back."""
    mine = tmp_path / "mine.toml"
    mine.write_text('[materials.MyGlass]\nkind = "electrolyte"\n', encoding="utf-8")
    path = tmp_path / "experiment.toml"
    text = GOOD.read_text("utf-8").replace('material = "Li6PS5Cl"', 'material = "MyGlass"')
    text += '\n[materials]\nfile = "mine.toml"\n'
    path.write_text(text, encoding="utf-8")
    assert call(capsys, "materials", "MyGlass", "--file", mine)[0] == 0
    code, out, _ = call(capsys, "check", path)
    assert code == 2
    assert 'strategy "physics-gp" needs data that the catalogue lacks of MyGlass: ' in out
    assert "ionic_conductivity_ms_cm" in out
    constraint = text[text.index("[[constraints]]") : text.index("[measurement]")]
    path.write_text(text.replace(constraint, "").replace('name = "physics-gp"', 'name = "gp"'), encoding="utf-8")
    code, out, _ = call(capsys, "check", path)
    assert code == 0, out
    assert load_experiment(path).materials_file == mine
