"""What can go wrong at SCPI analysers, at a Zahner workstation, and with files that another program saves."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pressopt.clock import FastClock
from pressopt.errors import (
    DeviceRefused,
    LimitError,
    LinkError,
    LinkTimeout,
    LinkVanished,
    ReplyError,
    WrongDeviceError,
)
from pressopt.impedance.readers import read_spectra
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments import connect_analyzer, folder_analyzer
from pressopt.instruments.folder_analyzer import FolderAnalyzer
from pressopt.instruments.scpi_analyzer import ScpiAnalyzer
from pressopt.instruments.zahner import ZahnerAnalyzer
from pressopt.profiles import DeviceProfile, FolderDrop, load_profile
from pressopt.twin.faults import Fault
from pressopt.twin.scpi_analyzer_server import ScpiAnalyzerDevice
from pressopt.twin.wires import TcpPort
from pressopt.twin.zahner_server import ZahnerDevice

SWEEP = Sweep(high_hz=1e5, low_hz=100, points_per_decade=4)
DATA = Path(__file__).parents[1] / "impedance" / "data"


class DummyCell:
    """50 Ω in series with 200 Ω parallel to 1 µF."""

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex:
        return 50 + 200 / (1 + 2j * math.pi * frequency_hz * 2e-4)


def profile_of(name: str, **scpi: object) -> DeviceProfile:
    """A shipped profile, quick to time out, with other commands where given."""
    profile = load_profile(name)
    assert profile.analyzer is not None
    analyzer = profile.analyzer
    if analyzer.scpi is not None:
        analyzer = replace(analyzer, scpi=replace(analyzer.scpi, **scpi))  # type: ignore[arg-type]
    link = replace(profile.link, timeout_s=1.0, silence_s=1.0)
    return replace(profile, analyzer=analyzer, link=link)


@contextmanager
def served(profile: DeviceProfile) -> Iterator[tuple[ScpiAnalyzer, ScpiAnalyzerDevice, TcpPort]]:
    clock = FastClock()
    device = ScpiAnalyzerDevice(DummyCell(), clock, profile)
    with TcpPort(device) as port:
        analyzer = connect_analyzer(profile, clock, port.url)
        assert isinstance(analyzer, ScpiAnalyzer)
        yield analyzer, device, port
        analyzer.close()


@pytest.mark.parametrize("name", ["keysight-e4980a", "keysight-e4980a-list"])
def test_an_overload_is_a_flag_and_never_9_9e37(name: str) -> None:
    """Overloaded points keep their places, are not finite and not good; the others are right."""
    with served(profile_of(name)) as (analyzer, device, _):
        device.faults.overload_points = {2, 5}
        spectrum = analyzer.measure(SWEEP)
    assert [int(at) for at in np.flatnonzero(~spectrum.good)] == [2, 5]
    assert not np.isfinite(spectrum.impedance_ohm[[2, 5]]).any()
    assert np.abs(spectrum.impedance_ohm[spectrum.good]).max() < 1e3


def test_a_sweep_longer_than_the_list_is_cut_into_lists() -> None:
    """Thirteen points through an instrument whose list holds five."""
    with served(profile_of("keysight-e4980a-list", most_list_points=5)) as (analyzer, _, _):
        spectrum = analyzer.measure(SWEEP)
    assert spectrum.frequency_hz.size == SWEEP.points == 13
    assert spectrum.good.all()
    assert spectrum.time_s is not None
    assert (np.diff(spectrum.time_s) > 0).all()


def test_another_instrument_is_refused() -> None:
    """A meter of another make on that address is told by its identity."""
    profile = profile_of("keysight-e4980a")
    clock = FastClock()
    device = ScpiAnalyzerDevice(DummyCell(), clock, profile)
    device.faults.identity = "OTHER,METER,1,2"
    with TcpPort(device) as port, pytest.raises(WrongDeviceError, match="OTHER,METER"):
        connect_analyzer(profile, clock, port.url)


def test_a_command_that_it_does_not_know_is_told() -> None:
    """A mistake in the profile's commands ends in the instrument's own words, before a point is measured."""
    with served(profile_of("keysight-e4980a")) as (analyzer, device, _):
        analyzer._scpi = replace(analyzer._scpi, setup=("*CLS", ":FUNK:IMP:TYPE RX"))
        with pytest.raises(DeviceRefused, match=r'-113,"Undefined header"'):
            analyzer.measure(SWEEP)
        assert not device.cell_is_on


def test_a_bias_that_it_cannot_set_is_refused() -> None:
    """A sweep with a bias needs a command for it in the profile."""
    with (
        served(profile_of("keysight-e4980a")) as (analyzer, _, _),
        pytest.raises(LimitError, match="sets no bias"),
    ):
        analyzer.measure(replace(SWEEP, bias_v=0.5))


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.HALF, Fault.DELAY])
def test_a_damaged_answer_is_asked_for_again(fault: Fault) -> None:
    """A lost, halved or late answer in mid-sweep costs a repetition; every point is its own frequency's."""
    with served(profile_of("keysight-e4980a")) as (analyzer, _, port):
        port.faults.delay_s = 1.5

        def harm(done: int, planned: int) -> None:
            if done == 3:
                port.faults.plan(fault)

        spectrum = analyzer.measure(SWEEP, on_point=harm)
        assert port.faults.injected[fault] == 1
    exact = np.array([DummyCell().impedance_ohm(hz, at_s=0.0) for hz in spectrum.frequency_hz.tolist()])
    assert np.allclose(spectrum.impedance_ohm, exact, rtol=1e-6)


