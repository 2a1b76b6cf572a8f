"""Trials as Arrow and pandas tables, units and labels in the schema; Parquet from there (extra ``tables``)."""

from __future__ import annotations

import importlib
import io
import json
from typing import TYPE_CHECKING, Any

from pressopt.campaign.replay import CampaignState
from pressopt.errors import PressoptError
from pressopt.export.tables import Column, trial_columns

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from pressopt.campaign.experiment import Experiment


class ExtraMissing(PressoptError):  # noqa: N818 - says what is missing, as JournalMissing does
    """An optional library is not installed; says how to install it."""


def extra(module: str, name: str) -> Any:
    """Import an optional library.

    Raises:
        ExtraMissing: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExtraMissing(f"this needs {module} ({error}): pip install 'pressopt[{name}]'") from error


def trials_arrow(experiment: Experiment, state: CampaignState) -> pyarrow.Table:
    """Return one row per trial; each field carries ``unit`` in its metadata, the table where it comes from.

    Raises:
        ExtraMissing: pyarrow is not installed.
    """
    arrow = extra("pyarrow", "parquet")
    fields, arrays = [], []
    for column in trial_columns(experiment, state):
        kind = _kind(arrow, column)
        described = {"unit": column.unit, "description": column.heading}
        fields.append(arrow.field(column.heading, kind, metadata=described))
        arrays.append(arrow.array([_value(value, column) for value in column.values], type=kind))
    origin = {
        "schema": "pressopt/trials/1",
        "campaign": experiment.name,
        "journal_head_sha256": state.digest,
        "objectives": json.dumps([goal.quantity for goal in experiment.objectives]),
    }
    table: pyarrow.Table = arrow.table(arrays, schema=arrow.schema(fields, metadata=origin))
    return table


def trials_frame(experiment: Experiment, state: CampaignState) -> pandas.DataFrame:
    """Return the same as a pandas table indexed by trial; units in ``frame.attrs['units']`` by column.

    Raises:
        ExtraMissing: pandas is not installed.
    """
    frames = extra("pandas", "tables")
    columns = trial_columns(experiment, state)
    frame: pandas.DataFrame = frames.DataFrame({column.heading: list(column.values) for column in columns})
    for column in columns:
        if column.numeric and column.heading != "trial":
            frame[column.heading] = frame[column.heading].astype(float)
    frame = frame.set_index("trial")
    frame.attrs = {
        "schema": "pressopt/trials/1",
        "campaign": experiment.name,
        "journal_head_sha256": state.digest,
        "units": {column.heading: column.unit for column in columns if column.unit},
    }
    return frame


def trials_parquet(experiment: Experiment, state: CampaignState) -> bytes:
    """Return the Arrow table as a Parquet file.

    Raises:
        ExtraMissing: pyarrow is not installed.
    """
    table = trials_arrow(experiment, state)
    out = io.BytesIO()
    extra("pyarrow.parquet", "parquet").write_table(table, out)
    return out.getvalue()


def _kind(arrow: Any, column: Column) -> Any:
    if column.heading == "trial":
        return arrow.int64()
    return arrow.float64() if column.numeric else arrow.string()


def _value(value: float | int | str | None, column: Column) -> float | int | str | None:
    if value is None or column.heading == "trial":
        return value
    return float(value) if column.numeric else str(value)
