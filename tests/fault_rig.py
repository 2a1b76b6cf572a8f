"""One cell through a whole trial on the twin, one thing going wrong at one moment, and witnesses of the effect.

The witnesses do not ask the program: the virtual machine tells how often each cell was loaded to its stage's
force and how far the true force ever went, the virtual analyser whether its cell is on.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pressopt.twin.server as served
from pressopt.assembly import SilentWatcher, open_laboratory
from pressopt.campaign import events as e
from pressopt.campaign.experiment import Device, Experiment
from pressopt.campaign.experiment_file import load_experiment
from pressopt.campaign.laboratory import Laboratory
from pressopt.campaign.lifecycle import Phase, PressPhase
from pressopt.campaign.replay import CampaignState, TrialState, replay
from pressopt.campaign.runner import Runner
from pressopt.campaign.watching import StopRequest
from pressopt.clock import FastClock
from pressopt.errors import InstrumentError, JournalError, NeedsPersonError, PressoptError
from pressopt.instruments import MethodScriptAnalyzer, ProfilePress, machine, methodscript_link
from pressopt.instruments.device import RegisterDevice
from pressopt.optimizer.observation import Proposal
from pressopt.pressing import PressReading
from pressopt.pressing.watch import made_safe
from pressopt.profiles import DeviceProfile, load_profile
from pressopt.store import SqliteJournal
from pressopt.store.places import journal_of
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.server import TwinServer
from processes import experiment_file

#: What a cell gets here; the limit of the experiment is 120 MPa.
SETTINGS = {"lamination.pressure_mpa": 25.0, "lamination.dwell_s": 60.0, "lamination.temperature_c": 40.0}
#: Moments at which something can go wrong, in the order of a trial.
PHASES = ("idle", "ramp", "hold", "cool", "sweep", "release")
#: The least that an unshorted pellet of this experiment can have, Ω: 1 mm at 2.6 mS/cm over 1.27 cm².
SEPARATOR_OHM = 30.0
_STEPS = 20


#: In a hurry, all wall times of a wire (reply, silence, coming back) are this share of the profile's.
HURRY = 0.3


class LeftError(BaseException):
    """The program ended here, as by kill -9: nothing after it was done."""


class Fixed:
    """Proposes the same settings for every trial."""

    def __init__(self, settings: dict[str, float] | None = None) -> None:
        self._settings = settings or SETTINGS

    def ask(self, _: object) -> list[Proposal]:
        return [Proposal(dict(self._settings), "always the same", {}, 1.0)]


class WitnessClock(FastClock):
    """Looks at the true force at steps of every sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.bench: VirtualBench | None = None
        self.highest_kn = 0.0

    def sleep_s(self, seconds: float) -> None:
        for _ in range(_STEPS if self.bench is not None and seconds > 0.2 else 1):
            super().sleep_s(seconds / (_STEPS if self.bench is not None and seconds > 0.2 else 1))
            if self.bench is not None:
                with self.bench._lock:
                    bench_s = self.bench._enter()  # lets planned faults and the watchdog happen at their times
                    self.highest_kn = max(self.highest_kn, self.bench._machine.force_kn(bench_s))


