"""The analyser's driver against the virtual device over a pseudo-terminal, with everything that goes wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from pressopt.clock import Clock, FastClock, ScaledClock, wall_monotonic_s
from pressopt.errors import (
    DeviceFault,
    DeviceRefused,
    LimitError,
    LinkError,
    LinkTimeout,
    LinkVanished,
    ReplyError,
    WrongDeviceError,
)
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments.line import open_line
from pressopt.instruments.methodscript import MethodScriptAnalyzer
from pressopt.instruments.methodscript_link import MethodScriptLink
from pressopt.instruments.methodscript_text import sweep_script
from pressopt.profiles import DeviceProfile, Identity, load_profile
from pressopt.twin.faults import Fault, LineFaults
from pressopt.twin.methodscript_server import MethodScriptDevice
from pressopt.twin.wires import PtyPort

SWEEP = Sweep(high_hz=1e5, low_hz=10, points_per_decade=5)


class DummyCell:
    """100 Ω in series with 1 kΩ parallel to 1 µF, as a dummy-cell kit has it."""

    asked_at_s: list[float]

    def __init__(self) -> None:
        self.asked_at_s = []

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex:
        self.asked_at_s.append(at_s)
        return 100 + 1000 / (1 + 2j * math.pi * frequency_hz * 1e-3)


@dataclass
class Bench:
    """A driver, the device behind it, and what lies between."""

    analyzer: MethodScriptAnalyzer
    device: MethodScriptDevice
    port: PtyPort
    clock: FastClock
    cell: DummyCell


def driven(url: str, clock: Clock, profile: DeviceProfile) -> MethodScriptAnalyzer:
    """A driver on an open line, that has asked nothing yet."""
    return MethodScriptAnalyzer(MethodScriptLink(open_line(url), clock, profile, slowest_s=3.05), clock, profile)


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    shipped = load_profile("generic-methodscript-analyzer")
    return replace(shipped, link=replace(shipped.link, timeout_s=0.3, silence_s=0.3))


@pytest.fixture
def bench(profile: DeviceProfile) -> Iterator[Bench]:
    clock, cell = FastClock(), DummyCell()
    device = MethodScriptDevice(cell, clock)
    with PtyPort(device, faults=LineFaults(seed=1)) as port:
        analyzer = driven(port.url, clock, profile)
        yield Bench(analyzer, device, port, clock, cell)
        analyzer.close()


def test_a_sweep_measures_the_dummy_cell(bench: Bench) -> None:
    """Frequencies, impedances and times are those of the cell; the cell is off afterwards."""
    seen: list[tuple[int, int]] = []
    spectrum = bench.analyzer.measure(SWEEP, on_point=lambda done, planned: seen.append((done, planned)))
    assert np.allclose(spectrum.frequency_hz, SWEEP.frequencies_hz(), rtol=1e-5)
    exact = 100 + 1000 / (1 + 2j * np.pi * SWEEP.frequencies_hz() * 1e-3)
    assert np.allclose(spectrum.impedance_ohm, exact, rtol=1e-5)
    assert spectrum.good.all()
    assert seen == [(done, 21) for done in range(1, 22)]
    assert spectrum.time_s is not None
    assert np.allclose(spectrum.time_s, bench.cell.asked_at_s, atol=0.1)
    assert spectrum.metadata["instrument"] != ""
    assert spectrum.metadata["amplitude_mv"] == SWEEP.amplitude_mv
    assert not bench.device.cell_is_on
    assert bench.analyzer.partial is None


def test_a_full_sweep_takes_little_real_time(bench: Bench) -> None:
    """61 points down to 1 Hz take laboratory seconds and less than 0.3 s of ours."""
    bench.analyzer.identify()
    took_s = []
    for _ in range(3):  # the best of three: other programs may want the processor
        began_s, began_lab_s = wall_monotonic_s(), bench.clock.now_s()
        assert bench.analyzer.measure(Sweep()).frequency_hz.size == 61
        took_s.append(wall_monotonic_s() - began_s)
        assert bench.clock.now_s() - began_lab_s > 10
    assert min(took_s) < 0.3


def test_laboratory_time_after_a_sweep_is_the_same_each_time(profile: DeviceProfile) -> None:
    """What the clock shows after three sweeps does not depend on how busy the computer was."""

    def run() -> tuple[float, list[float]]:
        clock, cell = FastClock(), DummyCell()
        with PtyPort(MethodScriptDevice(cell, clock)) as port:
            analyzer = driven(port.url, clock, profile)
            for _ in range(3):
                analyzer.measure(SWEEP)
            analyzer.close()
        return clock.now_s(), cell.asked_at_s

    assert run() == run()


def test_the_same_driver_streams_in_scaled_wall_time(profile: DeviceProfile) -> None:
    """On a clock that runs by itself points arrive one after another."""
    clock = ScaledClock(5.0)  # slow enough that a busy computer does not take the points in one go
    with PtyPort(MethodScriptDevice(DummyCell(), clock)) as port:
        analyzer = driven(port.url, clock, profile)
        arrived_s: list[float] = []
        sweep = Sweep(high_hz=1e5, low_hz=10, points_per_decade=2)
        spectrum = analyzer.measure(sweep, on_point=lambda *_: arrived_s.append(wall_monotonic_s()))
        analyzer.close()
    assert spectrum.frequency_hz.size == len(arrived_s) == 9
    assert arrived_s[-1] - arrived_s[0] > 0.005


def test_a_slower_device_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that takes three times as long per point as guessed is measured all the same."""
    monkeypatch.setattr("pressopt.twin.methodscript_server.POINT_OVERHEAD_S", 0.15)
    monkeypatch.setattr("pressopt.twin.methodscript_server.POINT_PERIODS", 9.0)
    monkeypatch.setattr("pressopt.instruments.methodscript_link._LOOK_S", 0.05)
    assert bench.analyzer.measure(SWEEP).good.all()


