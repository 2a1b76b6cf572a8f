"""Press and laminator as a PLC shows them: the register map of the shipped profiles over the virtual bench."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pytest

from pressopt.clock import FastClock
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.profiles import DeviceProfile, Register, load_profile, register
from pressopt.twin.face import face_of
from pressopt.twin.laboratory import FAULT_CODES, VirtualBench
from pressopt.twin.modbus import ExceptionCode, Refusal, Table
from pressopt.twin.modbus_server import MachineBank
from pressopt.twin.server import press_spec, roll_spec

PRESS = load_profile("generic-plc-press-tcp")
ROLLS = load_profile("generic-roll-laminator-tcp")
LETTERS = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f"}
METAL = Layer("Li", Role.ELECTRODE, 100.0)
PELLET = Cell((METAL, Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0), METAL), Die(10.0), 10.0)
FOIL = Cell((Layer("Cu", Role.COLLECTOR, 10.0), METAL), Die(20.0), 20.0)


@dataclass
class Machine:
    """One machine, its registers, and the time that passes for it."""

    bench: VirtualBench
    bank: MachineBank
    clock: FastClock
    profile: DeviceProfile

    def raw(self, at: Register) -> float:
        """The raw number at a register, as a master would decode it."""
        words = list(self.bank.read(Table(at.table), at.address, at.words))
        if at.type == "bool":
            return words[0] if at.bit is None else words[0] >> at.bit & 1
        if self.profile.link.word_order == "low-first":
            words.reverse()
        data = struct.pack(f">{len(words)}H", *words)
        return float(struct.unpack(">" + LETTERS[at.type], data)[0])

    def says(self, name: str) -> float:
        """Raw number of a signal."""
        return self.raw(register(self.profile.signals[name].at))

    def word(self, name: str) -> str:
        """Word of a signal."""
        return self.profile.signals[name].values[int(self.says(name))]

    def tell(self, name: str, raw: float = 1) -> None:
        """Write the raw number of an action."""
        at = register(self.profile.actions[name].at)
        if at.type == "bool":
            self.bank.write(Table(at.table), at.address, [int(raw)])
        else:
            self.bank.write(Table(at.table), at.address, self.words(at, raw))

    def words(self, at: Register, raw: float) -> list[int]:
        letter = LETTERS[at.type]
        data = struct.pack(">" + letter, raw if letter == "f" else int(raw))
        words = list(struct.unpack(f">{len(data) // 2}H", data))
        return words[::-1] if self.profile.link.word_order == "low-first" else words

    def readback(self, name: str) -> float:
        return self.raw(register(self.profile.actions[name].at))


@pytest.fixture
def press() -> Machine:
    clock = FastClock()
    bench = VirtualBench(PELLET, seed=1, clock=clock, press=press_spec(PRESS))
    bench.load_cell(1)
    return Machine(bench, MachineBank(face_of(bench, PRESS)), clock, PRESS)


@pytest.fixture
def rolls() -> Machine:
    clock = FastClock()
    bench = VirtualBench(FOIL, seed=1, clock=clock, roll=roll_spec(ROLLS), rolled=True)
    bench.load_cell(1)
    return Machine(bench, MachineBank(face_of(bench, ROLLS)), clock, ROLLS)


def refused(act: Callable[[], object]) -> ExceptionCode:
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value.code


def test_a_press_is_driven_by_its_registers(press: Machine) -> None:
    """Set points written as words move the press, and its force comes back in newtons."""
    press.tell("set_force_kn", 2000)
    press.tell("set_ramp_kn_s", 0.5)
    press.tell("set_temperature_c", 600)
    press.tell("start")
    assert press.word("state") == "ramp"
    press.clock.sleep_s(300)
    assert press.word("state") == "hold"
    assert press.says("force_kn") == pytest.approx(2000, rel=0.03)
    assert press.says("temperature_c") == pytest.approx(600, abs=5)
    assert press.says("setpoint_kn") == press.readback("set_force_kn") == 2000
    assert press.readback("set_ramp_kn_s") == 0.5
    press.tell("stop")
    press.clock.sleep_s(100)
    assert press.word("state") == "idle"


def test_several_set_points_go_in_one_write(press: Machine) -> None:
    """One function 16 over force, ramp and temperature sets all three."""
    actions = [register(PRESS.actions[name].at) for name in ("set_force_kn", "set_ramp_kn_s", "set_temperature_c")]
    values = [word for at, raw in zip(actions, (1234, 0.25, 415), strict=True) for word in press.words(at, raw)]
    press.bank.write(Table.HOLDING, actions[0].address, values)
    plant = press.bench.plant()
    assert (plant.setpoint_kn, plant.ramp_kn_s, plant.setpoint_c) == (1.234, 0.25, 41.5)


def test_the_machine_says_who_it_is(press: Machine) -> None:
    """Model as the profile expects, a serial number of 32 bits, and others when a test swaps the machine."""
    model, serial = PRESS.identity.model, PRESS.identity.serial_number
    assert model is not None
    assert serial is not None
    assert (press.raw(model.at), press.raw(serial.at)) == (model.expect, 24001)
    press.bank.faults.model, press.bank.faults.serial_number = 7, 70000
    assert (press.raw(model.at), press.raw(serial.at)) == (7, 70000)


@pytest.mark.parametrize(
    ("fault", "signal"), [("guard_open", "guard_closed"), ("estop", "estop_ok"), ("remote_off", "remote_enabled")]
)
def test_an_open_interlock_shows_and_refuses_motion(press: Machine, fault: str, signal: str) -> None:
    """Its bit falls and no other, start is refused with exception 4, stop is not."""
    assert all(press.says(name) for name in PRESS.interlocks)
    press.bench.inject(fault)
    assert [name for name in PRESS.interlocks if not press.says(name)] == [signal]
    assert refused(lambda: press.tell("start")) is ExceptionCode.DEVICE_FAILURE
    press.tell("stop")


def test_a_fault_shows_in_the_profiles_own_words_and_blocks_until_acknowledged(press: Machine) -> None:
    """After an emergency stop nothing starts before reset and acknowledgement."""
    press.bench.inject("estop")
    assert press.word("fault_code") == "emergency stop"
    assert press.word("state") == "fault"
    assert refused(lambda: press.tell("acknowledge")) is ExceptionCode.DEVICE_FAILURE
    press.bench.inject("estop_reset")
    assert refused(lambda: press.tell("start")) is ExceptionCode.DEVICE_FAILURE
    press.tell("acknowledge")
    assert press.word("fault_code") == ""
    press.tell("start")


@pytest.mark.parametrize("meaning", FAULT_CODES)
def test_every_fault_of_the_machine_has_its_word_in_the_profile(
    press: Machine, rolls: Machine, meaning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fault of the machine can look like health, and none is without a word."""
    for machine, look in ((press, "plant"), (rolls, "roll")):
        reading = replace(getattr(machine.bench, look)(), fault_code=FAULT_CODES[meaning])
        monkeypatch.setattr(machine.bench, look, lambda reading=reading: reading)
        assert (machine.word("fault_code") == "") == (meaning == "")


