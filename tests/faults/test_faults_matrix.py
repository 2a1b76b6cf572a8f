"""The fault matrix: all that is known to go wrong, in every phase of a trial where it can, and what came of it.

Each case is one cell through a whole trial on the twin, over its wires. The outcomes are written to
docs/faults.md by the run: quick cases bring their cells of the table up to date, long ones fill in the rest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fault_rig import PHASES, SETTINGS, Fixed, LeftError, Rig, hands_off, rig, verdict_of
from fault_table import FaultTable
from pressopt.campaign import events as e
from pressopt.campaign.lifecycle import CampaignPhase, Phase
from pressopt.clock import utc_now
from pressopt.errors import InstrumentError, JournalFull, LinkRefused, NeedsPersonError
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments import connect_press
from pressopt.instruments.methodscript_text import sweep_script
from pressopt.pressing import PressReading
from pressopt.store import SqliteJournal
from pressopt.twin.faults import Fault
from pressopt.twin.modbus import ExceptionCode

Act = Callable[[Rig], None]
RUNNING = ("ramp", "hold", "cool")
LOADED = (*RUNNING, "sweep")
MOVING = ("idle", *LOADED)


@dataclass(frozen=True)
class Row:
    """One line of the matrix.

    Attributes:
        number: As in the matrix.
        title: What goes wrong.
        act: How.
        expected: Phase -> what may come of it.
    """

    number: str
    title: str
    act: Act
    expected: dict[str, set[str]]


def everywhere(outcome: str | set[str], *phases: str) -> dict[str, set[str]]:
    return {phase: {outcome} if isinstance(outcome, str) else outcome for phase in phases or PHASES}


def happens(fault: str, **values: float) -> Act:
    return lambda of: of.inject(fault, **values)


def on_line(fault: Fault, *, times: int = 1, role: str = "press", delay_s: float | None = None) -> Act:
    def act(of: Rig) -> None:
        faults = of.server.ports[role].faults
        if delay_s is not None:
            faults.delay_s = delay_s * of.share
        faults.plan(fault, times=times)

    return act


def refuses(code: ExceptionCode, *, times: int = 1) -> Act:
    return lambda of: of.server.slaves["press"].refuse_next(code, times=times)


def vanishes(for_s: float) -> Act:
    return lambda of: of.server.ports["press"].vanish(for_s * of.share)


def for_good(act: Act) -> Act:
    """Nobody will answer any more: the program is not to wait for that as long as it would."""

    def happens_for_good(of: Rig) -> None:
        act(of)
        if of.share < 1:
            of.give_up_soon()

    return happens_for_good


def another_device(of: Rig) -> None:
    of.server.banks["press"].faults.model = 4711
    of.server.ports["press"].vanish(0.05)


def drops_the_reply_to_start(of: Rig) -> None:
    """The machine starts, and the program is not told: it must ask again, and must not press again."""
    start = of.bench.start

    def starts() -> None:
        start()
        of.bench.start = start  # type: ignore[method-assign]
        of.server.ports["press"].faults.plan(Fault.DROP)

    of.bench.start = starts  # type: ignore[method-assign]


def ignores(action: str) -> Act:
    return lambda of: of.server.banks["press"].faults.ignored.add(action)


ASKS_ALL = {"idle": {"waits"}, **everywhere("asks", *LOADED), "release": {"once, then asks"}}
NOTICED = everywhere("once", *PHASES)
NOT_DONE = everywhere("asks", "idle", "ramp", "hold") | everywhere("once, then asks", "cool", "sweep", "release")
BAD_CODES = (ExceptionCode.ILLEGAL_FUNCTION, ExceptionCode.ILLEGAL_ADDRESS, ExceptionCode.ILLEGAL_VALUE)

ROWS = (
    Row("L1", "a reply is dropped once", on_line(Fault.DROP), NOTICED),
    Row("L1", "the reply to a start is dropped", drops_the_reply_to_start, everywhere("once", "idle", "hold")),
    Row("L1", "no reply any more", for_good(on_line(Fault.DROP, times=100)), ASKS_ALL),
    Row("L2", "a reply comes after its time-out", on_line(Fault.DELAY, delay_s=0.7), NOTICED),
    Row("L3", "one bit of a reply is flipped", on_line(Fault.CORRUPT), NOTICED),
    Row("L3", "half a reply", on_line(Fault.HALF), NOTICED),
    Row("L3", "noise before a reply", on_line(Fault.NOISE), NOTICED),
    Row("L3", "a reply byte by byte", on_line(Fault.TRICKLE), NOTICED),
    Row("L3", "the adapter echoes once", on_line(Fault.ECHO), NOTICED),
    *(Row("L4", f"exception {code} ({code.name.lower().replace('_', ' ')})", refuses(code, times=3), ASKS_ALL)
      for code in BAD_CODES),
    Row("L4", "exception 4 (device failure)", refuses(ExceptionCode.DEVICE_FAILURE, times=3), ASKS_ALL),
    Row("L4", "exception 6 (busy), once", refuses(ExceptionCode.DEVICE_BUSY), NOTICED),
    Row("L5", "the line vanishes for 0.2 s", vanishes(0.2), NOTICED),
    Row("L5", "the line vanishes for 2 s", vanishes(2.0), NOTICED),
    Row("L5", "the line vanishes for 20 s", for_good(vanishes(20.0)), ASKS_ALL),
    Row("L6", "another device answers when the line is back", another_device, ASKS_ALL),
    Row("L8", "a force set point is accepted and not applied", ignores("set_force_kn"),
        NOT_DONE),
    Row("L8", "a start is accepted and not done", ignores("start"),
        NOT_DONE),
    Row("P1", "leak-down 0.1 %/min", happens("leak", per_min=0.001), everywhere("once", *MOVING)),
    Row("P1", "leak-down 1 %/min", happens("leak", per_min=0.01), everywhere("once", *MOVING)),
    Row("P1", "leak-down 5 %/min", happens("leak", per_min=0.05), everywhere("once", *MOVING)),
    Row("P2", "overshoot of 30 %", happens("overshoot", rel=0.3), everywhere("once", "idle")),
    Row("P2", "the force runs away at 1 kN/s", happens("runaway", rate_kn_s=1.0),
        everywhere("asks", *LOADED) | everywhere("once", "release")),
    Row("P3", "the guard opens", happens("guard_open"), ASKS_ALL),
    Row("P3", "emergency stop", happens("estop"), ASKS_ALL),
    Row("P3", "remote key turned to local", happens("remote_off"), ASKS_ALL),
    Row("P4", "thermocouple open", happens("open_thermocouple"), ASKS_ALL),
    Row("P4", "temperature stuck", happens("stuck_thermocouple"),
        everywhere("asks", "idle", "ramp", "hold", "cool") | everywhere("once", "sweep", "release")),
    Row("P4", "heater stuck on", happens("heater_stuck"),
        everywhere("asks", *RUNNING) | everywhere("once", "idle", "sweep", "release")),
    Row("P5", "power fails and returns", happens("power_fail"), ASKS_ALL),
    Row("P6", "die or pellet breaks", happens("die_fracture"),
        everywhere("asks", *LOADED) | everywhere("once, then asks", "release")),
    Row("P6", "the sample is squeezed out", happens("extrusion", mm=0.8),
        everywhere("asks", "hold") | everywhere("once", "ramp", "cool", "sweep")),
    Row("P7", "somebody changes the set point at the panel", happens("panel_setpoint", force_kn=4.0),
        everywhere("asks", *LOADED) | everywhere("once", "idle", "release")),
)  # fmt: skip


def at_both_speeds(row: Row, phase: str = "") -> list[Any]:
    """One case in a hurry; where a wire is waited for, in `make test-long` also with the profile's own times."""
    name = f"{row.number}-{row.title}" + (f"-{phase}" if phase else "")
    values = (row, phase) if phase else (row,)
    cases = [pytest.param(*values, True, id=name)]
    if row.number.startswith("L") or "analyser" in row.title:
        cases.append(pytest.param(*values, False, id=f"{name}-in full", marks=pytest.mark.long))
    return cases