def test_overloads_and_lost_values_are_flagged(bench: Bench) -> None:
    """Point 3 overloaded and point 5 not a number keep their places and may not be used."""
    bench.device.faults.overload_points = {3}
    bench.device.faults.nan_points = {5}
    spectrum = bench.analyzer.measure(SWEEP)
    assert spectrum.flag[3] == 1
    assert spectrum.flag[5] == 3
    assert spectrum.good.sum() == 19


def test_a_refused_script_is_an_error_in_words(bench: Bench) -> None:
    """The device's code, place and meaning are in the message; the next sweep works."""
    bench.analyzer.identify()
    bench.device.faults.refuse_script = 0x4004
    with pytest.raises(DeviceRefused, match=r"4004: Line 1, Col 1 \(wrong argument"):
        bench.analyzer.measure(SWEEP)
    assert bench.analyzer.measure(SWEEP).good.all()


def test_after_a_run_time_error_the_cell_is_switched_off(bench: Bench) -> None:
    """The device leaves the cell on, the driver does not; what was measured is kept as partial."""
    bench.device.faults.break_at = 7
    with pytest.raises(DeviceFault, match="severe overload"):
        bench.analyzer.measure(SWEEP)
    assert not bench.device.cell_is_on
    assert bench.analyzer.partial is not None
    assert bench.analyzer.partial.frequency_hz.size == 7
    assert bench.analyzer.partial.metadata["partial"] == "7 of 21 points"
    assert bench.analyzer.measure(SWEEP).good.all()


def test_a_sweep_that_someone_aborted_is_not_passed_off_as_whole(bench: Bench) -> None:
    """A clean end after 4 of 21 points is an error, and the points are kept as partial."""
    bench.device.faults.abort_at = 4
    with pytest.raises(ReplyError, match="4 of 21 points"):
        bench.analyzer.measure(SWEEP)
    assert bench.analyzer.partial is not None
    assert bench.analyzer.partial.frequency_hz.size == 4
    assert not bench.device.cell_is_on