def test_numbers_beyond_the_machine_are_illegal_values(press: Machine) -> None:
    """121 kN, a negative force and 300 °C are exception 3, and nothing changes, not even beside them."""
    force, ramp = register(PRESS.actions["set_force_kn"].at), register(PRESS.actions["set_ramp_kn_s"].at)
    before = press.bench.plant()
    both = [*press.words(force, 121_000), *press.words(ramp, 0.125)]
    for act in (
        lambda: press.bank.write(Table.HOLDING, force.address, both),
        lambda: press.tell("set_force_kn", -256),
        lambda: press.tell("set_temperature_c", 3000),
    ):
        assert refused(act) is ExceptionCode.ILLEGAL_VALUE
    after = press.bench.plant()
    assert (after.setpoint_kn, after.ramp_kn_s) == (before.setpoint_kn, before.ramp_kn_s)


def test_addresses_outside_the_map_are_illegal(press: Machine) -> None:
    """Reading before, across and after the mapped span is exception 2; a table without signals has none."""
    inputs = [at for at in map(register, (one.at for one in PRESS.signals.values())) if at.table == "input"]
    last = max(at.address + at.words for at in inputs)
    first = min(
        at.address for at in map(register, (one.at for one in PRESS.actions.values())) if at.table == "holding"
    )
    spans = [
        (Table.INPUT, last, 1),
        (Table.INPUT, last - 1, 2),
        (Table.HOLDING, first - 1, 1),
        (Table.DISCRETE, 0, 1),
    ]
    for span in spans:
        assert refused(partial(press.bank.read, *span)) is ExceptionCode.ILLEGAL_ADDRESS