CASES = [case for row in ROWS for phase in row.expected for case in at_both_speeds(row, phase)]


@pytest.fixture(scope="module")
def table() -> Iterator[FaultTable]:
    with FaultTable() as written:
        yield written


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Rig]:
    given = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    row = given.get("row")
    serial = isinstance(row, Row) and row.number in ("L1", "L2", "L3")
    with rig(tmp_path, monkeypatch, serial=serial, hurry=given.get("hurry", True)) as made:
        yield made


def within_limits(bench: Rig) -> None:
    """The true force never went beyond the experiment's limit by more than one period of control."""
    limit_kn = bench.experiment.cell.die.force_kn(120.0)
    assert bench.clock.highest_kn <= 1.03 * limit_kn + 1.0 * 2.0, bench.clock.highest_kn


@pytest.mark.parametrize(("row", "phase", "hurry"), CASES)
def test_whatever_goes_wrong_with_press_or_line(
    row: Row, phase: str, hurry: bool, bench: Rig, table: FaultTable
) -> None:
    """The cell is pressed exactly once or a person is asked; limits hold; nothing stays loaded, on or lost."""
    left = bench.run(phase, row.act)
    found = verdict_of(bench, left)
    assert found in row.expected[phase], (found, left)
    within_limits(bench)
    for port in bench.server.ports.values():
        port.faults.clear()
    hands_off(bench)
    table.tell(row.number, row.title, phase, found)


