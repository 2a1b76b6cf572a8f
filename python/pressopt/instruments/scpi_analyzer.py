"""Driver of SCPI impedance analysers and LCR meters, command by command as their profile says.

What it guards against: 9.9E37 taken for an impedance, a point that is not measured yet, an overload, an error
queue that nobody read, and a list sweep that is longer than the instrument's list.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import accumulate

from pressopt.clock import Clock
from pressopt.errors import DeviceRefused, ReplyError
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments.line import Line
from pressopt.instruments.link import Link
from pressopt.instruments.opening import refuse_stranger
from pressopt.instruments.sweeping import (
    GOOD,
    NOT_FINITE,
    OVERLOAD,
    Point,
    SweepingAnalyzer,
    insist,
    point_s,
)
from pressopt.instruments.text_link import TextLink
from pressopt.profiles import DeviceProfile, line_template

_ERROR_LIMIT = 30  # longest error queue that is read out
_NO_DATA = "no data"


class ScpiAnalyzer(SweepingAnalyzer):
    """One analyser on one line.

    Args:
        line: Where it answers.
        clock: Laboratory time: the sweep takes it.
        profile: Of engine scpi, with the table [analyzer.scpi].
    """

    def __init__(self, line: Line, clock: Clock, profile: DeviceProfile) -> None:
        super().__init__(clock, profile)
        assert self.machine.scpi is not None  # checked when the profile was loaded
        self._scpi = self.machine.scpi
        self._link = Link(line, retries=profile.link.retries, silence_s=profile.link.silence_s)
        self._text = TextLink(self._link, profile.link, name=self.name)

    @property
    def place(self) -> str:
        return self._link.line.name

    @property
    def bias_possible(self) -> bool:
        return bool(self._scpi.set_bias)

    def make_safe(self) -> None:
        """Switch the test signal off; twice is harmless. A damaged exchange is repeated."""
        insist(self._safe, retries=self.profile.link.retries, hang_up=lambda: None)

    def _safe(self) -> None:
        self._link.open()
        self._switch_off()

    def close(self) -> None:
        self._who = ""
        self._link.close()

    # ---- the sweep

    def _ask_who(self) -> str:
        self._link.open()
        said = self._text.ask(self.profile.identity.ask or "*IDN?")
        refuse_stranger(self.profile, said, self.place)
        return said

    def _begin(self, sweep: Sweep) -> None:
        self._link.open()
        values = {"amplitude_v": sweep.amplitude_mv / 1000, "bias_v": sweep.bias_v}
        for command in self._scpi.setup:
            self._tell(command, values)
        if self._scpi.set_bias:
            self._tell(self._scpi.set_bias, values)
        self._tell(self._scpi.set_amplitude, values)
        self._refuse_errors()

    def _points(self, sweep: Sweep, take: Callable[[Point], None]) -> None:
        if self._scpi.list_start:
            self._list_points(sweep, take)
        else:
            for frequency_hz in sweep.frequencies_hz().tolist():
                take(self._one_point(frequency_hz, sweep))
        self._refuse_errors()

    def _one_point(self, frequency_hz: float, sweep: Sweep) -> Point:
        scpi = self._scpi
        self._tell(scpi.set_frequency, {"frequency_hz": frequency_hz, "amplitude_v": sweep.amplitude_mv / 1000})
        if scpi.trigger:
            self._tell(scpi.trigger, {})
            self._await_heard()
        return self.await_reply(
            point_s(frequency_hz), lambda: self._understood(scpi.point, self._ask(scpi.ask_point), frequency_hz)
        )

    def _list_points(self, sweep: Sweep, take: Callable[[Point], None]) -> None:
        """In lists no longer than the instrument's, each fetched as a whole."""
        scpi = self._scpi
        template = scpi.list_point or scpi.point
        fields = template.count(",") + 1
        all_hz = sweep.frequencies_hz().tolist()
        for start in range(0, len(all_hz), scpi.most_list_points):
            these_hz = all_hz[start : start + scpi.most_list_points]
            words: dict[str, float | str] = {
                "frequencies_hz": ",".join(f"{hz:.9g}" for hz in these_hz),
                "points": float(len(these_hz)),
            }
            for command in scpi.list_start:
                self._tell(command, words)
            self._await_heard()
            last: list[Point] = []

            def fetched(these_hz: list[float] = these_hz, last: list[Point] = last) -> Point | None:
                cells = self._ask(scpi.list_ask).split(",")
                if len(cells) < fields * len(these_hz):
                    if len(cells) == fields and self._understood(template, ",".join(cells), these_hz[0]) is None:
                        return None
                    raise ReplyError(
                        f"{self.name} answered {scpi.list_ask!r} with {len(cells)} fields: expected "
                        f"{fields} for each of {len(these_hz)} points"
                    )
                rows = [",".join(cells[fields * at : fields * (at + 1)]) for at in range(len(these_hz))]
                found = [self._understood(template, row, hz) for row, hz in zip(rows, these_hz, strict=True)]
                if any(point is None for point in found):
                    return None
                last[:] = [point for point in found if point is not None]
                return last[-1]

            began_s, guesses_s = self.clock.now_s(), list(map(point_s, these_hz))
            self.await_reply(sum(guesses_s), fetched)
            # A list comes as a whole: its points share the time that it took, as their plan says.
            stretch = (self.clock.now_s() - began_s) / sum(guesses_s)
            for point, gone_s in zip(last, accumulate(guesses_s), strict=True):
                take(replace(point, at_s=began_s + stretch * gone_s))

    def _understood(self, template: str, answer: str, frequency_hz: float) -> Point | None:
        """The point that an answer holds; None when the instrument has none yet."""
        fields = line_template(template).parse(answer)
        if fields is None:
            raise ReplyError(f"{self.name} answered {answer!r}: expected {template!r}")
        numbers = {name: value for name, value in fields.items() if isinstance(value, float)}
        trouble = self._scpi.status.get(round(numbers["status"]), "") if "status" in numbers else ""
        if trouble == _NO_DATA:
            return None
        if "real" in numbers:
            impedance_ohm = complex(numbers["real"], numbers["imaginary"])
        else:
            impedance_ohm = cmath.rect(numbers["modulus"], math.radians(numbers["phase_deg"]))
        largest = max(abs(value) for name, value in numbers.items() if name != "status")
        flag = GOOD
        if trouble:
            flag = OVERLOAD
        elif largest >= self._scpi.not_a_number or not cmath.isfinite(impedance_ohm):
            flag = NOT_FINITE
        return Point(frequency_hz, impedance_ohm if flag == GOOD else complex(math.nan, math.nan), flag)

    def _switch_off(self) -> None:
        for command in self._scpi.switch_off:
            self._tell(command, {})
        self._await_heard()

    # ---- questions and commands

    def _tell(self, template: str, values: Mapping[str, float | str]) -> None:
        self._text.tell(line_template(template).render(**values))

    def _ask(self, question: str) -> str:
        return self._text.ask(question)

    def _await_heard(self) -> None:
        """Commands are not answered: a question after them is, once they have been worked on."""
        self._ask(self.profile.identity.ask or "*IDN?")

    def _refuse_errors(self) -> None:
        """Read the error queue; raises DeviceRefused with all that is in it."""
        if not self._scpi.ask_error:
            return
        errors = []
        for _ in range(_ERROR_LIMIT):
            answer = self._ask(self._scpi.ask_error)
            fields = line_template(self._scpi.no_error).parse(answer)
            if fields is not None and fields.get("code", 0.0) == 0:
                break
            errors.append(answer)
        if errors:
            raise DeviceRefused(
                f"{self.name} reports: {'; '.join(errors)}. Look at the commands in [analyzer.scpi] of its profile"
            )
