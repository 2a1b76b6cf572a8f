"""Cells, protocols, limits and the ports of whatever presses."""

from pressopt.pressing.cell import Cell, Layer, Role
from pressopt.pressing.limits import Limits
from pressopt.pressing.press import (
    HoldKind,
    Laminator,
    LaminatorCapability,
    LaminatorReading,
    Press,
    PressCapability,
    PressReading,
    PressState,
    SampleChanger,
)
from pressopt.pressing.protocol import Die, PressingProtocol, RollStage, SafeState, Stage
from pressopt.pressing.quantities import QUANTITIES, MeasuredBy, Quantity
from pressopt.pressing.record import PressRecord, StageRecord

__all__ = [
    "QUANTITIES",
    "Cell",
    "Die",
    "HoldKind",
    "Laminator",
    "LaminatorCapability",
    "LaminatorReading",
    "Layer",
    "Limits",
    "MeasuredBy",
    "Press",
    "PressCapability",
    "PressReading",
    "PressRecord",
    "PressState",
    "PressingProtocol",
    "Quantity",
    "Role",
    "RollStage",
    "SafeState",
    "SampleChanger",
    "Stage",
    "StageRecord",
]