# ---------------------------------------------------------------------- the analyser and the cell (E)


def analyzer(**values: Any) -> Act:
    def act(of: Rig) -> None:
        faults = of.server.analyzers["analyzer"].faults
        for name, value in values.items():
            setattr(faults, name, value)

    return act


def seen_as(change: Callable[[float, complex, int], complex]) -> Act:
    """The analyser sees another impedance: ``change`` of frequency, impedance and number of the look."""

    def act(of: Rig) -> None:
        looks, exact = iter(range(10**6)), of.bench.impedance_ohm
        of.bench.impedance_ohm = (  # type: ignore[method-assign]
            lambda frequency_hz, *, at_s: change(frequency_hz, exact(frequency_hz, at_s=at_s), next(looks))
        )

    return act


def streams(of: Rig) -> None:
    """Somebody's sweep runs on the device when ours begins."""
    script = sweep_script(Sweep(high_hz=1e3, low_hz=1.0), low_range_a=1e-7, high_range_a=1e-2)
    of.server.analyzers["analyzer"].start_streaming(script.removeprefix("e\n"))


ANALYSER = (
    Row("E1", "points overload", analyzer(overload_points={20, 21, 22}),
        {"sweep": {"once", "once: with reasons"}}),
    Row("E1", "points come as NaN", analyzer(nan_points={20, 21}), {"sweep": {"once", "once: with reasons"}}),
    Row("E2", "open cell", seen_as(lambda f, z, n: 1e9 + 0j), {"sweep": {"once: open"}}),
    Row("E2", "shorted cell", seen_as(lambda f, z, n: 3.0 + 1e-9j * f), {"sweep": {"once: shorted"}}),
    Row("E2", "drift of 15 % in the sweep", seen_as(lambda f, z, n: z * (1 + 0.15 * (n % 61) / 60)),
        {"sweep": {"once: no value", "once: with reasons"}}),
    Row("E2", "the contact slips in the sweep", seen_as(lambda f, z, n: z * (1.0 if n % 61 < 30 else 1.6)),
        {"sweep": {"once: no value", "once: with reasons"}}),
    Row("E2", "mains hum", seen_as(lambda f, z, n: z * (1.3 if 40 < f < 60 else 1.0)),
        {"sweep": {"once: no value", "once: with reasons", "once"}}),
    Row("E2", "inductive tail", seen_as(lambda f, z, n: z + 2j * math.pi * f * 2e-6),
        {"sweep": {"once", "once: with reasons", "once: no value"}}),
    Row("E3", "the script is refused", analyzer(refuse_script=0x4001), {"sweep": {"asks"}}),
    Row("E3", "run-time error in the sweep", analyzer(break_at=5), {"sweep": {"asks"}}),
    Row("E3", "the sweep ends by itself", analyzer(abort_at=5), {"sweep": {"asks"}}),
    Row("E3", "the device streams for a crashed program", streams, {"sweep": {"once"}}),
    Row("E3", "the analyser falls silent", for_good(analyzer(mute_at=5)), {"sweep": {"asks"}}),
    Row("E3", "no reply of the analyser any more", for_good(on_line(Fault.DROP, times=10**4, role="analyzer")),
        {"sweep": {"asks"}}),
)  # fmt: skip


@pytest.mark.parametrize(("row", "hurry"), [case for row in ANALYSER for case in at_both_speeds(row)])
def test_whatever_goes_wrong_with_analyser_or_cell(row: Row, hurry: bool, bench: Rig, table: FaultTable) -> None:
    """A short or an open cell is a finding, a bad spectrum no number, a broken sweep asks; the cell goes off."""
    left = bench.run("", row.act, after=e.PressingFinished)
    found = verdict_of(bench, left)
    trial = bench.state().trial(1)
    if found == "once":
        found = f"once: {trial.verdict}" if trial.verdict in ("shorted", "open") else found
        if found == "once" and not trial.outcomes:
            found = "once: no value"
        elif found == "once" and any("leads dominate" not in reason for reason in trial.reasons):
            found = "once: with reasons"
    assert found in row.expected["sweep"], (found, left, trial.reasons)
    for port in bench.server.ports.values():
        port.faults.clear()
    hands_off(bench)
    table.tell(row.number, row.title, "sweep", found)


