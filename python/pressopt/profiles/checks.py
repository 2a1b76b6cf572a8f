"""What a device profile must have and may not contradict, beyond the shape of its file; all found at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from pressopt.errors import Violation
from pressopt.profiles.analyzer_checks import analyzer_contradictions
from pressopt.profiles.line_template import LineTemplate
from pressopt.profiles.machine_units import dimension_of, unit_problem
from pressopt.profiles.places import RANGES, OfParts, Place, Register, TextLine
from pressopt.profiles.profile import Action, DeviceProfile, Signal

STATES = ("idle", "ramp", "hold", "release", "fault")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that a kind of device uses: required and optional signals and actions, and what moves it."""

    signals: frozenset[str]
    may_signals: frozenset[str]
    actions: frozenset[str]
    may_actions: frozenset[str]
    moving: frozenset[str]
    commands: frozenset[str]


_PANEL = frozenset({"guard_closed", "estop_ok", "remote_enabled", "loaded_cell"})
_COMMANDS = frozenset({"start", "stop", "acknowledge"})

VOCABULARY: Mapping[str, Vocabulary] = {
    "press": Vocabulary(
        signals=frozenset({"force_kn", "temperature_c", "state", "setpoint_kn", "setpoint_c", "fault_code"}),
        may_signals=_PANEL | {"refills", "position_mm", "ramp_kn_s"},
        actions=frozenset({"set_force_kn", "set_ramp_kn_s", "set_temperature_c"}) | _COMMANDS,
        may_actions=frozenset({"load_cell"}),
        moving=frozenset({"start", "load_cell"}),
        commands=_COMMANDS,
    ),
    "laminator": Vocabulary(
        signals=frozenset(
            {
                "line_force_n_mm",
                "speed_mm_s",
                "temperature_c",
                "passes_done",
                "passes_asked",
                "state",
                "fault_code",
            }
        ),
        may_signals=_PANEL,
        actions=frozenset({"set_line_force_n_mm", "set_speed_mm_s", "set_passes", "set_temperature_c"})
        | _COMMANDS,
        may_actions=frozenset({"load_cell"}),
        moving=frozenset({"start", "load_cell"}),
        commands=_COMMANDS,
    ),
    "temperature-controller": Vocabulary(
        signals=frozenset({"temperature_c", "setpoint_c"}),
        may_signals=frozenset({"output_rel", "state", "fault_code"}),
        actions=frozenset({"set_temperature_c"}),
        may_actions=frozenset({"start", "stop"}),
        moving=frozenset(),
        commands=frozenset({"start", "stop"}),
    ),
    "force-indicator": Vocabulary(
        signals=frozenset({"force_kn"}),
        may_signals=frozenset({"overload", "in_motion", "position_mm", "state", "fault_code"}),
        actions=frozenset(),
        may_actions=frozenset({"zero", "stop"}),
        moving=frozenset(),
        commands=frozenset({"zero", "stop"}),
    ),
}
#: What a press without heaters need not have.
_OF_HEATERS = frozenset({"temperature_c", "setpoint_c", "set_temperature_c"})

_SECTION = {
    "press": "press",
    "laminator": "roll",
    "impedance-analyzer": "analyzer",
    "resistance-meter": "meter",
    "cycler": "cycler",
    "temperature-controller": "heater",
    "force-indicator": "indicator",
}
_SIGNAL_ENGINES = ("modbus-tcp", "modbus-rtu", "ascii-line")
_ENGINES = {
    "press": (*_SIGNAL_ENGINES, "parts", "person"),
    "laminator": (*_SIGNAL_ENGINES, "parts", "person"),
    "impedance-analyzer": ("methodscript", "scpi", "zahner-remote2", "folder"),
    "resistance-meter": ("scpi",),
    "cycler": ("methodscript", "folder"),
    "temperature-controller": _SIGNAL_ENGINES,
    "force-indicator": _SIGNAL_ENGINES,
}
#: What the engine of a device can reach.
_PLACES: Mapping[str, tuple[type, str]] = {
    "modbus-tcp": (Register, "a register: at = { table = ..., address = ... }"),
    "modbus-rtu": (Register, "a register: at = { table = ..., address = ... }"),
    "ascii-line": (TextLine, "a line of text: at = { ask = ..., reply = ... } or { send = ... }"),
    "parts": (OfParts, 'parts: at = { of = ["plc.force_kn"] }'),
}