@pytest.mark.parametrize("values", [[1], [0, 0, 0], [0, 0, 0, 0, 0, 0]])
def test_half_a_number_and_a_gap_cannot_be_written(press: Machine, values: list[int]) -> None:
    """One word of a 32-bit set point, or a register that is none, is exception 2 and changes nothing."""
    first = register(PRESS.actions["set_force_kn"].at).address
    assert refused(lambda: press.bank.write(Table.HOLDING, first, values)) is ExceptionCode.ILLEGAL_ADDRESS


def test_an_ignored_write_shows_in_the_readback(press: Machine) -> None:
    """A set point that is accepted and not applied reads back as it was, and the machine shows the old one."""
    press.tell("set_force_kn", 1000)
    press.bank.faults.ignored = {"set_force_kn"}
    press.tell("set_force_kn", 5000)
    assert press.readback("set_force_kn") == press.says("setpoint_kn") == 1000


def test_a_sensor_can_be_open_or_stuck(press: Machine) -> None:
    """The raw number of a sensor fault replaces the temperature."""
    press.bank.faults.frozen = {"temperature_c": 32766}
    assert press.says("temperature_c") == 32766


def test_the_heartbeat_reaches_the_machine_and_reads_back(press: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that is written is kept, and feeds the machine's watchdog."""
    beats: list[int] = []
    monkeypatch.setattr(press.bench, "heartbeat", beats.append)
    assert PRESS.heartbeat is not None
    press.bank.write(Table.HOLDING, register(PRESS.heartbeat.at).address, [17])
    assert beats == [17]
    assert press.raw(register(PRESS.heartbeat.at)) == 17


def test_cells_are_changed_by_number_and_not_under_force(press: Machine) -> None:
    """Loading is confirmed in its register; under force it is exception 4; no cell reads as -1."""
    press.tell("load_cell", 2)
    assert press.says("loaded_cell") == 2
    press.bench.load_cell(0)
    assert press.says("loaded_cell") == -1
    press.bench.load_cell(2)
    press.bench.set_force(2.0)
    press.bench.start()
    press.clock.sleep_s(30)
    assert refused(lambda: press.tell("load_cell", 3)) is ExceptionCode.DEVICE_FAILURE


def test_a_command_coil_written_off_does_nothing(press: Machine) -> None:
    """Writing 0 to start is accepted and starts nothing; coils read as 0."""
    press.tell("start", 0)
    assert press.word("state") == "idle"
    assert press.bank.read(Table.COIL, register(PRESS.actions["start"].at).address, 1) == [0]


def test_a_laminator_runs_its_passes_with_the_low_word_first(rolls: Machine) -> None:
    """Line force is a float with swapped words; passes count up to what was asked."""
    assert ROLLS.link.word_order == "low-first"
    for name, raw in (("line_force_n_mm", 20.0), ("speed_mm_s", 1000), ("passes", 2), ("temperature_c", 400)):
        rolls.tell(f"set_{name}", raw)
        assert rolls.readback(f"set_{name}") == raw
    assert all(rolls.says(name) for name in ROLLS.interlocks)
    rolls.tell("start")
    rolls.clock.sleep_s(5)
    assert rolls.says("line_force_n_mm") == pytest.approx(20.0, rel=0.05)
    rolls.clock.sleep_s(500)
    assert rolls.says("passes_done") == 2
    assert rolls.word("state") == "idle"
