"""All instruments of one virtual laboratory behind real wires, over one bench.

``pressopt run`` keeps a :class:`TwinServer` in its own process, on the runner's clock; ``pressopt twin serve`` is
a process of its own in scaled wall time. Either way the drivers meet pseudo-terminals and sockets, nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from pressopt.clock import Clock
from pressopt.profiles import DeviceProfile
from pressopt.twin.bench import Bench
from pressopt.twin.faults import LineFaults
from pressopt.twin.methodscript_server import MethodScriptDevice
from pressopt.twin.modbus import Slave
from pressopt.twin.modbus_server import MachineBank, machine_slave
from pressopt.twin.plant import PressSpec, RollSpec
from pressopt.twin.scpi_server import ScpiMeter
from pressopt.twin.wires import Device, Port, PtyPort, TcpPort


class TwinServer:
    """Serves every profile it is given; use as a context manager.

    Args:
        bench: The virtual laboratory.
        profiles: Role (``press``, ``laminator``, ``analyzer``, ``meter`` or any other name) to profile. The
            profile says what is spoken. Where it names ``tcp://`` the twin opens a loopback socket, else a
            pseudo-terminal.
        clock: Laboratory time: the runner's own clock object in one process.
        links: Folder for symbolic links named after the roles, so that a serial line is found again when it
            vanishes and comes back; ``None``: the terminals' own names.

    Attributes:
        urls: Role to url, for the driver; filled on entry.
        ports: Role to port: line faults are under ``ports[role].faults``.
        slaves, banks, analyzers, meters: Role to device, whose own faults are under ``.faults``.
    """

    def __init__(
        self, bench: Bench, profiles: Mapping[str, DeviceProfile], clock: Clock, *, links: Path | None = None
    ) -> None:
        self.bench = bench
        self.urls: dict[str, str] = {}
        self.ports: dict[str, Port] = {}
        self.slaves: dict[str, Slave] = {}
        self.banks: dict[str, MachineBank] = {}
        self.analyzers: dict[str, MethodScriptDevice] = {}
        self.meters: dict[str, ScpiMeter] = {}
        self._open = ExitStack()
        for role, profile in profiles.items():
            device = self._device(role, profile, clock)
            name = f"{role} ({profile.name})"
            if profile.link.engine == "modbus-tcp" or profile.link.url.startswith("tcp://"):
                self.ports[role] = TcpPort(device, name=name, faults=LineFaults())
            else:
                link = None if links is None else links / role
                self.ports[role] = PtyPort(device, name=name, link=link, faults=LineFaults())

    def _device(self, role: str, profile: DeviceProfile, clock: Clock) -> Device:
        if profile.analyzer is not None:
            machine = profile.analyzer
            analyzer = MethodScriptDevice(
                self.bench,
                clock,
                low_hz=machine.low_hz,
                high_hz=machine.high_hz,
                limit_amplitude_mv=machine.limit_amplitude_mv,
                imaginary_sign=machine.imaginary_sign,
            )
            self.analyzers[role] = analyzer
            return analyzer
        if profile.meter is not None:
            meter = ScpiMeter(self.bench, high_ohm=profile.meter.high_ohm, terminator=profile.meter.terminator)
            self.meters[role] = meter
            return meter
        self.slaves[role], self.banks[role] = machine_slave(self.bench, profile)
        return self.slaves[role]

    def __enter__(self) -> Self:
        with ExitStack() as opening:  # when one port cannot be opened the others are closed again
            for role, port in self.ports.items():
                opening.enter_context(port)
                self.urls[role] = port.url
            self._open = opening.pop_all()
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
    return PressSpec(
        limit_kn=press.capacity_kn,
        relief_kn=1.1 * press.capacity_kn,
        limit_c=press.capacity_c,
        limit_ramp_kn_s=press.capacity_kn if ramp_kn_s is None else ramp_kn_s,
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
