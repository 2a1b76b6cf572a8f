"""What polling a press costs: processor time of 10 signals over Modbus, beside pymodbus where it is installed.

    python benchmarks/instruments/poll.py [--seconds 10] [--rate 50]

The twin is served by a process of its own, so that the processor time measured is the driver's alone. "share" is
processor time over wall time, of one core. pymodbus reads the same registers without types, believable ranges,
words or heartbeat. A press of text lines or of joined parts asks many questions for one look; it is polled at 10
Hz, as in a ramp.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from pressopt.clock import WallClock
from pressopt.instruments import connect_press

SIGNALS = (
    "force_kn", "temperature_c", "state", "position_mm", "fault_code", "refills", "guard_closed", "estop_ok",
    "remote_enabled", "setpoint_kn",
)  # fmt: skip
TARGET_SHARE = 0.05
PROFILES = ("generic-plc-press-tcp", "generic-plc-press-rtu", "generic-line-press", "generic-joined-press")


def processor_s() -> float:
    """Processor time of this process, user and system, s."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def polled(poll: Callable[[], object], *, rate_hz: float, seconds: float) -> tuple[float, float, float]:
    """Share of one core, median latency in ms, and polls done over polls due, of ``poll`` at ``rate_hz``."""
    for _ in range(20):
        poll()
    latencies = []
    began_s, used_s = time.monotonic(), processor_s()
    count = 0
    while (now_s := time.monotonic()) < began_s + seconds:
        due_s = began_s + count / rate_hz
        if now_s < due_s:
            time.sleep(due_s - now_s)
        asked_s = time.perf_counter()
        poll()
        latencies.append(1000 * (time.perf_counter() - asked_s))
        count += 1
    wall_s = time.monotonic() - began_s
    return (processor_s() - used_s) / wall_s, statistics.median(latencies), count / (rate_hz * wall_s)


def row(name: str, figures: tuple[float, float, float]) -> None:
    share, latency_ms, done = figures
    print(f"{name:42} {100 * share:6.2f} %   {latency_ms:7.2f} ms   {100 * done:5.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=50.0)
    arguments = parser.parse_args()
    print(f"{len(SIGNALS)} signals at {arguments.rate:g} Hz for {arguments.seconds:g} s")
    print(f"{'':42} {'share':>8}   {'median':>10}   {'done':>7}")
    shares = {}
    for name in PROFILES:
        command = [
            sys.executable,
            "-c",
            "from pressopt.cli import main; main()",
            "twin",
            "serve",
            "--profile",
            name,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as twin:
            assert twin.stdout is not None
            url = twin.stdout.readline().split()[1]
            try:
                press = connect_press(name, WallClock(), url)
                names = [one for one in SIGNALS if one in press.device.profile.signals]
                poll = partial(press.device.look, names)
                rate_hz = arguments.rate if "line" not in name and "joined" not in name else 10.0
                label = name if rate_hz == arguments.rate else f"{name} (at 10 Hz)"
                figures = polled(poll, rate_hz=rate_hz, seconds=arguments.seconds)
                shares[name] = figures[0]
                row(label, figures)
                press.close()
                if name == PROFILES[0] and importlib.util.find_spec("pymodbus"):
                    row("pymodbus, the same registers", polled(_pymodbus(url), rate_hz=arguments.rate,
                                                               seconds=arguments.seconds))  # fmt: skip
            finally:
                twin.terminate()
    met = shares[PROFILES[0]] < TARGET_SHARE
    print(f"target: under {TARGET_SHARE:.0%} of a core over TCP at 50 Hz: {'met' if met else 'MISSED'}")
    raise SystemExit(0 if met else 1)


def _pymodbus(url: str) -> Callable[[], object]:
    from pymodbus.client import ModbusTcpClient

    host, _, port = url.removeprefix("tcp://").rpartition(":")
    client = ModbusTcpClient(host, port=int(port))
    client.connect()
    return lambda: client.read_input_registers(10, count=11, device_id=1)


if __name__ == "__main__":
    main()
