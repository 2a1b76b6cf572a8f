"""All instruments of one virtual laboratory behind real wires, over one bench.

``pressopt run`` keeps a :class:`TwinServer` in its own process, on the runner's clock; ``pressopt twin serve`` is
a process of its own in scaled wall time. Either way the drivers meet pseudo-terminals and sockets, nothing else.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from pressopt.clock import Clock
from pressopt.profiles import AnalyzerMachine, DeviceProfile
from pressopt.twin.bench import Bench
from pressopt.twin.cycler import CYCLING_REQUEST, CyclerProgram, GalvanostaticCell
from pressopt.twin.face import MachineFace, Platens, face_of
from pressopt.twin.faults import LineFaults
from pressopt.twin.folder_program import FolderProgram
from pressopt.twin.methodscript_server import MethodScriptDevice
from pressopt.twin.modbus import SharedLine, Slave
from pressopt.twin.modbus_server import MachineBank, machine_slave
from pressopt.twin.plant import PressSpec, RollSpec
from pressopt.twin.scpi_analyzer_server import ScpiAnalyzerDevice
from pressopt.twin.scpi_server import ScpiMeter
from pressopt.twin.text_server import TextServer
from pressopt.twin.wires import Device, Port, PtyPort, TcpPort
from pressopt.twin.zahner_server import ZahnerDevice


class TwinServer:
    """Serves every profile it is given; use as a context manager.

    Args:
        bench: The virtual laboratory.
        profiles: Role (``press``, ``laminator``, ``analyzer``, ``meter`` or any other name) to profile. The
            profile says what is spoken. Where it names ``tcp://`` the twin opens a loopback socket, else a
            pseudo-terminal. Each part of a joined device is served by itself, as ``role.part``; parts with one
            url share one line. An analyser and a cycler with one url are one potentiostat.
        clock: Laboratory time: the runner's own clock object in one process.
        links: Folder for symbolic links named after the roles, so that a serial line is found again when it
            vanishes and comes back; ``None``: the terminals' own names. Folders of programs that drop files are
            made there, too.

    Attributes:
        urls: Role to url, for the driver; filled on entry. For a joined device ``part=url,part=url``.
        ports: Role (``role.part`` for a part) to port: line faults are under ``ports[role].faults``.
        slaves, texts, faces, meters: Role to device, whose own faults are under ``.faults``.
        analyzers, scpi_analyzers, workstations, programs: The same for what measures impedance, by engine.
        cyclers, galvanostats: The same for what cycles.
        banks: Role to registers.
        platens: Role of a joined press to what its controllers heat.
    """

    def __init__(
        self, bench: Bench, profiles: Mapping[str, DeviceProfile], clock: Clock, *, links: Path | None = None
    ) -> None:
        self.bench, self._clock, self._links = bench, clock, links
        self.urls: dict[str, str] = {}
        self.ports: dict[str, Port] = {}
        self.slaves: dict[str, Slave] = {}
        self.banks: dict[str, MachineBank] = {}
        self.texts: dict[str, TextServer] = {}
        self.faces: dict[str, MachineFace] = {}
        self.analyzers: dict[str, MethodScriptDevice] = {}
        self.scpi_analyzers: dict[str, ScpiAnalyzerDevice] = {}
        self.workstations: dict[str, ZahnerDevice] = {}
        self.programs: dict[str, FolderProgram] = {}
        self.meters: dict[str, ScpiMeter] = {}
        self.cyclers: dict[str, CyclerProgram] = {}
        self.galvanostats: dict[str, MethodScriptDevice] = {}
        self.platens: dict[str, Platens] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        self._own: TemporaryDirectory[str] | None = None
        self._open = ExitStack()
        for role, profile in profiles.items():
            if profile.parts:
                self._serve_parts(role, profile)
            elif profile.cycler is not None and profile.link.engine == "folder":
                self.cyclers[role] = CyclerProgram(bench, clock, self._folder() / role, request=CYCLING_REQUEST)
            elif profile.cycler is not None and (measures := self._potentiostat_at(profile, profiles)):
                self.galvanostats[role], self.ports[role] = self.analyzers[measures], self.ports[measures]
                self.galvanostats[role].limit_a = profile.cycler.limit_a
            elif profile.analyzer is not None and profile.analyzer.folder is not None:
                self._run_program(role, profile.analyzer.folder.request)
            else:
                self._serve(role, profile, self._device(role, profile))

    def _serve(self, role: str, profile: DeviceProfile, device: Device) -> None:
        name = f"{role} ({profile.name})"
        if profile.link.engine == "modbus-tcp" or profile.link.url.startswith("tcp://"):
            self.ports[role] = TcpPort(device, name=name, faults=LineFaults())
        else:
            link = None if self._links is None else self._links / role
            self.ports[role] = PtyPort(device, name=name, link=link, faults=LineFaults())

    def _serve_parts(self, role: str, profile: DeviceProfile) -> None:
        """Each part at a port of its own; those of one RS-485 line together at one."""
        heated = any(part.heater is not None for part in profile.parts.values())
        platens = self.platens[role] = Platens(self.bench)
        lines: dict[str, list[str]] = {}
        for name, part in profile.parts.items():
            place = part.link.url if part.link.engine == "modbus-rtu" and part.link.url else name
            lines.setdefault(place, []).append(name)
        for names in lines.values():
            roles = [f"{role}.{name}" for name in names]
            devices = [
                self._machine(f"{role}.{name}", profile.parts[name], platens if heated else None) for name in names
            ]
            shared = [device for device in devices if isinstance(device, Slave)]
            self._serve(roles[0], profile.parts[names[0]], SharedLine(shared) if len(names) > 1 else devices[0])
            for other in roles[1:]:
                self.ports[other] = self.ports[roles[0]]
        self._parts[role] = tuple(profile.parts)

    def _potentiostat_at(self, profile: DeviceProfile, profiles: Mapping[str, DeviceProfile]) -> str:
        """The role of the analyser that is the same device as this cycler: its profile names the same place."""
        same = (role for role in self.analyzers if profiles[role].link.url == profile.link.url)
        return next(same, "")

    def _run_program(self, role: str, request: str) -> None:
        """A measuring program that saves into a folder named after its role."""
        self.programs[role] = FolderProgram(self.bench, self._clock, self._folder() / role, request=request)

    def _folder(self) -> Path:
        """Where programs that save files have their folders."""
        if self._links is not None:
            return self._links
        self._own = self._own or TemporaryDirectory(prefix="pressopt-twin-")
        return Path(self._own.name)

    def _device(self, role: str, profile: DeviceProfile) -> Device:
        if profile.analyzer is not None:
            return self._analyzer(role, profile, profile.analyzer)
        if profile.meter is not None:
            meter = ScpiMeter(self.bench, high_ohm=profile.meter.high_ohm, terminator=profile.meter.terminator)
            self.meters[role] = meter
            return meter
        if profile.cycler is not None:
            self.galvanostats[role] = MethodScriptDevice(
                self.bench, self._clock, cycled=GalvanostaticCell(self.bench)
            )
            self.galvanostats[role].limit_a = profile.cycler.limit_a
            return self.galvanostats[role]
        return self._machine(role, profile, None)

    def _analyzer(self, role: str, profile: DeviceProfile, machine: AnalyzerMachine) -> Device:
        """The virtual analyser that speaks what the profile says."""
        if machine.scpi is not None:
            self.scpi_analyzers[role] = ScpiAnalyzerDevice(self.bench, self._clock, profile)
            return self.scpi_analyzers[role]
        if profile.link.engine == "zahner-remote2":
            self.workstations[role] = ZahnerDevice(
                self.bench,
                self._clock,
                low_hz=machine.low_hz,
                high_hz=machine.high_hz,
                limit_amplitude_mv=machine.limit_amplitude_mv,
            )
            return self.workstations[role]
        self.analyzers[role] = MethodScriptDevice(
            self.bench,
            self._clock,
            low_hz=machine.low_hz,
            high_hz=machine.high_hz,
            limit_amplitude_mv=machine.limit_amplitude_mv,
            imaginary_sign=machine.imaginary_sign,
            cycled=GalvanostaticCell(self.bench),
        )
        return self.analyzers[role]

    def _machine(self, role: str, profile: DeviceProfile, platens: Platens | None) -> Device:
        face = self.faces[role] = face_of(self.bench, profile, name=role, platens=platens)
        if profile.link.engine == "ascii-line":
            self.texts[role] = TextServer(face)
            return self.texts[role]
        self.slaves[role], self.banks[role] = machine_slave(self.bench, profile, face)
        return self.slaves[role]

    def __enter__(self) -> Self:
        with ExitStack() as opening:  # when one port cannot be opened the others are closed again
            if self._own is not None:
                opening.enter_context(self._own)
            for port in dict.fromkeys(self.ports.values()):
                opening.enter_context(port)
            for program in self.programs.values():
                opening.enter_context(program)
            for cycler in self.cyclers.values():
                opening.enter_context(cycler)
            self._open = opening.pop_all()
        self.urls = {role: port.url for role, port in self.ports.items()}
        self.urls |= {role: str(program.folder) for role, program in self.programs.items()}
        self.urls |= {role: str(program.folder) for role, program in self.cyclers.items()}
        for role, parts in self._parts.items():
            each = {part: self.urls.pop(f"{role}.{part}") for part in parts}
            self.urls[role] = ",".join(f"{part}={url}" for part, url in each.items())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self.urls.clear()


def press_spec(profile: DeviceProfile) -> PressSpec:
    """A virtual press that can do what its profile says, up to the machine's limits."""
    if profile.press is None:
        raise ValueError(f"profile {profile.name!r} is a {profile.kind}, not a press")
    press, ramp_kn_s = profile.press, profile.limits.ramp_kn_s
    beat = next(iter(profile.heartbeats), None)
    return PressSpec(
        limit_kn=press.capacity_kn,
        relief_kn=1.1 * press.capacity_kn,
        limit_c=press.capacity_c,
        limit_ramp_kn_s=press.capacity_kn if ramp_kn_s is None else ramp_kn_s,
        hold=press.hold,
        watchdog_s=math.inf if beat is None else beat.plc_timeout_s,
        watchdog_releases=beat is not None and beat.plc_does == "release",
    )


def roll_spec(profile: DeviceProfile) -> RollSpec:
    """A virtual laminator that can do what its profile says."""
    if profile.roll is None:
        raise ValueError(f"profile {profile.name!r} is a {profile.kind}, not a laminator")
    roll = profile.roll
    return RollSpec(
        limit_n_mm=roll.capacity_n_mm,
        limit_speed_mm_s=roll.capacity_mm_s,
        limit_c=roll.capacity_c,
        radius_mm=roll.roll_radius_mm,
    )


def serve_forever(
    bench: Bench,
    profiles: Mapping[str, DeviceProfile],
    clock: Clock,
    *,
    announce: Callable[[str], None],
    stop: threading.Event | None = None,
    links: Path | None = None,
) -> None:
    """Serve until ``stop`` is set or Ctrl-C; ``announce`` gets one line ``role url`` for each instrument."""
    stopped = stop if stop is not None else threading.Event()
    with TwinServer(bench, profiles, clock, links=links) as server:
        for role, url in server.urls.items():
            announce(f"{role:<10} {url}")
        try:
            stopped.wait()
        except KeyboardInterrupt:
            announce("stopped")
