"""The port SampleChanger: the same promises on every machine that loads its cells by wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pressopt.clock import FastClock
from pressopt.errors import DeviceFault, DeviceRefused, InterlockError, LimitError, LinkRefused
from pressopt.instruments import ProfileSampleChanger, connect_changer, connect_laminator, connect_press, manual
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.profiles import load_profile
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.server import TwinServer

CELL = Cell(
    (Layer("lithium", Role.ELECTRODE, 100.0), Layer("Li6PS5Cl", Role.ELECTROLYTE, 700.0, relative_density=0.85)),
    Die(10.0),
    10.0,
)
MACHINES = (
    "generic-plc-press-tcp",
    "generic-plc-press-rtu",
    "generic-line-press",
    "generic-joined-press",
    "generic-roll-laminator-tcp",
)


class Bench:
    """One machine with a changer, behind its wire."""

    def __init__(self, name: str, links: Path) -> None:
        self.clock, self.profile = FastClock(), load_profile(name)
        rolled = self.profile.kind == "laminator"
        self.virtual = VirtualBench(CELL, seed=3, clock=self.clock, rolled=rolled)
        self.server = TwinServer(self.virtual, {"machine": self.profile}, self.clock, links=links)
        self.server.__enter__()
        connect = connect_laminator if rolled else connect_press
        self.machine = connect(self.profile, self.clock, self.server.urls["machine"])
        changer = connect_changer(self.machine)
        assert isinstance(changer, ProfileSampleChanger)
        self.changer = changer

    def work(self) -> None:
        """Let the machine hold a cell, or roll one."""
        if self.profile.kind == "laminator":
            self.virtual.set_line_force(5.0)
            self.virtual.set_speed(1.0)
            self.virtual.start_rolling()
        else:
            self.virtual.set_force(2.0)
            self.virtual.set_ramp(1.0)
            self.virtual.start()
            self.clock.sleep_s(20.0)

    def close(self) -> None:
        self.machine.close()
        self.server.__exit__(None, None, None)


@pytest.fixture(params=MACHINES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path)
    yield made
    made.close()


def test_it_says_which_cell_lies_there(bench: Bench) -> None:
    """Nothing at first, then the number that was loaded; loading the loaded one changes nothing."""
    assert bench.changer.loaded() is None
    bench.changer.load(7)
    bench.changer.load(7)
    assert bench.changer.loaded() == 7
    assert bench.virtual.cell_state[0] == 7
    bench.changer.load(8)
    assert bench.changer.loaded() == 8


def test_cells_change_only_when_the_machine_is_open(bench: Bench) -> None:
    """While it works the cell stays, and the refusal is an error."""
    bench.changer.load(7)
    bench.work()
    with pytest.raises((DeviceFault, DeviceRefused)):
        bench.changer.load(8)
    assert bench.changer.loaded() == 7


def test_an_open_guard_forbids_it(bench: Bench) -> None:
    """A changer moves: it needs the interlocks like every motion."""
    bench.virtual.inject("guard_open")
    with pytest.raises(InterlockError, match="guard"):
        bench.changer.load(7)
    assert bench.changer.loaded() is None


@pytest.mark.parametrize("number", [0, -1, 32768])
def test_a_number_that_is_none_is_refused(bench: Bench, number: int) -> None:
    """Before anything is written."""
    with pytest.raises(LimitError):
        bench.changer.load(number)
    assert bench.changer.loaded() is None


def test_a_load_that_is_accepted_and_not_done_is_found(bench: Bench) -> None:
    """The cell that lies there is read back: a changer that only says yes is a fault."""
    main = next(face for role, face in bench.server.faces.items() if role in ("machine", "machine.plc"))
    main.faults.ignored.add("load_cell")
    with pytest.raises(DeviceFault, match="loaded_cell"):
        bench.changer.load(7)


def test_a_machine_without_a_changer_has_none() -> None:
    """A person loads its cells: the profile without the action, and the press without wires."""
    plain = load_profile("generic-plc-press-tcp")
    by_hand = manual(load_profile("generic-hand-press"), FastClock(), CELL.die)
    assert connect_changer(by_hand) is None
    with TwinServer(VirtualBench(CELL, seed=3, clock=FastClock()), {"press": plain}, FastClock()) as server:
        press = connect_press(plain, FastClock(), server.urls["press"])
        actions = {name: action for name, action in plain.actions.items() if name != "load_cell"}
        press.device.profile = replace(plain, actions=actions)
        assert connect_changer(press) is None
        with pytest.raises(LinkRefused, match="a person loads"):
            ProfileSampleChanger(press.device)
        press.close()
