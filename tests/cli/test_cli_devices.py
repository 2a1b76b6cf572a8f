"""``pressopt devices`` and ``pressopt commission``, as a person at a terminal meets them."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner, Result

from person_at_press import WRONG, PersonAtPress
from pressopt.cli import cli
from pressopt.clock import ScaledClock
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.profiles import load_profile, shipped_profiles
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.server import TwinServer

METAL = Layer("Li", Role.ELECTRODE, 100.0)
CELL = Cell((METAL, Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0), METAL), Die(10.0), 10.0)
BASE = "generic-plc-press-tcp"


def pressopt(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_every_profile_is_listed_with_its_trust() -> None:
    """The list holds each shipped profile once, for people and for machines."""
    rows = json.loads(pressopt("devices", "list", "--json").output)["devices"]
    assert [row["name"] for row in rows] == list(shipped_profiles())
    assert {row["trust"] for row in rows} == {"documented", "twin"}  # nobody here has seen the real ones
    said = pressopt("devices", "list").output
    assert all(name in said for name in shipped_profiles())
    presses = json.loads(pressopt("devices", "list", "--kind", "press", "--json").output)["devices"]
    assert {row["kind"] for row in presses} == {"press"}


def test_a_wrong_file_is_told_all_its_mistakes(tmp_path: Path) -> None:
    """check names key and line of each, leaves with 2, and says the same as JSON."""
    wrong, right = tmp_path / "wrong.toml", tmp_path / "right.toml"
    wrong.write_text(f'extends = "{BASE}"\nname = "mine"\n[limits]\nforce_kn = 500.0\ntemperature_c = 900.0\n')
    right.write_text(f'extends = "{BASE}"\nname = "mine"\n')
    told = pressopt("devices", "check", str(wrong), str(right))
    assert told.exit_code == 2
    assert "line 4: limits.force_kn" in told.output
    assert "line 5: limits.temperature_c" in told.output
    document = json.loads(pressopt("devices", "check", str(wrong), "--json").output)
    assert [one["where"] for one in document["files"][0]["violations"]] == [
        "limits.force_kn",
        "limits.temperature_c",
    ]
    assert pressopt("devices", "check", str(right)).exit_code == 0


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_profile_can_be_shown(name: str) -> None:
    """show prints signals, actions, limits and source; as JSON it holds the digest."""
    said = pressopt("devices", "show", name)
    assert said.exit_code == 0
    profile = load_profile(name)
    assert profile.title in said.output
    assert all(signal in said.output for signal in profile.signals)
    document = json.loads(pressopt("devices", "show", name, "--json").output)
    assert (document["name"], document["digest"]) == (name, profile.digest)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[TwinServer, PersonAtPress]]:
    """The right machine on its wire, in time a hundred times as fast, and a person in front of it."""
    clock = ScaledClock(100.0)
    bench = VirtualBench(CELL, seed=3, clock=clock)
    with TwinServer(bench, {"press": load_profile(BASE)}, clock) as server:
        yield server, PersonAtPress(bench, clock.sleep_s)


def commission(site: tuple[TwinServer, PersonAtPress], *arguments: str) -> tuple[int, str]:
    """Run the command on a terminal of its own and let the person answer; exit code and all that was said."""
    person = site[1]
    command = [str(word) for word in ("commission", *arguments)]
    program = pexpect.spawn(
        sys.executable,
        ["-c", f"from pressopt.cli import main; main({command!r})"],
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 400),
        env={**os.environ, "TERM": "dumb"},
    )
    said = ""
    while True:
        found = program.expect([r"\? ([^\r\n]+?) \[y/N\]: ", r"\? ([^\r\n]+?): $", pexpect.EOF])
        said += str(program.before)
        if found == 2:
            break
        assert isinstance(program.match, re.Match)
        question = str(program.match.group(1))
        said += question + "\n"
        if found == 0:
            program.sendline("y" if person.agrees(question) else "n")
        else:
            program.sendline(person.ask(question))
    program.close()
    assert program.exitstatus is not None
    return program.exitstatus, said


def test_a_right_profile_is_signed_and_a_change_voids_it(
    site: tuple[TwinServer, PersonAtPress], tmp_path: Path
) -> None:
    """From a shipped profile to a signed one of one's own; a limit changed afterwards is refused by check."""
    mine = tmp_path / "press-1.toml"
    code, said = commission(
        site, BASE, "--write", str(mine), "--url", site[0].urls["press"], "--by", "A. Person", "--no-watchdog"
    )
    assert code == 0, said
    assert "is signed: trust bench" in said
    signed = load_profile(mine)
    assert signed.bench is not None
    assert (signed.trust, signed.bench.by, signed.link.url) == ("bench", "A. Person", site[0].urls["press"])
    assert "serial number 24001" in signed.bench.device
    text = mine.read_text().replace("[bench]", "[limits]\nforce_kn = 5.0\n\n[bench]")
    mine.write_text(text)
    told = pressopt("devices", "check", str(mine))
    assert told.exit_code == 2
    assert "was changed after A. Person signed it" in told.output


@pytest.mark.parametrize(
    "mistake", ["words swapped", "scale of the reading", "address off by one", "lbf for newtons"]
)
def test_a_wrong_profile_is_not_signed_and_says_why(
    site: tuple[TwinServer, PersonAtPress], tmp_path: Path, mistake: str
) -> None:
    """Word order, scale, address and unit are caught at low force, named, and leave with 5."""
    text, words = WRONG[mistake]
    mine = tmp_path / "press-1.toml"
    link = f'[link]\nurl = "{site[0].urls["press"]}"\n'
    text = text.replace("[link]\n", link) if "[link]" in text else link + text
    mine.write_text(f'extends = "{BASE}"\nname = "mine"\n' + text)
    code, said = commission(site, str(mine), "--by", "A. Person", "--json")
    assert code == 5, said
    assert "is not signed" in said
    document = json.loads(next(line for line in said.splitlines() if line.startswith('{"schema"')))
    assert document["verified"] is False
    assert re.search(words, " ".join(document["findings"][-1]["causes"]))
    assert "[bench]" not in mine.read_text()
    assert site[1].bench.plant().state != "ramp"


def test_what_cannot_be_signed_is_said(tmp_path: Path) -> None:
    """A shipped name needs --write; an analyser is no press."""
    told = CliRunner().invoke(cli, ["commission", BASE])
    assert "--write" in str(told.exception)
    mine = tmp_path / "a.toml"
    mine.write_text('extends = "generic-methodscript-analyzer"\nname = "a"\n')
    assert "known resistor" in str(CliRunner().invoke(cli, ["commission", str(mine)]).exception)