def nearest(word: str, known: Iterator[str] | frozenset[str] | list[str]) -> str:
    """`` (did you mean 'x'?)`` when a known word is near, else empty."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def contradictions(profile: DeviceProfile) -> Iterator[Violation]:
    """Yield everything that is wrong with a profile whose shape is right; ``where`` is the dotted key."""
    yield from _sections(profile)
    yield from _link(profile)
    misplaced = tuple(_places(profile))
    yield from misplaced
    vocabulary = VOCABULARY.get(profile.kind)
    if profile.link.engine == "person":
        yield from _person(profile)
        yield from _machine_limits(profile)
    elif vocabulary is not None:
        yield from _names(profile, vocabulary)
        yield from _actions(profile, vocabulary)
        if not misplaced:
            yield from _machine_limits(profile)
    yield from _registers(profile)
    yield from _lines(profile)
    yield from _parts(profile)
    yield from _overlaps(profile)
    yield from _units(profile)
    yield from _states(profile)
    yield from _others(profile)


def _sections(profile: DeviceProfile) -> Iterator[Violation]:
    wanted = _SECTION[profile.kind]
    for section in _SECTION.values():
        given = getattr(profile, section) is not None
        if section == wanted and not given:
            yield Violation(section, f"a profile of kind '{profile.kind}' needs the table [{section}]")
        if section != wanted and given:
            yield Violation(section, f"a profile of kind '{profile.kind}' has no table [{section}]: take it out")


def _link(profile: DeviceProfile) -> Iterator[Violation]:
    link = profile.link
    allowed = _ENGINES[profile.kind]
    if link.engine not in allowed:
        yield Violation(
            "link.engine", f"'{link.engine}' does not drive a {profile.kind}: write {' or '.join(allowed)}"
        )
    if link.engine == "modbus-tcp" and link.url and not link.url.startswith("tcp://"):
        yield Violation(
            "link.url", f"'{link.url}' is no TCP address: write tcp://host:port, or engine = 'modbus-rtu'"
        )
    if link.engine == "parts" and link.url:
        yield Violation("link.url", "a joined device has no address of its own: give each part its link.url")
    if link.engine == "modbus-rtu" and link.url.startswith("tcp://"):
        yield Violation("link.url", "Modbus RTU through a serial device server is written socket://host:port")
    if link.engine == "modbus-rtu" and not 1 <= link.unit <= 247:
        yield Violation("link.unit", f"{link.unit} is not allowed on a serial line: give 1 to 247")
    if link.retries and link.silence_s < link.timeout_s:
        yield Violation(
            "link.silence_s",
            f"{link.silence_s:g} s is shorter than link.timeout_s ({link.timeout_s:g} s), so that a late reply "
            "could meet the next question: give at least the time-out",
        )


def _person(profile: DeviceProfile) -> Iterator[Violation]:
    """A machine without wires: what the person reads, and nothing that only a wire could do."""
    for table in ("signals", "actions"):
        if getattr(profile, table):
            yield Violation(table, f"a person works this machine: take [{table}] out, or name another link.engine")
    if profile.link.url:
        yield Violation("link.url", "a person has no address: take it out")
    if profile.press is not None and not profile.parts:
        if not profile.press.gauge_unit:
            yield Violation(
                "press.gauge_unit", "say what the gauge shows: gauge_unit = 'tf', 'kN', 'oil bar', ..."
            )
        else:
            has_ram = profile.press.ram_diameter_mm is not None
            problem = unit_problem("gauge_kn", profile.press.gauge_unit, has_ram=has_ram)
            if problem:
                yield Violation("press.gauge_unit", problem)


def _names(profile: DeviceProfile, vocabulary: Vocabulary) -> Iterator[Violation]:
    cold = _OF_HEATERS if profile.press is not None and not profile.press.heated else frozenset()
    for table, given, must, may in (
        ("signals", set(profile.signals), vocabulary.signals - cold, vocabulary.may_signals | cold),
        ("actions", set(profile.actions), vocabulary.actions - cold, vocabulary.may_actions | cold),
    ):
        for name in sorted(must - given):
            yield Violation(f"{table}.{name}", f"a {profile.kind} needs it: add [{table}.{name}]")
        for name in sorted(given - must - may):
            if table == "signals" and profile.signals[name].interlock:
                continue  # a machine may have interlocks of its own
            close = nearest(name, must | may)
            yield Violation(f"{table}.{name}", f"a {profile.kind} has no such {table[:-1]}{close}")
    if vocabulary.moving and not profile.interlocks:
        yield Violation("signals", "no signal has interlock = true: give at least guard or emergency stop")
    for name, word in (("load_cell", "loaded_cell"),):
        if name in profile.actions and word not in profile.signals:
            yield Violation(f"signals.{word}", f"action '{name}' cannot be confirmed without it: add it")


def _actions(profile: DeviceProfile, vocabulary: Vocabulary) -> Iterator[Violation]:
    for name, action in profile.actions.items():
        key = f"actions.{name}"
        if name in vocabulary.moving:
            if not action.requires:
                yield Violation(f"{key}.requires", "it moves the machine: name the interlocks that it requires")
            if action.confirm is None:
                yield Violation(
                    f"{key}.confirm", "it moves the machine: say which signal confirms it, and how soon"
                )
        elif name not in vocabulary.commands and not action.readback and not isinstance(action.at, OfParts):
            yield Violation(
                f"{key}.readback", "a set point that is not read back may be lost: write readback = true"
            )
        if name in vocabulary.commands and action.value is None and isinstance(action.at, Register):
            yield Violation(f"{key}.value", "a command writes a fixed number: give it")
        if name not in vocabulary.commands and action.value is not None:
            yield Violation(f"{key}.value", "a set point is given by the driver: take the fixed number out")
        if action.value is not None and isinstance(action.at, Register) and not _fits(action.at, action.value):
            yield Violation(f"{key}.value", f"{action.value} does not fit {action.at.type}")
        for wanted in action.requires:
            if wanted not in profile.interlocks:
                close = nearest(wanted, list(profile.interlocks))
                yield Violation(f"{key}.requires", f"'{wanted}' is no signal with interlock = true{close}")
        if action.confirm is not None:
            yield from _confirm(profile, key, action)
        if isinstance(action.at, Register):
            yield from _writable(key, action.at)
    stop = profile.actions.get("stop")
    if stop is not None and (not stop.always_allowed or stop.requires):
        yield Violation("actions.stop", "stop must be possible always: always_allowed = true and no requires")
    for name, action in profile.actions.items():
        if name in vocabulary.moving and action.always_allowed:
            yield Violation(
                f"actions.{name}.always_allowed", "it moves the machine: only stop may be always allowed"
            )


def _writable(key: str, at: Register) -> Iterator[Violation]:
    if at.table not in ("coil", "holding"):
        yield Violation(f"{key}.at", f"a {at.table} cannot be written: give a coil or a holding register")
    if at.bit is not None:
        yield Violation(f"{key}.at", "a single bit of a register cannot be written alone: give a coil or register")


def _confirm(profile: DeviceProfile, key: str, action: Action) -> Iterator[Violation]:
    confirm = action.confirm
    assert confirm is not None
    signal = profile.signals.get(confirm.signal)
    if signal is None:
        close = nearest(confirm.signal, list(profile.signals))
        yield Violation(f"{key}.confirm", f"'{confirm.signal}' is no signal of this profile{close}")
        return
    said = _words_of(profile, signal)
    for word in confirm.becomes:
        if word not in said:
            known = ", ".join(said) or "only numbers"
            yield Violation(f"{key}.confirm", f"'{confirm.signal}' never becomes '{word}': it says {known}")


def _words_of(profile: DeviceProfile, signal: Signal) -> tuple[str, ...]:
    """The words that a signal can say, whatever says them."""
    if isinstance(signal.at, TextLine):
        return tuple(signal.at.words.values()) or tuple(signal.values.values())
    if isinstance(signal.at, OfParts):
        parts = [
            (profile.parts[part], name)
            for part, name in signal.at.targets()
            if part in profile.parts and name in profile.parts[part].signals
        ]
        return tuple(word for part, name in parts for word in _words_of(part, part.signals[name]))
    return tuple(signal.values.values())


def _machine_limits(profile: DeviceProfile) -> Iterator[Violation]:
    pairs: list[tuple[str, float | None, float, float, str]] = []
    limits = profile.limits
    if profile.kind == "press" and profile.press is not None:
        machine = profile.press
        pairs = [
            ("force_kn", limits.force_kn, machine.min_controllable_kn, machine.capacity_kn, "kN"),
            ("temperature_c", limits.temperature_c, machine.min_c, machine.capacity_c, "°C"),
            ("ramp_kn_s", limits.ramp_kn_s, 0.0, machine.capacity_kn, "kN/s"),
        ]
        if machine.resolution_kn > machine.min_controllable_kn:
            yield Violation(
                "press.min_controllable_kn",
                f"{machine.min_controllable_kn:g} kN is below one step of {machine.resolution_kn:g} kN: give more",
            )
    if profile.kind == "laminator" and profile.roll is not None:
        roll = profile.roll
        pairs = [
            ("line_force_n_mm", limits.line_force_n_mm, roll.min_n_mm, roll.capacity_n_mm, "N/mm"),
            ("speed_mm_s", limits.speed_mm_s, roll.min_mm_s, roll.capacity_mm_s, "mm/s"),
            ("temperature_c", limits.temperature_c, roll.min_c, roll.capacity_c, "°C"),
        ]
    if profile.kind == "press" and profile.press is not None and not profile.press.heated:
        pairs = [pair for pair in pairs if pair[0] != "temperature_c"]
    if profile.heater is not None:
        heater = profile.heater
        pairs = [("temperature_c", limits.temperature_c, heater.min_c, heater.capacity_c, "°C")]
    for name, limit, low, high, unit in pairs:
        if limit is None:
            yield Violation(f"limits.{name}", f"a {profile.kind} needs this limit: give at most {high:g} {unit}")
        elif not low < limit <= high:
            yield Violation(
                f"limits.{name}",
                f"{limit:g} {unit} is not inside the machine's {low:g} to {high:g} {unit}: give a limit inside",
            )
        action = profile.actions.get(f"set_{name}")
        if (
            limit is not None
            and action is not None
            and not unit_problem(
                f"set_{name}",
                action.unit,
                has_ram=profile.press is not None and profile.press.ram_diameter_mm is not None,
            )
        ):
            gain, offset = profile.linear(action)
            if gain == 0 or not isinstance(action.at, Register):
                continue  # a scale of 0 is told with the units
            if not _fits(action.at, (limit - offset) / gain):
                yield Violation(
                    f"actions.set_{name}.at",
                    f"{action.at.type} in steps of {action.scale:g} {action.unit} cannot hold {limit:g} {unit}",
                )


def _all_places(profile: DeviceProfile) -> Iterator[tuple[str, Place, bool]]:
    """Key, place, and whether it is written."""
    for name, signal in profile.signals.items():
        yield f"signals.{name}", signal.at, False
    for name, action in profile.actions.items():
        yield f"actions.{name}", action.at, True
    if profile.heartbeat is not None:
        yield "heartbeat", profile.heartbeat.at, True
    for name in ("model", "serial_number"):
        mark = getattr(profile.identity, name)
        if mark is not None:
            yield f"identity.{name}", mark.at, False


def _all_registers(profile: DeviceProfile) -> Iterator[tuple[str, Register, bool]]:
    """Key, register, and whether it is written."""
    return ((key, at, written) for key, at, written in _all_places(profile) if isinstance(at, Register))


def _places(profile: DeviceProfile) -> Iterator[Violation]:
    """Every place is one that the engine can reach."""
    wanted = _PLACES.get(profile.link.engine)
    if wanted is None:
        return
    kind, words = wanted
    for key, at, _ in _all_places(profile):
        if not isinstance(at, kind):
            yield Violation(f"{key}.at", f"engine '{profile.link.engine}' reaches {words}")


def _lines(profile: DeviceProfile) -> Iterator[Violation]:
    """Templates can be read, ask what they must, and carry the number or word that is wanted of them."""
    for key, at, written in _all_places(profile):
        if not isinstance(at, TextLine):
            continue
        fields: dict[str, tuple[str, ...]] = {}
        for name in ("ask", "reply", "send", "accepted"):
            try:
                fields[name] = LineTemplate(getattr(at, name)).fields
            except ValueError as error:
                yield Violation(f"{key}.at.{name}", str(error))
        if len(fields) < 4:
            continue
        if fields["ask"]:
            yield Violation(f"{key}.at.ask", "a question has no fields: take the braces out")
        if bool(at.ask) != bool(at.reply):
            yield Violation(f"{key}.at", "ask and reply belong together: give both")
        if written:
            yield from _command_line(profile, key, at, fields)
        elif not at.ask:
            yield Violation(f"{key}.at.ask", "a signal is asked for: give ask and reply")
        wanted = "word" if at.words else "value"
        if at.reply and wanted not in fields["reply"]:
            yield Violation(f"{key}.at.reply", f"{at.reply!r} does not hold {{{wanted}}}: say where it stands")


def _command_line(
    profile: DeviceProfile, key: str, at: TextLine, fields: Mapping[str, tuple[str, ...]]
) -> Iterator[Violation]:
    if not at.send:
        yield Violation(f"{key}.at.send", "an action sends a line: give it")
    table, _, name = key.partition(".")
    commands = VOCABULARY[profile.kind].commands if profile.kind in VOCABULARY else frozenset()
    if table == "actions" and (name in commands) == ("value" in fields["send"]):
        said = "a command carries no {value}" if name in commands else "a set point carries its {value}"
        yield Violation(f"{key}.at.send", f"{at.send!r}: {said}")
    if table == "actions" and profile.actions[name].readback and not at.ask:
        yield Violation(f"{key}.readback", "is read back by a question: give at.ask and at.reply")


def _parts(profile: DeviceProfile) -> Iterator[Violation]:
    """The parts are whole devices, are named rightly, and bear what is asked of them."""
    if profile.link.engine == "person":
        yield from _indicator_of_person(profile)
    elif bool(profile.parts) != (profile.link.engine == "parts"):
        yield Violation("parts", "engine = 'parts' and the tables [parts.NAME] belong together: give both")
    for part, of in profile.parts.items():
        if of.parts:
            yield Violation(f"parts.{part}.parts", "a part is one device: join all of them here")
        if "." in part or "=" in part or "," in part:
            yield Violation(f"parts.{part}", "a part's name has letters, digits, - and _ only: rename it")
        for one in contradictions(of):
            yield Violation(f"parts.{part}.{one.where}" if one.where else f"parts.{part}", one.message, one.line)
    for table, given in (("signals", profile.signals), ("actions", profile.actions)):
        for name, item in given.items():
            if isinstance(item.at, OfParts):
                yield from _targets(profile, table, name, item.at)
    yield from _shared_lines(profile)


def _indicator_of_person(profile: DeviceProfile) -> Iterator[Violation]:
    """Beside a person at a press there may be one load indicator, and nothing else."""
    for name, part in profile.parts.items():
        if name != "indicator" or part.kind != "force-indicator" or profile.kind != "press":
            yield Violation(
                f"parts.{name}",
                f"a person at a press may have one [parts.indicator] of kind force-indicator, no {part.kind}",
            )
    if profile.parts and profile.press is not None and profile.press.gauge_unit:
        yield Violation(
            "press.gauge_unit", "with a load indicator the force is read by wire, in kN: take the gauge out"
        )


def _targets(profile: DeviceProfile, table: str, name: str, at: OfParts) -> Iterator[Violation]:
    key = f"{table}.{name}.at"
    for part, wanted in at.targets():
        if part not in profile.parts:
            yield Violation(key, f"'{part}' is no part{nearest(part, list(profile.parts))}: add [parts.{part}]")
            continue
        of = profile.parts[part]
        known: Mapping[str, object] = of.signals if table == "signals" else of.actions
        if wanted not in known:
            close = nearest(wanted, list(known))
            yield Violation(key, f"part '{part}' has no {table[:-1]} '{wanted}'{close}")
        elif dimension_of(wanted) != dimension_of(name):
            yield Violation(
                key, f"'{wanted}' of '{part}' is a {dimension_of(wanted)}, '{name}' a {dimension_of(name)}"
            )
        limit_name = name.removeprefix("set_")
        limit = getattr(profile.limits, limit_name, None) if table == "actions" else None
        its = getattr(of.limits, limit_name, None)
        if limit is not None and its is not None and limit > its:
            yield Violation(
                f"limits.{limit_name}", f"{limit:g} is more than part '{part}' allows ({its:g}): lower it"
            )


def _shared_lines(profile: DeviceProfile) -> Iterator[Violation]:
    """Parts on one line speak alike and have units of their own."""
    for (one, first), (two, second) in combinations(profile.parts.items(), 2):
        a, b = first.link, second.link
        if not a.url or a.url != b.url:
            continue
        alike = (a.engine, a.baud, a.parity, a.stop_bits) == (b.engine, b.baud, b.parity, b.stop_bits)
        if not alike:
            yield Violation(
                f"parts.{two}.link",
                f"shares {b.url} with '{one}' and must have its engine, baud, parity and stop_bits",
            )
        elif a.unit == b.unit:
            yield Violation(f"parts.{two}.link.unit", f"{b.unit} is also the unit of '{one}' on the same line")


def _registers(profile: DeviceProfile) -> Iterator[Violation]:
    for key, at, _ in _all_registers(profile):
        bits = at.table in ("coil", "discrete")
        if bits and at.type != "bool":
            yield Violation(f"{key}.at", f"a {at.table} is one bit, not {at.type}: write type = 'bool'")
        if bits and at.bit is not None:
            yield Violation(f"{key}.at", f"a {at.table} has no bits of its own: take 'bit' out")
        if not bits and (at.type == "bool") != (at.bit is not None):
            yield Violation(
                f"{key}.at", "type = 'bool' and bit = 0 to 15 belong together in a register: give both"
            )
        if at.address + at.words - 1 > 65535:
            yield Violation(f"{key}.at", f"{at} ends beyond address 65535")
    for name, signal in profile.signals.items():
        for raw in (*signal.values, *signal.invalid):
            if isinstance(signal.at, Register) and not _fits(signal.at, raw):
                yield Violation(f"signals.{name}", f"{raw} can never come from {signal.at.type}")


def _overlaps(profile: DeviceProfile) -> Iterator[Violation]:
    for (one, first, first_written), (two, second, second_written) in combinations(_all_registers(profile), 2):
        if first.table != second.table:
            continue
        apart = first.address + first.words <= second.address or second.address + second.words <= first.address
        if apart:
            continue
        if first_written != second_written and first == second:
            continue  # a set point and its readback
        same_word = first.address == second.address and None not in (first.bit, second.bit)
        if same_word and first.bit != second.bit:
            continue  # two bits of one status word
        yield Violation(f"{two}.at", f"{second} overlaps {first} of {one}: one of the two addresses is wrong")


def _units(profile: DeviceProfile) -> Iterator[Violation]:
    has_ram = profile.press is not None and profile.press.ram_diameter_mm is not None
    items: list[tuple[str, str, Signal | Action]] = [
        *(("signals", name, signal) for name, signal in profile.signals.items()),
        *(("actions", name, action) for name, action in profile.actions.items()),
    ]
    for table, name, item in items:
        if isinstance(item.at, OfParts):
            if (item.unit, item.scale, item.offset) != ("1", 1.0, 0.0):
                yield Violation(
                    f"{table}.{name}.unit", "parts speak in the unit of the name: take unit, scale and offset out"
                )
            continue
        if problem := unit_problem(name, item.unit, has_ram=has_ram):
            yield Violation(f"{table}.{name}.unit", problem)
        if item.scale == 0:
            yield Violation(f"{table}.{name}.scale", "0 is no scale: give the step of the register")


def _states(profile: DeviceProfile) -> Iterator[Violation]:
    state = profile.signals.get("state")
    if state is None or profile.kind not in VOCABULARY:
        return
    said = set(_words_of(profile, state))
    if profile.kind not in ("press", "laminator"):
        return
    for word in sorted(said - set(STATES)):
        yield Violation(
            "signals.state.values", f"'{word}' is no state{nearest(word, list(STATES))}: {', '.join(STATES)}"
        )
    for word in sorted({"idle", "hold", "fault"} - said):
        yield Violation("signals.state.values", f"no number means '{word}': a {profile.kind} must tell it")


def _others(profile: DeviceProfile) -> Iterator[Violation]:
    beat = profile.heartbeat
    if beat is not None:
        if beat.period_s * 2 > beat.plc_timeout_s:
            yield Violation(
                "heartbeat.period_s",
                f"{beat.period_s:g} s leaves no room for one lost beat within {beat.plc_timeout_s:g} s: "
                f"give at most {beat.plc_timeout_s / 2:g} s",
            )
        if isinstance(beat.at, Register) and (
            beat.at.table != "holding" or beat.at.type not in ("uint16", "int16")
        ):
            yield Violation("heartbeat.at", "the counter is a 16-bit holding register")
    if profile.identity.answers:
        try:
            re.compile(profile.identity.answers)
        except re.error as error:
            yield Violation("identity.answers", f"is no regular expression: {error}")
        else:
            said = profile.identity.example
            if said and re.search(profile.identity.answers, said) is None:
                yield Violation("identity.example", f"{said!r} does not fit {profile.identity.answers!r}")
    yield from analyzer_contradictions(profile)
    meter = profile.meter
    if meter is not None and meter.low_ohm >= meter.high_ohm:
        yield Violation("meter.low_ohm", f"{meter.low_ohm:g} Ω is not below high_ohm ({meter.high_ohm:g} Ω)")


def _fits(at: Register, raw: float) -> bool:
    low, high = RANGES[at.type]
    return low <= raw <= high
