"""The laboratory of an experiment: devices connected by their profiles, or a twin served and connected to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from pressopt.campaign.by_hand import Follower
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.laboratory import Laboratory
from pressopt.clock import AttendedClock, Clock, FastClock, WallClock
from pressopt.errors import DeviceFault, ExperimentError
from pressopt.instruments import (
    ManualPress,
    connect_analyzer,
    connect_changer,
    connect_cycler,
    connect_indicator,
    connect_laminator,
    connect_meter,
    connect_press,
    manual,
)
from pressopt.instruments.line import Tap
from pressopt.instruments.methodscript_link import MethodScriptLink
from pressopt.instruments.recording import WireRecorder, WireTap
from pressopt.pressing import PressCapability
from pressopt.pressing.allowed import most_kn
from pressopt.pressing.watch import watched
from pressopt.profiles import DeviceProfile, load_profile

#: Name of the file in a campaign's folder in which the twin keeps its physical world over a killed process.
TWIN_WORLD = "twin-world.json"
#: Name of the file in a campaign's folder that holds recorded bytes.
WIRES = "wires.jsonl"


#: How often the press is looked at while something else is measured, s: each look keeps its heartbeat.
ATTENTION_S = 2.0
#: Roles that a device can play in a laboratory, as experiment files name them.
ROLES = ("press", "laminator", "analyzer", "meter", "cycler")


def open_laboratory(experiment: Experiment, folder: Path, *, clock: Clock | None = None) -> Laboratory:
    """Connect the instruments that the experiment names, or serve a twin and connect to that.

    Args:
        experiment: Its ``laboratory`` says which devices.
        folder: Of the campaign; a twin keeps its world there.
        clock: Laboratory time; default: at once on the twin, real on a bench.

    Raises:
        ProfileError: A device profile is wrong.
        InstrumentError: A line cannot be opened or another device answers.
    """
    wanted = experiment.laboratory
    devices = {role: device for role in ROLES if (device := getattr(wanted, role)) is not None}
    profiles = {role: load_profile(beside(experiment, device.profile)) for role, device in devices.items()}
    urls = {role: device.url for role, device in devices.items() if device.url is not None}
    on_close: list[Callable[[], None]] = []
    follower: Follower | None = None
    if wanted.kind == "twin":
        clock = clock or FastClock(_twin_time_s(folder))
        urls, follower, stop = _serve_twin(experiment, folder, profiles, _wired(profiles), clock)
        on_close.append(stop)
    clock = clock or WallClock()
    laboratory = Laboratory(clock=clock, on_close=on_close)
    worked = [role for role, profile in profiles.items() if profile.link.engine == "person"]
    if worked:
        laboratory.follower = follower
        machine = manual(profiles[worked[0]], clock, experiment.cell.die)
        laboratory.by_hand = machine.by_hand
        if isinstance(machine, ManualPress):
            laboratory.press = machine
        else:
            laboratory.laminator = machine
    wired = _wired(profiles)
    try:
        taps = _taps(wired, folder, on_close)
        automatic = wanted.loading == "automatic" and not worked
        return _connect(experiment, laboratory, wired, urls, taps, automatic=automatic)
    except BaseException:
        laboratory.close()
        raise


def beside(experiment: Experiment, profile: str) -> str:
    """Return the path of a profile file that the experiment names relative to itself, or the shipped name."""
    path = experiment.path.parent / profile
    return str(path) if profile.endswith(".toml") else profile


def _wired(profiles: Mapping[str, DeviceProfile]) -> dict[str, DeviceProfile]:
    """The devices with a wire, by role: all but a machine that a person works, with the indicator beside them."""
    wired = {role: profile for role, profile in profiles.items() if profile.link.engine != "person"}
    for role, profile in profiles.items():
        if role not in wired:
            wired.update(profile.parts)
    return wired


def _serve_twin(
    experiment: Experiment,
    folder: Path,
    profiles: Mapping[str, DeviceProfile],
    wired: Mapping[str, DeviceProfile],
    clock: Clock,
) -> tuple[dict[str, str], Follower, Callable[[], None]]:
    """Start the virtual laboratory behind real wires.

    Returns:
        Where its devices answer, what follows a person at a press without wires, and how to stop it.
    """
    from pressopt.twin.follower import BenchFollower
    from pressopt.twin.laboratory import BenchRefusal, VirtualBench
    from pressopt.twin.server import TwinServer, press_spec, roll_spec

    press, laminator = profiles.get("press"), profiles.get("laminator")
    try:
        bench = VirtualBench(
            experiment.cell,
            seed=experiment.laboratory.seed,
            clock=clock,
            press=press_spec(press) if press is not None else None,
            roll=roll_spec(laminator) if laminator is not None else None,
            state_path=folder / TWIN_WORLD,
            rolled=laminator is not None,
        )
    except BenchRefusal as refusal:
        raise DeviceFault(str(refusal)) from refusal
    server = TwinServer(bench, wired, clock)
    server.__enter__()
    return dict(server.urls), BenchFollower(bench, clock), lambda: server.__exit__(None, None, None)


def _twin_time_s(folder: Path) -> float:
    """Where the twin's time had come to when the campaign was left, s."""
    from pressopt.twin.laboratory import BenchRefusal, kept_time_s

    try:
        return kept_time_s(folder / TWIN_WORLD)
    except BenchRefusal as refusal:
        raise DeviceFault(str(refusal)) from refusal


