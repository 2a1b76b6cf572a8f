"""What the profile of an impedance analyser may not contradict."""

from __future__ import annotations

from collections.abc import Iterator

from pressopt.errors import Violation
from pressopt.profiles.line_template import LineTemplate
from pressopt.profiles.profile import AnalyzerMachine, DeviceProfile, ScpiSweep

_COMMAND_FIELDS = frozenset({"frequency_hz", "amplitude_v", "bias_v", "frequencies_hz", "points"})
_PAIRS = (frozenset({"real", "imaginary"}), frozenset({"modulus", "phase_deg"}))


def analyzer_contradictions(profile: DeviceProfile) -> Iterator[Violation]:
    """Yield what is wrong with the table [analyzer]; nothing for other devices."""
    machine = profile.analyzer
    if machine is None:
        return
    if machine.low_hz >= machine.high_hz:
        yield Violation("analyzer.low_hz", f"{machine.low_hz:g} Hz is not below high_hz ({machine.high_hz:g} Hz)")
    for table, engine in (("scpi", "scpi"), ("folder", "folder")):
        given = getattr(machine, table) is not None
        if given != (profile.link.engine == engine):
            yield Violation(
                f"analyzer.{table}", f"the table [analyzer.{table}] and engine = '{engine}' belong together"
            )
    if machine.scpi is not None:
        yield from _scpi(machine, machine.scpi)
    if machine.folder is not None and ("/" in machine.folder.pattern or "/" in machine.folder.request):
        yield Violation("analyzer.folder", "files lie in the folder link.url itself: give names without /")


def _scpi(machine: AnalyzerMachine, scpi: ScpiSweep) -> Iterator[Violation]:
    texts = {
        **{f"setup[{at}]": text for at, text in enumerate(scpi.setup)},
        **{f"switch_off[{at}]": text for at, text in enumerate(scpi.switch_off)},
        **{f"list_start[{at}]": text for at, text in enumerate(scpi.list_start)},
        **{name: getattr(scpi, name) for name in ("set_amplitude", "set_frequency", "set_bias", "trigger")},
    }
    for name, text in texts.items():
        fields = _fields(text)
        if fields is None:
            yield Violation(f"analyzer.scpi.{name}", f"{text!r} is no template: check its braces")
        elif not fields <= _COMMAND_FIELDS:
            unknown = ", ".join(sorted(fields - _COMMAND_FIELDS))
            known = ", ".join(sorted(_COMMAND_FIELDS))
            yield Violation(f"analyzer.scpi.{name}", f"{text!r} has the field {unknown}: known are {known}")
    for name, field in (("set_frequency", "frequency_hz"), ("set_amplitude", "amplitude_v")):
        if field not in (_fields(texts[name]) or ()):
            yield Violation(f"analyzer.scpi.{name}", f"{texts[name]!r} does not hold {{{field}}}")
    for name in ("point", "list_point"):
        text = getattr(scpi, name)
        fields = _fields(text)
        if text and (fields is None or not any(pair <= fields for pair in _PAIRS)):
            yield Violation(
                f"analyzer.scpi.{name}", f"{text!r} holds neither real and imaginary nor modulus and phase_deg"
            )
    if scpi.list_start and not (scpi.list_ask and scpi.most_list_points > 1):
        yield Violation("analyzer.scpi.list_start", "a list sweep needs list_ask and most_list_points, too")
    if machine.low_range_a > machine.high_range_a:
        yield Violation("analyzer.low_range_a", "is above high_range_a")


def _fields(text: str) -> frozenset[str] | None:
    try:
        return frozenset(LineTemplate(text).fields)
    except ValueError:
        return None
