"""Engines from elsewhere: the one of the guide, and those that installed packages bring."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pressopt.errors import InputError
from pressopt.optimizer import (
    DesignSpace,
    Measurement,
    Objective,
    Observation,
    Recommender,
    Relation,
    Variable,
    strategies,
    strategy_within,
)

GUIDE = Path(__file__).parents[2] / "docs" / "optimizer.md"
SPACE = DesignSpace(
    (Variable("p", 1, 100, scale="log", resolution=1), Variable("t", 20, 100, resolution=5)),
    (Relation.parse("p <= 2 * t"),),
)


def code_of_the_guide() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def campaign(strategy: str, trials: int) -> tuple[list[Observation], set[str]]:
    """Cells that are best cold and at 30 MPa, and the reasons of their proposals."""
    recommender = Recommender(SPACE, (Objective("loss"),), strategy=strategy, initial=4)
    history: list[Observation] = []
    reasons = set()
    for trial in range(trials):
        (proposal,) = recommender.ask(history)
        assert recommender.ask(history) == [proposal]
        assert SPACE.contains(proposal.settings)
        reasons.add(proposal.reason)
        value = float(proposal.settings["t"]) / 100 + abs(float(proposal.settings["p"]) - 30) / 100
        history.append(Observation(trial, proposal.settings, outcomes={"loss": Measurement(value, 0.0)}))
    assert recommender.recommend(history).expected["loss"].median < 0.6
    return history, reasons


def test_the_engine_of_the_guide_runs_a_campaign() -> None:
    """Optuna, made a strategy by the lines of docs/optimizer.md, is asked, told and corrected like ours."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names: dict[str, object] = {}
    exec(compile(code_of_the_guide(), str(GUIDE), "exec"), names)
    engine = names["optuna_tpe"]
    assert isinstance(engine, Callable)  # type: ignore[arg-type]
    with strategy_within("optuna-tpe", engine):  # type: ignore[arg-type]
        _, reasons = campaign("optuna-tpe", 10)
    assert "Optuna" in reasons
    assert "optuna-tpe" not in strategies()


def install(folder: Path, target: str) -> None:
    """What pip leaves of a package that brings the engine ``edge``."""
    about = folder / "edge_engine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: edge-engine\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[pressopt.strategies]\nedge = {target}\n", encoding="utf-8")
    (folder / "edge_engine.py").write_text(
        "from pressopt.optimizer import Proposal\n"
        "def edge(question):\n"
        "    return [Proposal({one.name: one.high for one in question.space.variables}, 'the edge')]\n",
        encoding="utf-8",
    )


def test_an_installed_package_brings_its_engine(tmp_path: Path) -> None:
    """Its name is known to code and to experiment files as soon as it is installed, without an import."""
    install(tmp_path, "edge_engine:edge")
    file = Path(__file__).parents[2] / "experiments" / "li-copper-lamination.toml"
    text = file.read_text(encoding="utf-8").replace('name = "physics-gp"', 'name = "edge"')
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from pressopt.campaign.experiment_file import read_experiment
from pressopt.optimizer import DesignSpace, Objective, Recommender, Variable, strategies
assert "edge" in strategies()
assert read_experiment({text!r}, {str(file)!r}).strategy.name == "edge"
space = DesignSpace((Variable("p", 1, 100), Variable("t", 20, 100)))
(proposal,) = Recommender(space, (Objective("loss"),), strategy="edge", initial=0).ask([])
print(proposal.reason, proposal.settings["p"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["the", "edge", "100.0"], done.stderr


def test_an_engine_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without the function is an error that says which, not a traceback."""
    install(tmp_path, "edge_engine:nothing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="'edge' of edge_engine:nothing does not load"):
        Recommender(SPACE, (Objective("loss"),), strategy="edge")