def test_an_instrument_that_falls_silent_is_told_and_partial_points_are_kept() -> None:
    """Nothing answers any more: LinkTimeout, with what was measured under ``partial``."""
    profile = profile_of("keysight-e4980a")
    profile = replace(profile, link=replace(profile.link, timeout_s=0.2, silence_s=0.2, retries=0))
    with served(profile) as (analyzer, device, _):

        def mute(done: int, planned: int) -> None:
            device.faults.muted = done == 4

        with pytest.raises(LinkTimeout):
            analyzer.measure(SWEEP, on_point=mute)
        device.faults.muted = False
        assert analyzer.partial is not None
        assert analyzer.partial.frequency_hz.size == 4
        assert analyzer.partial.metadata["partial"] == "4 of 13 points"


# ---------------------------------------------------------------------- Zahner


@contextmanager
def workstation() -> Iterator[tuple[ZahnerAnalyzer, ZahnerDevice, TcpPort]]:
    clock = FastClock()
    device = ZahnerDevice(DummyCell(), clock, low_hz=1e-5, high_hz=4e6, limit_amplitude_mv=1000)
    profile = profile_of("zahner-zennium")
    profile = replace(profile, link=replace(profile.link, timeout_s=5.0))
    with TcpPort(device) as port:
        analyzer = connect_analyzer(profile, clock, port.url)
        assert isinstance(analyzer, ZahnerAnalyzer)
        yield analyzer, device, port
        analyzer.close()


def test_a_connection_lost_in_mid_sweep_leaves_the_cell_off() -> None:
    """The workstation is registered anew, only to switch the cell off; the sweep is not passed off as whole."""
    with workstation() as (analyzer, device, port):

        def pull(done: int, planned: int) -> None:
            if done == 3:
                port.vanish(0.0)

        with pytest.raises((LinkVanished, LinkError)):
            analyzer.measure(SWEEP, on_point=pull)
        assert not device.cell_is_on
        assert analyzer.partial is not None
        assert analyzer.measure(SWEEP).good.all()


def test_what_thales_refuses_is_told_in_its_words() -> None:
    """An amplitude beyond its range is an ERROR telegram."""
    with workstation() as (analyzer, device, _):
        with pytest.raises(DeviceRefused, match="ERROR;8"):
            analyzer._command("Ampl=5000")
        assert not device.cell_is_on


# ---------------------------------------------------------------------- files of another program


