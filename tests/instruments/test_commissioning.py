"""The low-force verification: what is right is signed; each usual mistake is found, named, and moves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from person_at_press import WRONG, PersonAtPress
from pressopt.clock import FastClock
from pressopt.errors import ProfileError
from pressopt.instruments.commissioning import Commissioning, parse_display
from pressopt.instruments.device import machine_of
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.profiles import load_profile, parse_profile
from pressopt.profiles.signing import sign_profile
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.plant import PressSpec
from pressopt.twin.server import TwinServer

METAL = Layer("Li", Role.ELECTRODE, 100.0)
CELL = Cell((METAL, Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0), METAL), Die(10.0), 10.0)
RIGHT = load_profile("generic-plc-press-tcp")


class Site:
    """The right machine, a person in front of it, and whatever profile the computer has."""

    def __init__(self, name: str, links: Path, *, watchdog_s: float = 10.0) -> None:
        self.clock = FastClock()
        self.bench = VirtualBench(
            CELL, seed=3, clock=self.clock, press=PressSpec(watchdog_s=watchdog_s, watchdog_releases=True)
        )
        self.server = TwinServer(self.bench, {"press": load_profile(name)}, self.clock, links=links)
        self.server.__enter__()
        self.person = PersonAtPress(self.bench, self.clock.sleep_s)
        self.sent: list[bytes] = []

    def verify(self, text: str) -> Commissioning:
        profile = parse_profile(text, source="mine.toml")
        url = self.server.urls["press"]
        machine = machine_of(profile, self.clock, url, tap=lambda way, data: self.sent.append(way.encode() + data))
        try:
            verified = Commissioning(machine, self.clock, self.person)
            verified.run()
        finally:
            machine.close()
        return verified

    def writes(self) -> list[bytes]:
        """Modbus TCP requests with a function that writes."""
        return [data for data in self.sent if data.startswith(b"tx") and data[9] in (5, 6, 15, 16)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site("generic-plc-press-tcp", tmp_path)
    yield made
    made.server.__exit__(None, None, None)


MINE = 'extends = "generic-plc-press-tcp"\nname = "mine"\n'


def test_a_right_profile_passes_every_step(site: Site) -> None:
    """Identity, displays, interlocks, set points, low force, stop and watchdog agree; the press ends open."""
    verified = site.verify(MINE)
    assert verified.good, site.person.told
    whats = [finding.what for finding in verified.findings]
    for wanted in ("who answers", "interlock guard closed", "force", "force set point", "stop", "watchdog"):
        assert wanted in whats
    site.clock.sleep_s(120.0)
    plant = site.bench.plant()
    assert plant.force_kn == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("mistake", WRONG)
def test_a_usual_mistake_is_found_named_and_moves_nothing(site: Site, mistake: str) -> None:
    """The finding says what the profile should say; a wrong reading is found before anything at all is written."""
    text, words = WRONG[mistake]
    verified = site.verify(MINE + text)
    assert not verified.good
    said = "\n".join("\n".join(finding.causes) for finding in verified.findings if not finding.good)
    assert re.search(words, said), site.person.told
    moved = [question for question in site.person.asked if "will now close" in question]
    assert not moved
    if "set point" not in mistake:
        assert site.writes() == []
    assert site.bench.plant().setpoint_kn == 0.0


def test_two_mistakes_at_once_are_explained_together(site: Site) -> None:
    """Swapped words and a scale ten times too large: both are named."""
    verified = site.verify(MINE + '[signals.force_kn]\nscale = 10.0\nat = { word_order = "low-first" }\n')
    causes = " ".join(verified.findings[-1].causes)
    assert "the words are high-first, not low-first" in causes
    assert "scale is 1, not 10" in causes


def test_an_interlock_on_the_wrong_bit_is_found(site: Site) -> None:
    """Opening the guard must change the guard's bit, and no other."""
    verified = site.verify(
        MINE + "[signals.guard_closed]\nat = { bit = 2 }\n[signals.remote_enabled]\nat = { bit = 0 }\n"
    )
    assert not verified.good
    assert "guard closed" in verified.findings[-1].what
    assert site.writes() == []