def test_a_device_that_falls_silent_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no point comes for long in laboratory time the sweep ends with a time-out and the cell off."""
    monkeypatch.setattr("pressopt.instruments.methodscript_link._LOOK_S", 0.05)
    bench.device.faults.mute_at = 5
    with pytest.raises(LinkTimeout, match="sent nothing"):
        bench.analyzer.measure(SWEEP)
    assert not bench.device.cell_is_on
    bench.device.faults.mute_at = None
    assert bench.analyzer.measure(SWEEP).good.all()


def test_a_streaming_device_is_brought_back_in_step(bench: Bench) -> None:
    """A device that still streams for a crashed program is aborted first; none of its points is taken for ours."""
    script = sweep_script(Sweep(high_hz=1e3, low_hz=1), low_range_a=1e-7, high_range_a=1e-2)
    script = script.removeprefix("e\n")
    bench.device.start_streaming(script)
    bench.clock.sleep_s(1.0)
    spectrum = bench.analyzer.measure(SWEEP)
    assert np.allclose(spectrum.frequency_hz, SWEEP.frequencies_hz(), rtol=1e-5)


def test_a_half_sent_script_of_a_crashed_program_is_ended(bench: Bench) -> None:
    """When a program died while sending a script, the next one still gets its own answers."""
    import serial

    with serial.Serial(bench.port.url, exclusive=False) as crashed:
        crashed.write(b"e\nvar f\nvar r\n")
    assert "TWIN" in bench.analyzer.identify()


def test_a_wrong_sign_is_refused_with_the_way_out(profile: DeviceProfile) -> None:
    """A device that sends -Z'' is refused until the profile says so, and then gives the same spectrum."""
    assert profile.analyzer is not None
    clock = FastClock()
    with PtyPort(MethodScriptDevice(DummyCell(), clock, imaginary_sign=-1)) as port:
        wrong = driven(port.url, clock, profile)
        with pytest.raises(ReplyError, match="imaginary_sign"):
            wrong.measure(SWEEP)
        assert wrong.partial is not None
        wrong.close()
        told = replace(profile, analyzer=replace(profile.analyzer, imaginary_sign=-1))
        right = driven(port.url, clock, told)
        assert (right.measure(SWEEP).impedance_ohm.imag < 0).all()
        right.close()


def test_another_device_on_the_line_is_refused(bench: Bench, profile: DeviceProfile) -> None:
    """Who does not answer as the profile expects is not asked to measure."""
    stranger = replace(profile, identity=Identity(ask="t", answers="nexus"))
    link = MethodScriptLink(bench.analyzer.link.line, bench.clock, stranger, slowest_s=1.0)
    analyzer = MethodScriptAnalyzer(link, bench.clock, stranger)
    with pytest.raises(WrongDeviceError, match="nexus"):
        analyzer.measure(SWEEP)
    assert bench.device.runs == 0


def test_sweeps_beyond_the_instrument_are_refused_all_at_once(bench: Bench) -> None:
    """Band and amplitude are both named, and nothing was switched on."""
    with pytest.raises(LimitError) as caught:
        bench.analyzer.measure(Sweep(high_hz=5e6, low_hz=0.01, amplitude_mv=900))
    assert [violation.where for violation in caught.value.violations] == ["low_hz, high_hz", "amplitude_mv"]
    assert bench.device.runs == 0


@pytest.mark.parametrize("fault", [Fault.CORRUPT, Fault.NOISE, Fault.HALF, Fault.DROP, Fault.TRICKLE])
@pytest.mark.parametrize("after", [0, 3])
def test_damage_on_the_wire_never_becomes_a_wrong_spectrum(
    bench: Bench, fault: Fault, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind of damage ends in an error or in flagged points; the cell is off; the next sweep works."""
    monkeypatch.setattr("pressopt.instruments.methodscript_link._LOOK_S", 0.1)
    bench.analyzer.identify()

    def strike(done: int, _: int) -> None:
        if done == after + 1:
            bench.port.faults.plan(fault)

    exact = 100 + 1000 / (1 + 2j * np.pi * SWEEP.frequencies_hz() * 1e-3)
    try:
        spectrum = bench.analyzer.measure(SWEEP, on_point=strike)
    except (LinkError, ReplyError, DeviceRefused):
        pass
    else:
        bad = ~np.isclose(spectrum.impedance_ohm, exact, rtol=1e-3) & spectrum.good
        assert bad.sum() <= (fault is Fault.CORRUPT)  # packages have no checksum: one flipped digit may pass
    assert bench.port.faults.injected[fault] == 1
    assert not bench.device.cell_is_on
    assert np.allclose(bench.analyzer.measure(SWEEP).impedance_ohm, exact, rtol=1e-5)


@pytest.mark.parametrize("at", [3, 21])
def test_a_cable_pulled_in_a_sweep_says_that_the_cell_may_be_on(bench: Bench, at: int) -> None:
    """The line vanishes: the error says so, and that nobody could switch the cell off."""

    def pull(done: int, _: int) -> None:
        if done == at:
            bench.port.vanish(5.0)

    with pytest.raises(LinkVanished) as caught:
        bench.analyzer.measure(SWEEP, on_point=pull)
    assert any("may be on" in note for note in caught.value.__notes__)
    assert bench.analyzer.partial is not None


def test_make_safe_ends_everything_and_twice_is_harmless(bench: Bench) -> None:
    """A running script is aborted and the cell is off; asked again, nothing changes."""
    bench.device.start_streaming("cell_on\nwait 100\n")
    bench.analyzer.make_safe()
    bench.analyzer.make_safe()
    assert not bench.device.is_running
    assert not bench.device.cell_is_on


def test_ctrl_c_in_a_sweep_switches_the_cell_off(bench: Bench) -> None:
    """An interrupt is passed on, after the cell is off."""

    def interrupt(done: int, _: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.analyzer.measure(SWEEP, on_point=interrupt)
    assert not bench.device.cell_is_on
    assert not bench.device.is_running


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_fifty_sweeps_over_a_bad_cable(profile: DeviceProfile, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Whatever is lost, late, cut or added at random: each sweep is right or an error, and the cell ends off."""
    monkeypatch.setattr("pressopt.instruments.methodscript_link._LOOK_S", 0.1)
    rates = {Fault.DROP: 0.01, Fault.HALF: 0.01, Fault.NOISE: 0.01, Fault.TRICKLE: 0.01, Fault.DELAY: 0.005}
    exact = 100 + 1000 / (1 + 2j * np.pi * SWEEP.frequencies_hz() * 1e-3)
    clock = FastClock()
    device = MethodScriptDevice(DummyCell(), clock)
    whole = 0
    with PtyPort(device, faults=LineFaults(seed, rates=rates, delay_s=0.05)) as port:
        analyzer = driven(port.url, clock, profile)
        for _ in range(50):
            try:
                spectrum = analyzer.measure(SWEEP)
            except (LinkError, ReplyError, DeviceRefused):
                continue
            assert np.allclose(spectrum.impedance_ohm[spectrum.good], exact[spectrum.good], rtol=1e-4)
            whole += 1
        port.faults.clear()
        analyzer.make_safe()
        assert not device.cell_is_on
        assert analyzer.measure(SWEEP).good.all()
        analyzer.close()
    assert whole > 10
