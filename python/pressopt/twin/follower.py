"""The virtual press that a person at a terminal works: it does what they say that they did."""

from __future__ import annotations

from pressopt.clock import Clock
from pressopt.twin.laboratory import VirtualBench

_OPENING_S = 5.0  # after the force is off; with what it takes to come off at the machine's own rate


class BenchFollower:
    """Moves a virtual bench by the words of a person.

    Args:
        bench: The virtual laboratory.
        clock: Its time; what happens between two words takes its time.
    """

    def __init__(self, bench: VirtualBench, clock: Clock) -> None:
        self._bench, self._clock = bench, clock

    def place(self, cell: int) -> None:
        """Open the press, and put cell number ``cell`` in."""
        bench = self._bench
        force_kn = bench.plant().force_kn
        bench.stop()
        self._clock.sleep_s(_OPENING_S + max(0.0, force_kn) / bench.press.release_kn_s)
        bench.load_cell(cell)

    def move(self, force_kn: float, *, over_s: float, temperature_c: float) -> None:
        """Bring the press to ``force_kn`` (kN) in about ``over_s`` (s), its platens to ``temperature_c`` (°C)."""
        bench, spec = self._bench, self._bench.press
        here_kn = bench.plant().force_kn
        rate = abs(force_kn - here_kn) / max(over_s, 1.0)
        bench.set_force(min(force_kn, spec.limit_kn))
        bench.set_ramp(min(max(rate, 1e-3), spec.limit_ramp_kn_s))
        bench.set_temperature(min(temperature_c, spec.limit_c))
        bench.start()
