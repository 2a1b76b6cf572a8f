"""The README is true: its commands, its example, its tables and its links."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import rich_click as click

from pressopt import cli
from pressopt.campaign.lifecycle import trial_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def fenced(language: str) -> list[str]:
    """Blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def made(target: str) -> list[str]:
    """What ``make TARGET`` would run in a new environment, written as a person would write it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", "-n", "VENV=.new", target]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    plain = done.stdout.replace(".new/bin/", "").replace("python -m pip", "pip").replace(" --quiet", "")
    return [line.strip() for line in plain.splitlines()]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")
@pytest.mark.parametrize(("target", "line"), [("run", 0), ("test", 1)])
def test_by_hand_is_what_make_does(target: str, line: int) -> None:
    """Both commands of the README are in the Makefile, and the lines beside them do the same."""
    two, by_hand = (block.strip().splitlines() for block in fenced("sh")[:2])
    assert two[line].split("#")[0].strip() == f"make {target}"
    does = made(target)
    for command in by_hand[line].split(" && "):
        assert command in does


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python example runs as printed, in a folder with the experiments beside it."""
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=lambda _, names: [
        name for name in names if not name.endswith(".toml")])  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (example,) = fenced("python")
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    for word in ("press:", "expect:", "stay within:", "cells pressed: 8"):
        assert word in said
    assert (tmp_path / "my-campaign").exists()


def test_the_table_of_a_trial_is_the_code_s() -> None:
    """The lifecycle table is printed as the code has it."""
    rows = [("from", "event", "to"), ("---", "---", "---"), *trial_table()]
    lines = [f"| {' | '.join(row)} |".replace("| --- | --- | --- |", "|---|---|---|") for row in rows]
    assert "\n".join(lines) in README


def test_every_experiment_is_listed() -> None:
    """The table of experiments is what lies in the folder."""
    listed = set(re.findall(r"^\| `([\w-]+\.toml)` \|", README, re.MULTILINE))
    assert listed == {path.name for path in (ROOT / "experiments").glob("*.toml")}


def test_every_command_and_option_exists() -> None:
    """Each ``pressopt WORD --option`` of the README is understood."""
    context = click.Context(cli.cli)
    words = re.findall(r"pressopt ([a-z]+)((?: [^\s`#|&]+)*)", "\n".join(fenced("sh")))
    assert len(words) > 8
    for word, rest in words:
        command = cli.cli.get_command(context, word)
        assert command is not None, word
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, word


def test_every_exit_code_is_told() -> None:
    """The README lists the exit codes that ``--help`` lists."""
    told = README.split("### Exit codes")[1].split("##")[0]
    assert re.findall(r"\b\d+\b", told) == re.findall(r"\b\d+\b", cli.EXIT_CODES)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    """What a page links to in the project is there."""
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text("utf-8")):
        assert (ROOT / target).exists(), target


def test_nothing_is_left_to_fill_in() -> None:
    """No page still waits for its figures."""
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        assert not re.findall(r"@@\w+@@|\bTODO\b|\bFIXME\b", (ROOT / page).read_text("utf-8")), page
