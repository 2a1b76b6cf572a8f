"""Every command either asks the service that `--server` names, or says that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pressopt.cli import COMMANDS, HERE, main

#: Commands that ask the service; each is said to one in tests/service.
THERE = frozenset(
    {
        "answer",
        "attach",
        "clear",
        "close",
        "confirm",
        "diff",
        "export",
        "fetch",
        "import",
        "pause",
        "plot",
        "reject",
    }
    | {"resolve", "resume", "run", "show", "token", "unpause", "verify"}
)
#: Nobody answers there.
NOWHERE = "http://127.0.0.1:9"


def test_every_command_is_of_one_kind() -> None:
    """No command is forgotten, and none is of both kinds."""
    assert set(COMMANDS) == THERE | HERE
    assert not THERE & HERE


@pytest.mark.parametrize("command", sorted(HERE))
def test_what_works_here_refuses_a_service(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An explicit `--server` before a command that asks none is a mistake, told before anything is done."""
    with pytest.raises(SystemExit) as left:
        main(["--server", NOWHERE, command])
    assert left.value.code == 2
    assert f"`{command}` asks no service" in " ".join(capsys.readouterr().err.split())


def test_a_service_of_the_environment_disturbs_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the environment names a service, commands that ask none work as ever."""
    monkeypatch.setenv("PRESSOPT_SERVER", NOWHERE)
    with pytest.raises(SystemExit) as left:
        main(["materials", "Li6PS5Cl"])
    assert not left.value.code
    assert "Li6PS5Cl" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["run", "x.toml", "--store", "y"], ["run", "x.toml", "--new"]],
    ids=["store", "new"],
)
def test_what_makes_no_sense_there_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Options that concern this disk or this bench do not go with a service."""
    with pytest.raises(SystemExit) as left:
        main(["--server", NOWHERE, *words])
    assert left.value.code == 2
    assert "--server" in capsys.readouterr().err


def test_which_press_is_a_matter_of_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`confirm --press` without a service is refused: a campaign on this disk has one press."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["confirm", "1", "--press", "left"])
    assert left.value.code == 2
    assert "--press goes with --server" in capsys.readouterr().err
