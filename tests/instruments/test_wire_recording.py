"""Bytes of every exchange are written down, and what was written down answers a driver as the device did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pressopt.assembly import WIRES, begin_campaign
from pressopt.clock import FastClock
from pressopt.errors import LinkRefused, LinkTimeout
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments import connect_analyzer, connect_press
from pressopt.instruments.recording import WireRecorder
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.profiles import load_profile
from pressopt.store.places import journal_of
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.replay import ReplayDevice, load_recording
from pressopt.twin.server import TwinServer
from pressopt.twin.wires import PtyPort, TcpPort

METAL = Layer("Li", Role.ELECTRODE, 100.0)
CELL = Cell((METAL, Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0), METAL), Die(10.0), 10.0)
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.mark.parametrize(
    ("name", "kind"), [("generic-plc-press-tcp", TcpPort), ("generic-plc-press-rtu", PtyPort),
                       ("generic-line-press", PtyPort)]
)  # fmt: skip
def test_a_recorded_press_is_replayed_reading_by_reading(
    name: str, kind: type[PtyPort] | type[TcpPort], tmp_path: Path
) -> None:
    """A press that was driven is recorded; a second driver meets the same identity and the same readings."""
    clock = FastClock()
    bench = VirtualBench(CELL, seed=3, clock=clock)
    file = tmp_path / "wires.jsonl"

    def session(url: str, recorder: WireRecorder | None) -> list[tuple[float, float, str]]:
        press = connect_press(name, FastClock(), url, tap=recorder.tap("press") if recorder else None)
        said = []
        press.command(force_kn=5.0, ramp_kn_s=1.0, temperature_c=60.0)
        for _ in range(20):
            if recorder is not None:
                clock.sleep_s(0.5)
            reading = press.read()
            said.append((reading.force_kn, reading.temperature_c, reading.state.value))
        press.make_safe()
        press.close()
        return said

    with TwinServer(bench, {"press": load_profile(name)}, clock) as server, WireRecorder(file) as recorder:
        driven = session(server.urls["press"], recorder)
    recorded = load_recording(file)
    assert list(recorded) == ["press"]
    device = ReplayDevice(recorded["press"])
    with kind(device) as port:
        replayed = session(port.url, None)
    assert replayed == driven
    assert len(set(driven)) > 10  # the press moved while it was recorded
    assert device.unknown == []


def test_a_recorded_analyzer_streams_its_spectrum_again(tmp_path: Path) -> None:
    """One question with many answering lines is replayed as a whole."""
    clock = FastClock()
    bench = VirtualBench(CELL, seed=3, clock=clock)
    bench.load_cell(1)
    name, file, sweep = "generic-methodscript-analyzer", tmp_path / "wires.jsonl", Sweep(1e5, 1e2, 4)
    with TwinServer(bench, {"analyzer": load_profile(name)}, clock) as server, WireRecorder(file) as recorder:
        analyzer = connect_analyzer(name, clock, server.urls["analyzer"], tap=recorder.tap("analyzer"))
        measured = analyzer.measure(sweep)
        analyzer.close()
    with PtyPort(ReplayDevice(load_recording(file)["analyzer"])) as port:
        again = connect_analyzer(name, FastClock(), port.url)
        assert (again.measure(sweep).impedance_ohm == measured.impedance_ohm).all()
        again.close()


def test_what_was_never_asked_is_not_answered(tmp_path: Path) -> None:
    """A replayed device makes nothing up: a question that is not in the recording times out."""
    file = tmp_path / "wires.jsonl"
    clock = FastClock()
    bench = VirtualBench(CELL, seed=3, clock=clock)
    name = "generic-line-press"
    with TwinServer(bench, {"press": load_profile(name)}, clock) as server, WireRecorder(file) as recorder:
        press = connect_press(name, clock, server.urls["press"], tap=recorder.tap("press"))
        press.read()
        press.close()
    device = ReplayDevice(load_recording(file)["press"])
    with PtyPort(device) as port:
        press = connect_press(name, clock, port.url)
        press.read()
        with pytest.raises(LinkTimeout):
            press.device.act("set_force_kn", 1.0)
        press.close()
    assert device.unknown


def test_a_campaign_records_what_its_profile_asks_for(tmp_path: Path) -> None:
    """``link.record`` in a profile leaves wires.jsonl in the campaign's folder, a line for each part."""
    (tmp_path / "press.toml").write_text(
        'extends = "generic-joined-press"\nname = "mine"\n[parts.plc.link]\nrecord = true\n'
    )
    text = (EXPERIMENTS / "li-lpscl-symmetric.toml").read_text(encoding="utf-8")
    devices = 'press = { profile = "press.toml" }\nanalyzer = { profile = "keysight-e4980a" }'
    text = text.replace('[laboratory]\nkind = "twin"', f'[laboratory]\nkind = "twin"\n{devices}', 1)
    text = text.replace('name = "physics-gp"', 'name = "sobol"')
    text = text.replace('low = "1 Hz", high = "1 MHz"', 'low = "1 kHz", high = "1 MHz"')
    file = tmp_path / "e.toml"
    file.write_text(text, encoding="utf-8")
    with begin_campaign(file, store=tmp_path / "campaign", trials=1) as campaign:
        campaign.run()
    assert len(campaign.state.trials) == 1
    assert journal_of(campaign.folder).exists()
    rows = [json.loads(row) for row in (campaign.folder / WIRES).read_text().splitlines()]
    assert {row["line"] for row in rows if "line" in row} == {"press.plc", "press.top", "press.cell"}
    assert all(bytes.fromhex(row["hex"]) for row in rows if "hex" in row)


@pytest.mark.parametrize(
    "text", ["nonsense\n", '{"line": "press", "way": "tx"}\n', '{"line": 1, "way": 2, "hex": "xyz"}\n']
)
def test_what_is_no_recording_is_refused(text: str, tmp_path: Path) -> None:
    """The row is named."""
    file = tmp_path / "wires.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match="row 1"):
        load_recording(file)


def test_a_recording_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Nothing is connected without the recording that was asked for."""
    with pytest.raises(LinkRefused, match="cannot be written"):
        WireRecorder(tmp_path / "nowhere" / "wires.jsonl")