@dataclass
class Rig:
    """A laboratory on the twin for one trial; use :func:`rig`."""

    experiment: Experiment
    folder: Path
    clock: WitnessClock
    served: list[TwinServer] = field(default_factory=list)
    loaded: Counter[int] = field(default_factory=Counter)
    states: list[PressReading] = field(default_factory=list)
    laboratory: Laboratory | None = None
    share: float = 1.0

    @property
    def server(self) -> TwinServer:
        return self.served[-1]

    @property
    def bench(self) -> VirtualBench:
        bench = self.server.bench
        assert isinstance(bench, VirtualBench)
        return bench

    def give_up_soon(self) -> None:
        """From now on nobody will answer: do not wait long for it."""
        methodscript_link._LOOK_S = 0.02  # restored with everything else that the rig has patched
        machine._RECONNECT_S = 0.2
        assert self.laboratory is not None
        press, analyzer = self.laboratory.press, self.laboratory.analyzer
        assert isinstance(press, ProfilePress)
        assert isinstance(press.device, RegisterDevice)
        press.device.link._retries, press.device.link._silence_s, press.device._modbus._timeout_s = 1, 0.03, 0.03
        assert isinstance(analyzer, MethodScriptAnalyzer)
        of_link = analyzer.link._profile.link
        analyzer.link._profile = replace(
            analyzer.link._profile, link=replace(of_link, timeout_s=0.1, silence_s=0.1, retries=0)
        )

    def inject(self, fault: str, **values: float) -> None:
        self.bench.inject(fault, **values)

    def run(
        self,
        at: str = "",
        act: Callable[[Rig], None] = lambda _: None,
        *,
        before: Callable[[Rig, Any], None] = lambda *_: None,
        recommender: Any = None,
        after: type[e.Event] | None = None,
        journal: Callable[[SqliteJournal], Any] = lambda each: each,
        experiment: Experiment | None = None,
    ) -> BaseException | None:
        """Run (or go on) until one trial ended; ``act`` happens at phase ``at``, or after an event of ``after``.

        Returns:
            What it left with, or None.
        """
        path = journal_of(self.folder)
        opened = SqliteJournal.open(path) if path.exists() else SqliteJournal.create(path)
        with contextlib.closing(opened):
            laboratory = open_laboratory(experiment or self.experiment, self.folder, clock=self.clock)
            self.clock.bench, self.laboratory = self.bench, laboratory
            try:
                before(self, laboratory)
                stop = StopRequest()
                watcher = _At(self, at, act, after, stop)
                Runner(
                    self.experiment,
                    journal(opened),
                    laboratory,
                    recommender=cast(Any, recommender or Fixed()),
                    watcher=watcher,
                    stop=stop,
                    separator_ohm=lambda _: SEPARATOR_OHM,
                ).run()
                return None
            except (PressoptError, LeftError, ArithmeticError) as error:
                return error
            finally:
                with contextlib.suppress(InstrumentError):
                    laboratory.close()

    def state(self) -> CampaignState:
        with contextlib.closing(SqliteJournal.read(journal_of(self.folder))) as journal:
            journal.verify()
            return replay(journal.entries())

    def blobs(self) -> int:
        """How many raw measurements lie in the store, each of them whole."""
        state = self.state()
        with contextlib.closing(SqliteJournal.read(journal_of(self.folder))) as journal:
            return sum(
                len(journal.blob(taken.measurement)) > 0
                for trial in state.trials.values()
                for taken in trial.measurements
            )

    def say(self, *events: e.Event) -> None:
        with contextlib.closing(SqliteJournal.open(journal_of(self.folder))) as journal:
            for event in events:
                journal.append(event, actor="tester")


class _At(SilentWatcher):
    """Does something once at a moment; stops the campaign after its trial."""

    def __init__(
        self, of: Rig, at: str, act: Callable[[Rig], None], after: type[e.Event] | None, stop: StopRequest
    ) -> None:
        self._rig, self._at, self._act, self._after, self._stop = of, at, act, after, stop
        self._done = False
        self._held = False

    def _now(self, moment: str) -> None:
        if moment == self._at and not self._done:
            self._done = True
            self._act(self._rig)

    def on_entry(self, event: object, state: CampaignState) -> None:
        if isinstance(event, e.Measured | e.TrialRejected):
            self._stop.ask()
            self._now("release")
        if isinstance(event, e.Proposed):
            self._now("idle")
        if self._after is not None and isinstance(event, self._after) and not self._done:
            self._done = True
            self._act(self._rig)

    def on_reading(self, trial: TrialState, reading: object) -> None:
        assert isinstance(reading, PressReading)
        self._rig.states.append(reading)
        full = 0.9 * self._rig.experiment.cell.die.force_kn(SETTINGS["lamination.pressure_mpa"])
        if reading.setpoint_kn > full:
            if reading.force_kn > full and reading.state.value == "hold":
                self._held = True
                self._now("hold")
            elif not self._held and reading.force_kn > 0.2 * full:
                self._now("ramp")
        elif self._held:
            self._now("cool")

    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        if done == 5:
            self._now("sweep")


@functools.cache
def _experiment(trials: int) -> Experiment:
    """Read once: it is checked at length, and frozen."""
    with tempfile.TemporaryDirectory() as folder:
        return load_experiment(experiment_file(Path(folder), trials=trials))