class Drop:
    """A folder whose other program is scripted: one step at each look, in wall time that passes by itself."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, pattern: str = "*") -> None:
        self.folder, self.looks, self.now_s = folder, 0, 1000.0
        self.steps: dict[int, Callable[[], object]] = {}
        monkeypatch.setattr(folder_analyzer, "wall_monotonic_s", lambda: self.now_s)
        monkeypatch.setattr(folder_analyzer, "wall_pause_s", self._pass)
        profile = load_profile("folder-drop-analyzer")
        assert profile.analyzer is not None
        drop = FolderDrop(pattern=pattern, settle_s=3.0, wait_s=100.0)
        self.profile = replace(profile, analyzer=replace(profile.analyzer, folder=drop))
        self.analyzer = FolderAnalyzer(folder, FastClock(), self.profile)

    def _pass(self, seconds: float) -> None:
        self.looks += 1
        self.now_s += 1.0
        step = self.steps.get(self.looks)
        if step is not None:
            step()


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drop:
    return Drop(tmp_path, monkeypatch)


def test_a_half_written_file_is_waited_for(drop: Drop) -> None:
    """A program that writes slowly, in pieces that can be read each for itself: only the whole file counts."""
    text = (DATA / "exampleData.csv").read_text()
    lines = text.splitlines(keepends=True)
    file = drop.folder / "slow.csv"

    def write(count: int) -> Callable[[], object]:
        return lambda: file.write_text("".join(lines[:count]))

    drop.steps = {5: write(len(lines) // 4), 7: write(len(lines) // 2), 12: write(3 * len(lines) // 4),
                  16: write(len(lines))}  # fmt: skip
    whole = read_spectra(DATA / "exampleData.csv")[-1]
    sweep = Sweep(float(whole.frequency_hz.max()), float(whole.frequency_hz.min()))
    spectrum = drop.analyzer.measure(sweep)
    assert drop.looks >= 19  # it stood still for 3 s after its last piece
    assert spectrum.frequency_hz.size == whole.frequency_hz.size


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.iterdir() if path.suffix != ".md"))
def test_files_of_every_program_are_read(drop: Drop, name: str) -> None:
    """EC-Lab, Gamry, ZPlot, VersaStudio, CH Instruments, Autolab, Parstat, PowerSuite, CSV: found and read."""
    whole = read_spectra(DATA / name)[-1]
    low_hz, high_hz = float(whole.frequency_hz.min()), float(whole.frequency_hz.max())
    drop.steps = {4: lambda: shutil.copy(DATA / name, drop.folder / name)}
    spectrum = drop.analyzer.measure(
        Sweep(high_hz, max(low_hz, drop.analyzer.capability.low_hz), amplitude_mv=5.0)
    )
    assert np.array_equal(spectrum.impedance_ohm, whole.impedance_ohm)
    assert spectrum.metadata["source"] == name


def test_old_files_and_others_files_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lay there before, what does not fit the pattern and hidden files are no answer."""
    shutil.copy(DATA / "exampleData.csv", tmp_path / "old.csv")
    drop = Drop(tmp_path, monkeypatch, pattern="*.csv")
    drop.steps = {
        2: lambda: (tmp_path / "notes.txt").write_text("hello"),
        3: lambda: shutil.copy(DATA / "exampleData.csv", tmp_path / ".hidden.csv"),
    }
    with pytest.raises(LinkTimeout, match="no new file"):
        drop.analyzer.measure(SWEEP)


def test_a_file_of_another_band_is_refused_and_kept(drop: Drop) -> None:
    """A spectrum that misses decades is told with its band, and kept as partial."""
    drop.steps = {2: lambda: shutil.copy(DATA / "exampleData.csv", drop.folder / "a.csv")}
    with pytest.raises(ReplyError, match="were asked"):
        drop.analyzer.measure(Sweep(1e8, 1e-3))
    assert drop.analyzer.partial is not None


def test_rubbish_is_told_in_the_readers_words(drop: Drop) -> None:
    """A file that is no spectrum ends the wait in words of what was looked for."""
    drop.steps = {2: lambda: (drop.folder / "a.csv").write_text("not a spectrum\n")}
    with pytest.raises(ReplyError, match=r"'a\.csv' came and is no spectrum"):
        drop.analyzer.measure(SWEEP)


def test_a_drive_that_is_away_for_a_while_is_waited_for(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network drive may fail between two looks; one that stays away is told."""
    scandir = os.scandir
    away = {"until": 20}

    def flaky(path: Path) -> object:
        if 3 <= drop.looks < away["until"]:
            raise OSError(116, "Stale file handle")
        return scandir(path)

    monkeypatch.setattr("pressopt.instruments.folder_analyzer.os.scandir", flaky)
    drop.steps = {25: lambda: shutil.copy(DATA / "exampleData.csv", drop.folder / "a.csv")}
    whole = read_spectra(DATA / "exampleData.csv")[-1]
    sweep = Sweep(float(whole.frequency_hz.max()), float(whole.frequency_hz.min()))
    assert drop.analyzer.measure(sweep).good.any()
    away["until"] = 10**9
    with pytest.raises(LinkVanished, match="Is the drive mounted"):
        drop.analyzer.measure(sweep)


def test_the_request_says_what_to_measure_and_is_taken_back(drop: Drop) -> None:
    """A person or a script finds band, points and amplitude; afterwards nothing is asked."""
    seen: list[str] = []
    request = drop.folder / "pressopt-request.json"
    drop.steps = {
        2: lambda: seen.append(request.read_text()),
        3: lambda: shutil.copy(DATA / "exampleData.csv", drop.folder / "a.csv"),
    }
    whole = read_spectra(DATA / "exampleData.csv")[-1]
    drop.analyzer.measure(
        Sweep(float(whole.frequency_hz.max()), float(whole.frequency_hz.min()), amplitude_mv=7.0)
    )
    assert '"amplitude_mv": 7.0' in seen[0]
    assert not request.exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Said at once, not after an hour of waiting."""
    with pytest.raises(LinkError, match="no such folder"):
        connect_analyzer("folder-drop-analyzer", FastClock(), str(tmp_path / "nowhere"))
