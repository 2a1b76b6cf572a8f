"""A sample changer that belongs to a press or laminator, behind the port SampleChanger."""

from __future__ import annotations

import math

from pressopt.errors import LimitError, LinkRefused
from pressopt.instruments.machine import Machine


class ProfileSampleChanger:
    """See :class:`pressopt.pressing.SampleChanger`. Shares the line of its machine.

    Args:
        device: A connected device whose profile has the action ``load_cell``.
    """

    def __init__(self, device: Machine) -> None:
        if "load_cell" not in device.profile.actions:
            raise LinkRefused(f"'{device.profile.name}' has no action load_cell: a person loads its cells")
        self._device = device

    def load(self, trial: int) -> None:
        """Return once cell ``trial`` lies under the press.

        Raises:
            LimitError: The changer has no such number.
            InterlockError, DeviceFault: It may not, or did not.
        """
        device = self._device
        low, high = (1, 32767)
        if not low <= trial <= high:
            raise LimitError(f"cell {trial} is asked, the changer numbers cells {low} to {high}")
        device.ready()
        if self.loaded() == trial:
            return
        device.require("load_cell", device.look(device.profile.interlocks))
        device.act("load_cell", float(trial))
        device.confirm("load_cell", lambda seen: seen["loaded_cell"].value == trial)

    def loaded(self) -> int | None:
        seen = self._device.look(("loaded_cell",))["loaded_cell"]
        return None if math.isnan(seen.value) or seen.value <= 0 else round(seen.value)


def connect_changer(machine: object) -> ProfileSampleChanger | None:
    """The sample changer of a press or laminator that this package drives; None where its profile has none."""
    device: Machine | None = getattr(machine, "device", None)
    if device is None or "load_cell" not in device.profile.actions:
        return None
    return ProfileSampleChanger(device)