def test_a_machine_without_a_watchdog_is_not_signed(tmp_path: Path) -> None:
    """A PLC that does not act on a lost heartbeat fails the last step."""
    site = Site("generic-plc-press-tcp", tmp_path, watchdog_s=float("inf"))
    try:
        verified = site.verify(MINE)
        assert [finding.what for finding in verified.findings if not finding.good] == ["watchdog"]
    finally:
        site.server.__exit__(None, None, None)


@pytest.mark.parametrize("words", ["Is this the machine", "will now close", "force come off"])
def test_a_person_who_says_no_ends_it(site: Site, words: str) -> None:
    """Nothing goes on without a yes, and nothing is verified then."""
    site.person.refuses = (words,)
    assert not site.verify(MINE).good


def test_a_joined_press_is_verified_through_its_parts(tmp_path: Path) -> None:
    """The load cell of a joined press with a wrong unit is explained at the part itself."""
    site = Site("generic-joined-press", tmp_path)
    try:
        verified = site.verify(
            'extends = "generic-joined-press"\nname = "mine"\n[parts.cell.signals.force_kn]\nunit = "lbf"\n'
        )
        assert "signals.force_kn.unit is 'kgf', not 'lbf'" in " ".join(verified.findings[-1].causes)
        verified = site.verify('extends = "generic-joined-press"\nname = "mine"\n')
        assert verified.good, site.person.told
    finally:
        site.server.__exit__(None, None, None)


@given(force_kn=st.floats(0.2, 50.0), factor=st.sampled_from([1.0, 1e-3, 4.4482216e-3, 9.80665e-3, 9.80665]))
def test_a_display_is_read_with_its_unit(force_kn: float, factor: float) -> None:
    """Whatever unit a display has, its number becomes the same kN."""
    unit = {1.0: "kN", 1e-3: "N", 4.4482216e-3: "lbf", 9.80665e-3: "kgf", 9.80665: "tf"}[factor]
    shown = f"{force_kn / factor:.9g} {unit}"
    assert parse_display("force_kn", shown, RIGHT) == pytest.approx(force_kn, rel=1e-6)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("2.0", "no unit"),
        ("2 t", "may be three"),
        ("2 MPa", "does not say where"),
        ("about 2", "no number"),
        ("2 degC", "a temperature"),
    ],
)
def test_a_display_without_a_clear_unit_is_asked_again(said: str, words: str) -> None:
    """A bare number, a bare ton, a pressure without a place are refused in words."""
    with pytest.raises(ValueError, match=words):
        parse_display("force_kn", said, RIGHT)


def test_a_signature_stands_until_the_profile_changes(tmp_path: Path) -> None:
    """Comments and title may change; a limit or a scale may not. A signature is not inherited."""
    file = tmp_path / "mine.toml"
    file.write_text(MINE + "# a remark\n[limits]\nforce_kn = 20.0\n")
    signed = sign_profile(file, by="A. Person", date="2026-01-02", device="mine", checked=['display "2 kN"'])
    assert (signed.trust, load_profile(file).trust) == ("bench", "bench")
    text = file.read_text()
    file.write_text(text.replace("# a remark", "# another remark"))
    assert load_profile(file).trust == "bench"
    for old, new in (("force_kn = 20.0", "force_kn = 21.0"), ('name = "mine"', 'name = "yours"')):
        file.write_text(text.replace(old, new))
        with pytest.raises(ProfileError, match=r"was changed after A\. Person signed it"):
            load_profile(file)
    file.write_text(text)
    child = tmp_path / "child.toml"
    child.write_text('extends = "./mine.toml"\nname = "child"\n')
    assert load_profile(child).trust == "documented" or load_profile(child).trust == "twin"
    again = sign_profile(file, by="B. Person", date="2026-02-02", device="mine", checked=[])
    assert again.bench is not None
    assert (again.bench.by, file.read_text().count("[bench]")) == ("B. Person", 1)


def test_trust_cannot_be_claimed(tmp_path: Path) -> None:
    """``trust = "bench"`` without a signature is refused."""
    with pytest.raises(ProfileError, match="pressopt commission"):
        parse_profile(MINE + 'trust = "bench"\n', source="mine.toml")