@contextlib.contextmanager
def rig(
    folder: Path, monkeypatch: Any, *, serial: bool = False, trials: int = 5, hurry: bool = False
) -> Iterator[Rig]:
    """A rig whose machine counts how often each cell was brought to its stage's force anew.

    Args:
        folder: For journal and twin.
        monkeypatch: Pytest's.
        serial: The press is on a serial line, where checksums and echoes are.
        trials: Budget.
        hurry: Wait for wires a share (:data:`HURRY`) of what the profiles say.
    """
    made = Rig(_experiment(trials), folder / "campaign", WitnessClock(), share=HURRY if hurry else 1.0)
    if serial:
        plan = replace(made.experiment.laboratory, press=Device("generic-plc-press-rtu"))
        made.experiment = replace(made.experiment, laboratory=plan)
    full = 0.9 * made.experiment.cell.die.force_kn(SETTINGS["lamination.pressure_mpa"])

    class Watched(TwinServer):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            made.served.append(self)

    class Counted(VirtualBench):
        def start(self) -> None:
            asked, under_way = self._machine.state.setpoint_kn, self._machine.force
            # A start whose reply was lost is sent again: the machine is on its way already, and goes on.
            again = under_way.kind == "drive" and under_way.to_kn == asked
            super().start()
            if asked > full and not again:
                made.loaded[self._machine.state.loaded] += 1

    def dies(make_safe: Callable[[], None], leaving: BaseException) -> None:
        if not isinstance(leaving, LeftError):  # who is killed makes nothing safe
            made_safe(make_safe, leaving)

    def hurried(name: str) -> DeviceProfile:
        loaded = load_profile(name)
        link = loaded.link
        timeout_s, silence_s = made.share * link.timeout_s, made.share * link.silence_s
        # Short waits on a busy computer: a reply that comes too late for one of them is asked for again.
        retries = link.retries + (3 if hurry else 0)
        return replace(loaded, link=replace(link, timeout_s=timeout_s, silence_s=silence_s, retries=retries))

    with monkeypatch.context() as patch:
        patch.setattr("pressopt.assembly.laboratory.load_profile", hurried)
        patch.setattr(machine, "_RECONNECT_S", made.share * machine._RECONNECT_S)
        patch.setattr(methodscript_link, "_LOOK_S", made.share * methodscript_link._LOOK_S)
        patch.setattr("pressopt.campaign.runner.made_safe", dies)
        patch.setattr(served, "TwinServer", Watched)
        patch.setattr("pressopt.twin.laboratory.VirtualBench", Counted)
        yield made


def verdict_of(of: Rig, left: BaseException | None) -> str:
    """What became of the trial, in one word; raises AssertionError where a promise is broken.

    ``once``: pressed and measured once. ``asks``: a person has to look before anything moves. ``waits``: nothing
    was pressed. ``broken off``: the program ended and a new one has to go on.
    """
    state = of.state()
    assert all(count <= 1 for count in of.loaded.values()), f"pressed twice: {of.loaded}"
    assert all(trial.pressings <= 1 for trial in state.trials.values())
    recorded = sum(len(trial.measurements) for trial in state.trials.values())
    assert of.blobs() == recorded, "a measurement was lost"
    trial = state.trials.get(1, TrialState(1))
    unsafe = {PressPhase.SAFE, PressPhase.GONE} & set(state.presses.values())
    if trial.phase in {Phase.FAULTED, Phase.UNCERTAIN} or (unsafe and trial.phase is not Phase.DONE):
        assert isinstance(left, NeedsPersonError | InstrumentError), left
        return "asks" if trial.pressings else "waits"
    if trial.phase is Phase.DONE:
        assert trial.pressings == 1
        return "once, then asks" if unsafe or left is not None else "once"
    if isinstance(left, LeftError | JournalError):
        return "broken off"
    assert trial.pressings == 0, (trial.phase, left)
    return "waits"


def hands_off(of: Rig) -> None:
    """Nobody has the laboratory any more: cells are off, and the machine is open or its own guard has the force.

    Time goes on for as long as the machine's watchdog waits and releases.
    """
    for analyzer in of.server.analyzers.values():
        assert not analyzer.cell_is_on, "the cell was left on"
    of.clock.sleep_s(30.0)
    shown = of.bench.plant()
    locked = shown.fault_code != 0  # the machine tripped by itself and keeps its valve locked, or released
    assert locked or shown.force_kn < 0.05, f"{shown.force_kn} kN are on and nobody watches"