def test_a_second_process_is_refused_the_instrument(bench: Rig, table: FaultTable, tmp_path: Path) -> None:
    """E4: a serial line that a program owns is not opened by another one."""
    from pressopt.profiles import load_profile
    from pressopt.twin.server import TwinServer

    profile = load_profile("generic-plc-press-rtu")
    refused = []

    def second(of: Rig) -> None:
        with TwinServer(of.bench, {"rtu": profile}, of.clock) as server:
            first = connect_press(profile, of.clock, server.urls["rtu"])
            with pytest.raises(LinkRefused) as told:
                connect_press(profile, of.clock, server.urls["rtu"])
            refused.append(str(told.value))
            first.close()

    assert bench.run("hold", second) is None
    assert refused
    table.tell("E4", "a second process wants the instrument", "hold", "refused")


# ---------------------------------------------------------------------- the campaign (C)

KINDS = (e.Proposed, e.Loaded, e.PressingStarted, e.PressingFinished, e.SpectrumRecorded, e.Measured)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_program_ends_after_a_record(kind: type[e.Event], bench: Rig, table: FaultTable) -> None:
    """C1: taken up again the cell is pressed exactly once, or asks where the ram may have moved."""

    def leave(_: Rig) -> None:
        raise LeftError

    left = bench.run("", leave, after=kind)
    assert isinstance(left, LeftError)
    again = bench.run()
    found = verdict_of(bench, again)
    assert found == ("asks" if kind is e.PressingStarted else "once"), again
    hands_off(bench)
    table.tell("C1", f"killed after {kind.__name__}", "resume", found)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_disk_is_full_at_a_record(kind: type[e.Event], bench: Rig, table: FaultTable) -> None:
    """C2: what cannot be written down is not begun; the press is made safe, and the campaign can be taken up."""

    class Full:
        """A journal that cannot take one kind of record."""

        def __init__(self, journal: SqliteJournal) -> None:
            self._journal = journal

        def __getattr__(self, name: str) -> Any:
            return getattr(self._journal, name)

        def append(self, *events: e.Event, **more: Any) -> None:
            if any(isinstance(event, kind) for event in events):
                raise JournalFull("disk full; nothing moves until it can be written")
            self._journal.append(*events, **more)

    left = bench.run(journal=Full)
    assert isinstance(left, JournalFull)
    shown = bench.bench.plant()
    assert shown.state in ("idle", "release"), "the press is being opened"
    if kind in (e.Proposed, e.Loaded, e.PressingStarted):
        assert not bench.loaded, "nothing moved that was not written down"
    again = bench.run()
    found = verdict_of(bench, again)
    # A cell whose pressing could not be written down was pressed: nobody may press it again by itself.
    assert found in ({"asks"} if kind in (e.PressingFinished, e.SpectrumRecorded) else {"once"}), again
    hands_off(bench)
    table.tell("C2", f"disk full at {kind.__name__}", "resume", found)


