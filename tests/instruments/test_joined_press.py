"""One press made of a PLC, two heaters on one line and a load indicator: its promises beyond any other press."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from pressopt.clock import FastClock, wall_monotonic_s
from pressopt.errors import DeviceFault, InstrumentError, LimitError, LinkError, LinkRefused, ProfileError
from pressopt.instruments import ProfilePress, connect_press, machine
from pressopt.instruments.joined import JoinedDevice, split_urls
from pressopt.pressing import Cell, Die, Layer, PressState, Role
from pressopt.profiles import load_profile, parse_profile
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.plant import AMBIENT_C
from pressopt.twin.server import TwinServer, press_spec

METAL = Layer("Li", Role.ELECTRODE, 100.0)
CELL = Cell((METAL, Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0), METAL), Die(10.0), 10.0)
PROFILE = load_profile("generic-joined-press")


class Joined:
    """The joined press on its wires."""

    def __init__(self, links: Path) -> None:
        self.clock = FastClock()
        self.virtual = VirtualBench(CELL, seed=3, clock=self.clock, press=press_spec(PROFILE))
        self.server = TwinServer(self.virtual, {"press": PROFILE}, self.clock, links=links)
        self.server.__enter__()
        self.press: ProfilePress = connect_press(PROFILE, self.clock, self.server.urls["press"])
        self.platens = self.server.platens["press"].setpoints_c

    def lose(self, part: str) -> None:
        """Pull the plug of a part's port, for good."""
        self.server.ports[f"press.{part}"].vanish(math.inf)

    def under_force(self) -> None:
        """5 kN at 80 °C, reached."""
        self.press.command(force_kn=5.0, ramp_kn_s=1.0, temperature_c=80.0)
        self.look_for_s(300.0)

    def look_for_s(self, seconds: float) -> None:
        """Read every 5 s: the PLC's watchdog lets go after 10 s without a heartbeat."""
        for _ in range(round(seconds / 5)):
            self.clock.sleep_s(5.0)
            self.press.read()

    def close(self) -> None:
        self.press.close()
        self.server.__exit__(None, None, None)


@pytest.fixture
def joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Joined]:
    monkeypatch.setattr(machine, "_RECONNECT_S", 0.2)  # what is pulled here does not come back
    made = Joined(tmp_path)
    yield made
    made.close()


def test_heaters_of_one_line_share_its_link(joined: Joined) -> None:
    """Four parts are three lines, so that the rule of silence holds for both heaters at once."""
    assert isinstance(joined.press.device, JoinedDevice)
    assert len(joined.press.device.parts) == 4
    assert len(joined.press.device.links) == 3


def test_force_is_the_cells_and_heat_goes_to_both_platens(joined: Joined) -> None:
    """The force read is that of the load cell, not of the PLC; both controllers get the set point."""
    joined.server.faces["press.plc"].faults.frozen["force_kn"] = 99_000
    joined.under_force()
    reading = joined.press.read()
    assert (reading.state, reading.setpoint_kn) == (PressState.HOLD, 5.0)
    assert reading.force_kn == pytest.approx(5.0, abs=0.1)
    assert reading.temperature_c == pytest.approx(80.0, abs=1.0)
    assert joined.platens == {"press.top": 80.0, "press.bottom": 80.0}


@pytest.mark.parametrize("part", ["top", "bottom", "cell", "plc"])
def test_a_lost_part_fails_the_reading_and_names_itself(joined: Joined, part: str) -> None:
    """No reading is made up of what is left."""
    joined.under_force()
    joined.lose(part)
    with pytest.raises(LinkError, match=rf"part '(top|{part})' of generic-joined-press"):
        joined.press.read()


@pytest.mark.parametrize("part", ["top", "cell"])
def test_without_a_heater_or_the_cell_the_press_still_opens(joined: Joined, part: str) -> None:
    """make_safe takes the force off, cools what it reaches, and says what it did not reach."""
    joined.under_force()
    joined.lose(part)
    if part == "cell":
        joined.press.make_safe()  # the load cell has nothing to stop
        assert set(joined.platens.values()) == {20.0}
    else:
        with pytest.raises(DeviceFault, match=r"'stop' did not reach 'top'.*plc.*did it.*by hand"):
            joined.press.make_safe()
    joined.clock.sleep_s(5.0)
    assert joined.virtual.plant().force_kn == pytest.approx(0.0, abs=0.02)
    assert joined.virtual.plant().state == "idle"


