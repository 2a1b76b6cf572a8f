"""``pressopt twin``: the virtual laboratory as a process of its own, to try a driver or a program against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from pressopt.pressing import Cell
    from pressopt.profiles import DeviceProfile

_PRESSING = ("generic-plc-press-tcp", "generic-methodscript-analyzer")
_ROLES = {
    "press": "press",
    "laminator": "laminator",
    "impedance-analyzer": "analyzer",
    "resistance-meter": "meter",
    "cycler": "cycler",
    "temperature-controller": "heater",
    "force-indicator": "indicator",
}
_SEVERAL = ("heater", "indicator")  # roles of which a laboratory may have more than one


@click.group()
def twin() -> None:
    """Serve the virtual laboratory to try a driver against."""


@twin.command()
@click.argument("experiment", required=False, type=click.Path(dir_okay=False))
@click.option(
    "--profile",
    "-p",
    "names",
    multiple=True,
    help="Device profile to serve (name or path) instead of the experiment's; may be given again.",
)
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
              help="Laboratory seconds per real second.")  # fmt: skip
@click.option("--seed", type=int, default=None, help="Of everything hidden.  [default: the experiment's, or 1]")
@click.option(
    "--links", type=click.Path(file_okay=False, exists=True), help="Folder for links named after the roles."
)
def serve(
    experiment: str | None, names: tuple[str, ...], speed: float, seed: int | None, links: str | None
) -> None:
    """Serve the cell of EXPERIMENT (default: Li | Li6PS5Cl | Li, 10 mm) on real wires until Ctrl-C.

    One line is printed for each instrument: its role and where it answers. `tcp://` is a socket on this machine,
    `/dev/pts/N` a serial line.
    """
    from dataclasses import replace

    from pressopt.clock import ScaledClock
    from pressopt.errors import InputError
    from pressopt.profiles import load_profile
    from pressopt.twin.laboratory import VirtualBench
    from pressopt.twin.server import press_spec, roll_spec, serve_forever

    cell, planned, drawn = _planned(experiment)
    profiles: dict[str, DeviceProfile] = {}
    for name in names or planned:
        profile = load_profile(name)
        role = _ROLES[profile.kind]
        if role in profiles and role in _SEVERAL:
            role = f"{role}-{profile.name}"
        if role in profiles:
            raise InputError(f"'{profiles[role].name}' and '{profile.name}' are both a {role}: serve one of them")
        profiles[role] = profile
    clock = ScaledClock(speed)
    press = press_spec(profiles["press"]) if "press" in profiles else None
    if press is not None:  # whoever keeps the heartbeat does so in real time
        press = replace(press, watchdog_s=press.watchdog_s * speed)
    bench = VirtualBench(
        cell,
        seed=drawn if seed is None else seed,
        clock=clock,
        press=press,
        roll=roll_spec(profiles["laminator"]) if "laminator" in profiles else None,
        rolled="laminator" in profiles,
    )
    bench.load_cell(1)
    serve_forever(bench, profiles, clock, announce=click.echo, links=None if links is None else Path(links))


@twin.command()
@click.argument("recording", type=click.Path(dir_okay=False, exists=True))
@click.option("--line", help="Which line of the recording.  [default: its only one]")
@click.option("--tcp", is_flag=True, help="On a loopback socket instead of a pseudo-terminal.")
def replay(recording: str, line: str | None, tcp: bool) -> None:
    """Let a recorded device (wires.jsonl of a campaign, where a profile says `link.record`) answer until Ctrl-C.

    Each question is answered with what the real device sent to it, in the recorded order.
    """
    import threading

    from pressopt.errors import InputError
    from pressopt.twin.replay import ReplayDevice, load_recording
    from pressopt.twin.wires import PtyPort, TcpPort

    try:
        lines = load_recording(Path(recording))
    except ValueError as error:
        raise InputError(str(error)) from error
    name = line or (next(iter(lines)) if len(lines) == 1 else "")
    if name not in lines:
        raise InputError(f"{recording} holds the lines {', '.join(lines) or 'none'}: name one with --line")
    port = (TcpPort if tcp else PtyPort)(ReplayDevice(lines[name]), name=f"replay of {name}")
    with port:
        click.echo(f"{name:<10} {port.url}")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("stopped")


def _planned(experiment: str | None) -> tuple[Cell, tuple[str, ...], int]:
    """Cell, names of profiles and seed: of the experiment, or those that need no file."""
    from pressopt.pressing import Cell, Die, Layer, Role

    if experiment is None:
        metal = Layer("Li", Role.ELECTRODE, 100.0)
        pellet = Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0)
        return Cell((metal, pellet, metal), Die(10.0), 10.0), _PRESSING, 1
    from pressopt.campaign.experiment_file import load_experiment

    path = Path(experiment)
    loaded = load_experiment(path)
    laboratory = loaded.laboratory
    devices = (laboratory.press, laboratory.laminator, laboratory.analyzer, laboratory.meter)
    names = [device.profile for device in devices if device is not None]
    # a profile file is named relative to the experiment, a shipped profile by its bare name
    beside = [str(path.parent / name) if name.endswith(".toml") else name for name in names]
    return loaded.cell, tuple(beside), laboratory.seed