@pytest.mark.parametrize("hours", [1, -1])
def test_the_wall_clock_jumps(hours: int, bench: Rig, table: FaultTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """C3: an hour forth or back in the dwell changes neither dwell nor order of the journal."""

    def jump(_: Rig) -> None:
        jumped = timedelta(hours=hours)
        monkeypatch.setattr("pressopt.store.sqlite_journal.utc_now", lambda: utc_now() + jumped)

    left = bench.run("hold", jump)
    assert verdict_of(bench, left) == "once"
    assert bench.state().trial(1).achieved["lamination.dwell_s"] == pytest.approx(60.0, abs=2.0)
    table.tell("C3", f"the wall clock jumps by {hours:+d} h", "hold", "once")


def test_the_optimizer_raises(bench: Rig, table: FaultTable) -> None:
    """C5: nothing moves, the campaign is paused with the reason."""

    class Raises:
        def ask(self, _: object) -> Any:
            raise ArithmeticError("the kernel is not positive")

    bench.run(recommender=Raises())
    state = bench.state()
    assert (state.phase, state.trials, dict(bench.loaded)) == (CampaignPhase.PAUSED, {}, {})
    table.tell("C5", "the optimizer raises", "idle", "waits")


def test_the_optimizer_proposes_outside_the_limits(bench: Rig, table: FaultTable) -> None:
    """C5: limits are checked where the proposal is made, and nothing moves."""
    bench.run(recommender=Fixed({**SETTINGS, "lamination.pressure_mpa": 500.0}))
    state = bench.state()
    assert (state.phase, state.trials, dict(bench.loaded)) == (CampaignPhase.PAUSED, {}, {})
    table.tell("C5", "the optimizer proposes outside the limits", "idle", "waits")


def test_limits_are_checked_again_at_the_device(bench: Rig) -> None:
    """C5: whoever got past every check above is refused by the driver, before a write."""

    def forget(of: Rig, laboratory: Any) -> None:
        with pytest.raises(ValueError, match="kN is asked"):
            laboratory.press.command(force_kn=500.0, ramp_kn_s=1.0, temperature_c=25.0)
        assert of.bench.plant().setpoint_kn == 0.0

    assert bench.run(before=forget) is None


@pytest.mark.parametrize(
    ("title", "answer"),
    [
        ("a person enters another unit", {"gauge": 30.0}),
        ("a person enters what cannot be", {"gauge": -3.0}),
        ("a person enters two values", {"gauge": 0.3, "again": 0.5}),
        ("a person says nothing", {}),
    ],
)
def test_a_person_errs(title: str, answer: dict[str, float], table: FaultTable) -> None:
    """C4: the answer is not taken, and the same question stands again with what was wrong."""
    from pressopt.pressing.by_hand import Answer, Field, Kind, Question, problem_of

    question = Question(1, Kind.PUMP, "", (), (Field("gauge", "the gauge", "tf", 0.0, 15.0, 0.32, 0.08),))
    values = {key: value for key, value in answer.items() if key == "gauge"}
    again = {"gauge": answer["again"]} if "again" in answer else values
    assert problem_of(question, Answer(1, values, again))
    table.tell("C4", title, "by hand", "asked again")


def test_after_an_answer_the_campaign_goes_on(bench: Rig) -> None:
    """A faulted cell that a person discards is not pressed again, and the next one is pressed once."""
    bench.run("hold", happens("guard_open"))
    press = next(iter(bench.state().presses))
    bench.say(e.FaultCleared(press, by="tester"), e.Resolved(1, "discard", by="tester"))
    left = bench.run(before=lambda of, _: of.inject("guard_closed"))
    assert left is None
    assert [trial.phase for trial in bench.state().trials.values()] == [Phase.REJECTED, Phase.DONE]
    assert bench.loaded == {1: 1, 2: 1}


def test_an_over_limit_is_stopped_within_one_period_at_10_hz(bench: Rig) -> None:
    """P2: the first reading above the limit is the last; the force goes on for a tenth of a second at most."""
    from pressopt.errors import StageFailedError
    from pressopt.pressing import Limits
    from pressopt.pressing.execution import execute
    from pressopt.pressing.watch import Poll, Tolerance

    seen: list[PressReading] = []
    limit_kn = bench.experiment.cell.die.force_kn(30.0)

    def press(of: Rig, laboratory: Any) -> None:
        laboratory.changer.load(9)

        def on_reading(reading: PressReading) -> None:
            seen.append(reading)
            if (
                reading.state.value == "hold"
                and reading.setpoint_kn > 3
                and of.bench._machine.force.kind == "drive"
            ):
                of.inject("runaway", rate_kn_s=1.0)

        with pytest.raises(StageFailedError):
            execute(
                laboratory.press,
                of.clock,
                of.experiment.protocol(SETTINGS),
                of.experiment.cell,
                dataclasses.replace(Limits(), pressure_mpa=30.0),
                poll=Poll(0.1, 0.1),
                tolerance=Tolerance(overshoot_rel=1.0, out_of_band_s=1e6),
                on_reading=on_reading,
            )
        raise LeftError

    assert isinstance(bench.run(before=press), LeftError)
    over = [reading for reading in seen if reading.force_kn > 1.03 * limit_kn]
    assert len(over) == 1, "the first reading above it was the last"
    assert bench.clock.highest_kn <= 1.03 * limit_kn + 1.0 * 0.1 + 0.02


def test_while_the_line_is_down_the_machine_s_own_watchdog_acts(bench: Rig, table: FaultTable) -> None:
    """Line gone in the hold: the press is loaded when the program gives up, and released by its PLC soon after."""
    left = bench.run("hold", for_good(on_line(Fault.DEAF, times=1000)))
    assert isinstance(left, InstrumentError | NeedsPersonError), left
    assert bench.bench.plant().force_kn > 2.0, "nobody could tell the press to stop"
    bench.clock.sleep_s(30.0)
    shown = bench.bench.plant()
    assert (shown.fault_code, round(shown.force_kn, 1)) == (4, 0.0), "heartbeat lost, released"
    table.tell("L1", "the device hears nothing any more", "hold", "asks")