def test_without_the_plc_the_heaters_are_turned_down(joined: Joined) -> None:
    """What cannot open the press still cools it; the PLC's own watchdog takes the force off."""
    joined.under_force()
    joined.lose("plc")
    with pytest.raises(InstrumentError):
        joined.press.make_safe()
    assert set(joined.platens.values()) == {20.0}
    assert joined.virtual.plant().force_kn == pytest.approx(5.0, abs=0.1)
    joined.clock.sleep_s(3600.0)
    assert joined.virtual.plant().force_kn == pytest.approx(0.0, abs=0.02)
    assert joined.virtual.plant().temperature_c == pytest.approx(AMBIENT_C, abs=1.0)


def test_nothing_moves_while_a_part_is_lost(joined: Joined) -> None:
    """A command reads every part first; without one, no set point is written."""
    joined.lose("cell")
    with pytest.raises(LinkError):
        joined.press.command(force_kn=5.0, ramp_kn_s=1.0, temperature_c=80.0)
    plant = joined.virtual.plant()
    assert (plant.setpoint_kn, plant.state, set(joined.platens.values())) == (0.0, "idle", {AMBIENT_C})


def test_a_part_that_comes_back_is_asked_who_it_is(joined: Joined) -> None:
    """After a hang-up of the heater line both heaters are read again, through the link that they share."""
    joined.press.read()
    joined.server.ports["press.top"].vanish(0.05)
    end = wall_monotonic_s() + 20
    while True:
        try:
            assert joined.press.read().state is PressState.IDLE
            break
        except LinkError:
            assert wall_monotonic_s() < end


def test_a_set_point_beyond_the_limit_is_refused_at_the_last_door(joined: Joined) -> None:
    """The device layer itself refuses, whoever asks: nothing is written."""
    with pytest.raises(LimitError, match="nothing was written"):
        joined.press.device.act("set_force_kn", 61.0)
    assert joined.virtual.plant().setpoint_kn == 0.0


def test_urls_of_parts_are_written_together() -> None:
    """``part=url,part=url``; a name that is no part is refused."""
    assert split_urls(PROFILE, "plc=tcp://a:1,cell=/dev/x") == {"plc": "tcp://a:1", "cell": "/dev/x"}
    with pytest.raises(LinkRefused, match="names no part"):
        split_urls(PROFILE, "pcl=tcp://a:1")


BASE = """
extends = "generic-joined-press"
name = "mine"
"""


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('[signals.force_kn]\nat = { of = ["sell.force_kn"] }', "signals.force_kn.at", "did you mean 'cell'"),
        ('[signals.force_kn]\nat = { of = ["cell.forc_kn"] }', "signals.force_kn.at", "did you mean 'force_kn'"),
        ('[signals.force_kn]\nat = { of = ["top.setpoint_c"] }', "signals.force_kn.at", "is a temperature"),
        ('[signals.force_kn]\nunit = "N"', "signals.force_kn.unit", "in the unit of the name"),
        ("[parts.bottom]\nlink = { unit = 1 }", "parts.bottom.link.unit", "also the unit of 'top'"),
        ("[parts.bottom]\nlink = { baud = 1200 }", "parts.bottom.link", "must have its engine, baud"),
        ("[parts.plc.limits]\nforce_kn = 20.0", "limits.force_kn", "more than part 'plc' allows"),
        ("[parts.plc.limits]\nforce_kn = 200.0", "parts.plc.limits.force_kn", "not inside the machine's"),
        ('[parts.extra]\nextends = "no-such"', "", "no shipped profile"),
        ('[link]\nurl = "tcp://a:1"', "link.url", "no address of its own"),
    ],
)
def test_a_wrong_joined_profile_is_told_where(text: str, key: str, words: str) -> None:
    """Parts, what they have, their lines and their limits are checked when the file is loaded."""
    with pytest.raises(ProfileError) as told:
        parse_profile(BASE + text, source="mine.toml")
    assert words in "\n".join(one.message for one in told.value.violations if one.where == key)
