"""A machine behind a register map: reads signals in few blocks, takes actions, knows who answers."""

from __future__ import annotations

import os
from typing import cast

from pressopt.clock import Clock
from pressopt.errors import WrongDeviceError
from pressopt.instruments.joined import JoinedDevice, split_urls
from pressopt.instruments.line import Tap
from pressopt.instruments.link import Link, line_of
from pressopt.instruments.machine import Machine, Seen, SignalDevice
from pressopt.instruments.modbus import BitTable, Framing, ModbusLink, WordTable, frame_gap_s
from pressopt.instruments.opening import identified, profile_of_kind
from pressopt.instruments.recording import WireTap
from pressopt.instruments.registers import Block, decode, encode, pick, plan_blocks
from pressopt.instruments.text_device import TextDevice
from pressopt.profiles import DeviceProfile, IdentityMark, Kind, Register, register

__all__ = ["Machine", "RegisterDevice", "Seen", "connect", "machine_of"]


class RegisterDevice(SignalDevice):
    """Signals and actions of one profile over Modbus. Owned by one thread.

    Args:
        profile: Of engine modbus-tcp or modbus-rtu.
        clock: Laboratory time, for confirmations.
        link: Where the device is; several units may share one.
    """

    def __init__(self, profile: DeviceProfile, clock: Clock, link: Link) -> None:
        super().__init__(profile, clock, link)
        wanted, line = profile.link, link.line
        framing: Framing = "tcp" if wanted.engine == "modbus-tcp" else "rtu"
        place = os.path.realpath(line.name.split(" ")[0])
        no_bit_times = place.startswith("/dev/pts/") or "://" in line.name
        self._modbus = ModbusLink(
            link,
            framing=framing,
            unit=wanted.unit,
            timeout_s=wanted.timeout_s,
            frame_gap_s=frame_gap_s(wanted.baud, pseudo_terminal=no_bit_times),
        )
        self._plans: dict[frozenset[str], tuple[Block, ...]] = {}

    def _who(self) -> str:
        found = []
        for name in ("model", "serial_number"):
            mark: IdentityMark | None = getattr(self.profile.identity, name)
            if mark is None:
                continue
            number = round(self._raw(mark.at))
            words = name.replace("_", " ")
            if mark.expect is not None and number != mark.expect:
                raise WrongDeviceError(
                    f"{self._modbus.name}: {words} {number} answers, '{self.profile.name}' has {mark.expect}: "
                    "check cable, address and profile; nothing was written"
                )
            found.append(f"{words} {number}")
        return ", ".join(found)

    def _read(self, names: frozenset[str]) -> dict[str, Seen]:
        """In as few questions as the addresses allow."""
        plan = self._plans.get(names)
        if plan is None:
            registers = [register(self.profile.signals[name].at) for name in names]
            plan = self._plans[names] = plan_blocks(registers, most_words=self.profile.link.most_words)
        words = {block: self.read_block(block) for block in plan}
        order = self.profile.link.word_order
        places = {name: register(self.profile.signals[name].at) for name in names}
        return {name: self.meaning(name, decode(at, pick(at, words), order)) for name, at in places.items()}

    def read_block(self, block: Block) -> list[int]:
        """The words (or bits) of a block, as they are on the wire."""
        if block.table in ("coil", "discrete"):
            return [
                int(bit) for bit in self._modbus.read_bits(cast(BitTable, block.table), block.start, block.count)
            ]
        return self._modbus.read_words(cast(WordTable, block.table), block.start, block.count)

    def _raw(self, at: Register) -> float:
        return decode(at, self.read_block(Block(at.table, at.address, at.words)), self.profile.link.word_order)

    def _write(self, action: str, raw: float) -> float:
        what = self.profile.actions[action]
        at, order = register(what.at), self.profile.link.word_order
        if at.table == "coil":
            self._modbus.write_coil(at.address, bool(raw))
        else:
            words = encode(at, raw, order)
            if len(words) == 1:
                self._modbus.write_word(at.address, words[0])
            else:
                self._modbus.write_words(at.address, words)
            raw = decode(at, words, order)
        if what.readback:
            held = self._raw(at)
            if held != raw:
                raise self.differs(action, raw, held)
        return raw

    def _send_beat(self, number: int) -> None:
        heart = self.profile.heartbeat
        assert heart is not None
        self._modbus.write_word(register(heart.at).address, number)


def machine_of(
    profile: DeviceProfile,
    clock: Clock,
    url: str | None = None,
    *,
    tap: Tap | None = None,
    shared: dict[str, Link] | None = None,
) -> Machine:
    """The machine of ``profile``, its line open, nobody asked yet.

    Args:
        profile: Of an engine with signals: modbus-tcp, modbus-rtu, ascii-line or parts.
        clock: Laboratory time.
        url: Where it is, instead of ``link.url``; of a joined device ``part=url,part=url``.
        tap: Sees every byte.
        shared: Links that are open already, by url; devices on one line share its link.

    Raises:
        LinkRefused: A line cannot be opened.
    """
    links = {} if shared is None else shared
    if profile.parts:
        urls = split_urls(profile, url)
        opened: dict[str, Machine] = {}
        try:
            for name, part in profile.parts.items():
                its_tap = tap.part(name) if isinstance(tap, WireTap) else tap
                opened[name] = machine_of(part, clock, urls.get(name), tap=its_tap, shared=links)
        except BaseException:
            for machine in opened.values():
                machine.close()
            raise
        return JoinedDevice(profile, clock, opened)
    address = url or profile.link.url
    link = links.get(address)
    if link is None:
        wanted = profile.link
        link = Link(line_of(wanted, address, tap=tap), retries=wanted.retries, silence_s=wanted.silence_s)
        links[address] = link
    else:
        link.join(silence_s=profile.link.silence_s)
    return (TextDevice if profile.link.engine == "ascii-line" else RegisterDevice)(profile, clock, link)


def connect(
    profile: DeviceProfile | str, clock: Clock, url: str | None = None, *, kind: Kind, tap: Tap | None = None
) -> Machine:
    """Open the lines of ``profile`` and check who answers.

    Args:
        profile: A profile, the name of a shipped one, or a path.
        clock: Laboratory time.
        url: Where the device is, instead of the profile's ``link.url``; of a joined device ``part=url,part=url``.
        kind: The kind of profile that is wanted.
        tap: Sees every byte on the wire.

    Raises:
        ProfileError: The profile is wrong, or of another kind.
        LinkError: A line cannot be opened, or nobody answers.
        WrongDeviceError: Another device answers.
    """
    return identified(machine_of(profile_of_kind(profile, kind), clock, url, tap=tap))