def _taps(
    profiles: Mapping[str, DeviceProfile], folder: Path, on_close: list[Callable[[], None]]
) -> dict[str, WireTap]:
    """What writes down the bytes of those devices whose profile says ``link.record``."""
    recorded = [role for role, profile in profiles.items() if profile.recorded]
    if not recorded:
        return {}
    recorder = WireRecorder(folder / WIRES)
    on_close.append(recorder.close)
    return {role: recorder.tap(role) for role in recorded}


def _connect(
    experiment: Experiment,
    laboratory: Laboratory,
    profiles: Mapping[str, DeviceProfile],
    urls: Mapping[str, str],
    taps: Mapping[str, Tap],
    *,
    automatic: bool,
) -> Laboratory:
    """Connect every device that the profiles name.

    Whoever measures does so on a clock that keeps the press's heartbeat: a sweep lasts minutes.
    """
    clock = laboratory.clock
    if "press" in profiles:
        laboratory.press = connect_press(profiles["press"], clock, url=urls.get("press"), tap=taps.get("press"))
    if "laminator" in profiles:
        laboratory.laminator = connect_laminator(
            profiles["laminator"], clock, url=urls.get("laminator"), tap=taps.get("laminator")
        )
    if "indicator" in profiles:
        laboratory.indicator = connect_indicator(
            profiles["indicator"], clock, url=urls.get("indicator"), tap=taps.get("indicator")
        )
    if automatic:
        laboratory.changer = connect_changer(laboratory.machine)
        if laboratory.changer is None:
            raise ExperimentError(
                "[laboratory] loading is automatic, and the press's profile has no action 'load_cell': "
                "say loading = 'person'"
            )
    capability, limit_kn = laboratory.capability, math.inf
    hottest_c = experiment.limits.temperature_c
    limit_c = math.inf if hottest_c is None else hottest_c
    if isinstance(capability, PressCapability):
        limit_kn = most_kn(capability, experiment.cell.die, experiment.limits)
    attended = AttendedClock(
        clock,
        period_s=ATTENTION_S,
        attend=lambda: watched(laboratory.machine, limit_kn=limit_kn, limit_c=limit_c),
    )
    laboratory.waiting = attended
    potentiostats: dict[str, MethodScriptLink] = {}  # one of them may measure impedance and cycle
    if "analyzer" in profiles:
        laboratory.analyzer = connect_analyzer(
            profiles["analyzer"],
            attended,
            url=urls.get("analyzer"),
            tap=taps.get("analyzer"),
            shared=potentiostats,
        )
    if "cycler" in profiles:
        laboratory.cycler = connect_cycler(
            profiles["cycler"], attended, url=urls.get("cycler"), tap=taps.get("cycler"), shared=potentiostats
        )
    if "meter" in profiles:
        laboratory.meter = connect_meter(profiles["meter"], attended, url=urls.get("meter"), tap=taps.get("meter"))
    return laboratory
