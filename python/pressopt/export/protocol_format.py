"""The shape of a protocol file, once: it checks what is read, and the shipped JSON Schema is generated from it.

``python -m pressopt.export.protocol_format`` writes ``protocol.schema.json`` anew; a test compares the two.
Imported late: pydantic costs 50 ms.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: Name and version of the format, first key of every file.
PROTOCOL_SCHEMA = "pressopt/protocol/1"
SCHEMA_FILE = Path(__file__).with_name("protocol.schema.json")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(gt=-273.15, lt=2000)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Part):
    """From low to high, in the unit of what it belongs to."""

    low: Finite
    high: Finite


class LayerPart(_Part):
    """One layer, from the bottom up."""

    material: str
    role: Literal["collector", "electrode", "interlayer", "electrolyte", "composite"]
    thickness_um: Positive
    roughness_um: Positive | None
    relative_density: Annotated[float, Field(gt=0, le=1)] | None
    powder: bool


class CellPart(_Part):
    """The cell that is pressed."""

    layers: Annotated[list[LayerPart], Field(min_length=2)]
    die_diameter_mm: Positive
    electrode_diameter_mm: Positive


class Gauge(_Part):
    """What a pressure on the sample is at the gauge of a press, for this die (and this ram, where it is known)."""

    force_kn: NotNegative
    force_tf: NotNegative = Field(description="metric tons-force, 9.80665 kN")
    oil_bar: NotNegative | None


class PressStage(_Part):
    """One ramp and hold between platens. Pressure means pressure on the sample."""

    kind: Literal["press"]
    name: str
    pressure_mpa: Positive
    ramp_mpa_s: Positive
    dwell_s: NotNegative
    temperature_c: Temperature
    on_abort: Literal["release", "hold_and_cool", "hold"]
    gauge: Gauge
    window: dict[str, Range] = Field(description="process window of each searched setting of this stage")


class RollingStage(_Part):
    """Passes through a roller nip."""

    kind: Literal["roll"]
    name: str
    line_force_n_mm: Positive
    speed_mm_s: Positive
    passes: Annotated[int, Field(ge=1)]
    temperature_c: Temperature
    window: dict[str, Range]


class InstrumentPart(_Part):
    """What measures the cell, and how it is set."""

    kind: Literal["impedance", "four-wire"]
    high_hz: Positive | None
    low_hz: Positive | None
    points_per_decade: Annotated[int, Field(ge=1)] | None
    amplitude_mv: Positive | None = Field(description="rms")
    bias_v: Finite | None
    readings: Annotated[int, Field(ge=1)] | None = Field(description="four-wire readings that are averaged")


class MeasurePart(_Part):
    """The state in which the cell is measured."""

    pressure_mpa: NotNegative = Field(description="pressure on the sample; 0: released")
    temperature_c: Temperature
    settle_s: NotNegative
    release_mpa_s: Positive
    gauge: Gauge
    window: dict[str, Range] = Field(
        description="process window, where the pressure of the measurement is searched"
    )
    instrument: InstrumentPart | None = None


class IntervalPart(_Part):
    """Median and central interval."""

    median: Finite
    low: Finite
    high: Finite
    probability: Share


class MissPart(_Part):
    """What the first measured objective becomes where this setting is missed and the others are kept."""

    value: float | int = Field(description="the setting, at an end of its process window")
    expected: IntervalPart


class SettingPart(_Part):
    """One setting that was searched."""

    value: float | int | str
    unit: str
    searched: Range | list[str] = Field(description="the range, or the choices, that were searched")
    window: Range | None = Field(description="within it the result stays within window_tolerance; others held")
    effect: Share | None = Field(description="share of the modelled variation that it explains")
    sensitivity: list[MissPart] = Field(
        default_factory=list, description="the result at the ends of the window, by the campaign's model"
    )


class ReferencePart(_Part):
    """What the recommended protocol is compared with."""

    name: Literal["untouched", "initial design", "best cell"]
    value: Finite
    low: Finite | None
    high: Finite | None
    source: Literal["measured", "predicted"]
    trial: int | None
    times_better: Finite | None = Field(description="ratio of the two in the direction of better; below 1: worse")


class ResultPart(_Part):
    """One quantity that the experiment asks for."""

    quantity: str
    label: str
    unit: str
    direction: Literal["minimize", "maximize"]
    source: Literal["measured", "predicted"] = Field(description="predicted: by physics alone, never measured")
    target: Finite | None
    target_met: bool | None = Field(description="whether the whole interval reaches the target")
    expected: IntervalPart | None
    compared_with: list[ReferencePart]


class ConstraintPart(_Part):
    """An outcome that had to stay within bounds."""

    quantity: str
    lower: Finite | None
    upper: Finite | None
    source: Literal["measured", "predicted"]
    probability: Share


class LimitsPart(_Part):
    """The most that the experiment allows, whatever the machine could do; null: no limit of its own."""

    pressure_mpa: Positive | None
    force_kn: Positive | None
    temperature_c: Finite | None
    ramp_mpa_s: Positive | None
    line_force_n_mm: Positive | None


class EvidencePart(_Part):
    """The cells behind the protocol."""

    trials_proposed: Annotated[int, Field(ge=0)]
    cells_pressed: Annotated[int, Field(ge=0)]
    cells_valid: Annotated[int, Field(ge=0)]
    cells_failed: dict[str, int] = Field(description="by kind of failure")
    blameless_failures: list[str] = Field(description="kinds that say nothing about the settings")
    trials_rejected: Annotated[int, Field(ge=0)]
    replicates: Annotated[int, Field(ge=0)] = Field(description="cells with settings that another cell had before")
    trials_in_flight: list[int]
    readings_set_aside: list[int] = Field(
        default_factory=list, description="trials whose cells the model takes for spoilt"
    )
    assumed_inputs: list[str] = Field(
        default_factory=list, description="inputs of the physics behind predictions that nobody has measured"
    )


class CellData(_Part):
    """One cell whose data stand behind the protocol, with the digests of its raw curves."""

    trial: Annotated[int, Field(ge=1)]
    verdict: str
    failures: list[str]
    press_record_sha256: Sha256 | Literal[""]
    measurement_sha256: Sha256 | Literal[""] = Field(description="the last raw measurement")


class ProvenancePart(_Part):
    """Where the protocol comes from."""

    campaign: str
    started_at: str | None
    last_entry_at: str | None
    journal_entries: Annotated[int, Field(ge=0)]
    journal_head_sha256: Sha256 | Literal[""]
    experiment_sha256: str
    software: dict[str, str]
    seed: int
    strategy: str
    model: dict[str, float | str]
    data: list[CellData] = Field(default_factory=list, description="the cells that the model has learnt from")
    confirmed_by: dict[str, int] = Field(
        default_factory=dict, description="who approved cells for pressing, and how many"
    )
    approved_by: str | None = Field(default=None, description="the person who released this protocol, if any")


class ProtocolFile(_Part):
    """A pressing protocol that somebody else can repeat. Made by `pressopt export`."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="pressopt protocol, version 1")

    schema_: Literal["pressopt/protocol/1"] = Field(alias="schema")
    name: str
    title: str
    complete: bool = Field(description="false: the campaign is not finished, or ended without an answer")
    incomplete_because: str = Field(description="empty when complete")
    cell: CellPart
    stages: list[Annotated[PressStage | RollingStage, Field(discriminator="kind")]]
    measurement: MeasurePart | None
    settings: dict[str, SettingPart]
    window_tolerance: NotNegative | None = Field(description="relative worsening that the window allows")
    feasibility: Share | None = Field(description="probability that a cell pressed so does not fail")
    expected_gain: Finite | None = Field(description="what one more trial is expected to improve, relative")
    results: list[ResultPart]
    predicted_only: list[str] = Field(description="quantities whose values no instrument has measured")
    constraints: list[ConstraintPart]
    limits: LimitsPart
    safety: list[str]
    evidence: EvidencePart
    provenance: ProvenancePart


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a protocol file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{PROTOCOL_SCHEMA.replace('/', ':')}",
        **ProtocolFile.model_json_schema(by_alias=True),
    }


def schema_text() -> str:
    """Return the text of the shipped schema file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
