"""What a person at the press must know before the ram moves; follows from the cell and the protocol."""

from __future__ import annotations

from pressopt.export.wording import number
from pressopt.pressing import Cell, PressingProtocol, Role, RollStage, SafeState

#: Above this, °C, a touched metal surface burns skin within seconds (ISO 13732-1:2006, bare metal, 10 s: 55 °C).
BURNING_C = 55.0
#: Fracture of a die or pellet throws parts; presses of this kind work behind a guard. Assumed: any force at all.
_ALKALI = ("Li", "Na", "K")


def safety_notes(cell: Cell, protocol: PressingProtocol | None) -> tuple[str, ...]:
    """Return the notes that hold for this cell and protocol, most important first."""
    notes = [
        "Guard closed, emergency stop within reach. Interlocks, relief valve and emergency stop belong to the "
        "machine; software replaces none of them.",
    ]
    electrodes = {layer.material for layer in cell.layers if layer.role is Role.ELECTRODE}
    if any(_is_alkali(material) for material in electrodes):
        notes.append(
            "Alkali metal: argon or dry room only; no water, no CO2 extinguisher (class D powder or dry sand)."
        )
    if protocol is None:
        return tuple(notes)
    hottest_c = max(stage.temperature_c for stage in protocol.stages)
    if hottest_c >= BURNING_C:
        notes.append(
            f"Platens reach {number(hottest_c)} °C: heat gloves; let them cool before the cell is taken out."
        )
    for stage in protocol.stages:
        if isinstance(stage, RollStage):
            notes.append("Nip point: no fingers, gloves or cables near turning rolls.")
            break
    if any(
        not isinstance(stage, RollStage) and stage.on_abort is not SafeState.RELEASE for stage in protocol.stages
    ):
        notes.append("On abort the press keeps its force: it is not safe to open before the gauge reads zero.")
    return tuple(notes)


def _is_alkali(material: str) -> bool:
    """Whether a material's name is that of an alkali metal or its alloy: ``Li``, ``sodium``, ``Li-In``."""
    head = material.replace("_", "-").split("-")[0]
    return head.capitalize() in _ALKALI or head.lower() in {"lithium", "sodium", "potassium"}
