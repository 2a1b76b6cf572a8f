"""Battery Data Format and tables: opened by their receivers' own tools, and every number comes back exactly."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export_campaign import RESISTANCE, press_record, spectrum
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import CampaignState, replay
from pressopt.export.battery_data import press_bdf, spectrum_bdf
from pressopt.export.frames import ExtraMissing, extra, trials_arrow, trials_frame, trials_parquet
from pressopt.export.tables import trial_columns
from pressopt.pressing import Die
from pressopt.store import SqliteJournal

SETTINGS = {"lamination.pressure_mpa": 35.0, "lamination.dwell_s": 2400.0, "lamination.temperature_c": 63.0}


def test_a_press_log_opens_in_batterydf(tmp_path: Path) -> None:
    """batterydf finds nothing missing; pressure, temperature and time are those of the record to the bit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies, when they are imported
        bdf = pytest.importorskip("bdf", reason="the test extra is not installed")
    record, die = press_record(SETTINGS), Die(10.0)
    path = tmp_path / "cell.bdf.csv"
    path.write_text(press_bdf(record, die, started_unix_s=1.7e9))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert bdf.validate(str(path))["ok"] is True
        frame = bdf.read(path)
    assert frame["Test Time / s"].tolist() == (record.time_s - record.time_s[0]).tolist()
    assert frame["Applied Pressure / Pa"].tolist() == (die.pressure_mpa(1.0) * record.force_kn * 1e6).tolist()
    assert frame["Surface Temperature T1 / degC"].tolist() == record.temperature_c.tolist()
    assert frame["Step Count / 1"].tolist() == [1, 2, 2, 3, 3, 4]
    assert frame["Unix Time / s"].iloc[-1] == 1.7e9 + record.time_s[-1] - record.time_s[0]
    assert frame["Voltage / V"].isna().all()


def test_a_spectrum_opens_in_batterydf(tmp_path: Path) -> None:
    """Frequency and both parts of the impedance come back exactly; Im Z keeps its sign."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bdf = pytest.importorskip("bdf", reason="the test extra is not installed")
    measured = spectrum(SETTINGS)
    path = tmp_path / "cell.bdf.csv"
    path.write_text(spectrum_bdf(measured))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert bdf.validate(str(path))["ok"] is True
        frame = bdf.read(path)
    assert frame["Frequency / Hz"].tolist() == measured.frequency_hz.tolist()
    assert frame["Real Impedance / ohm"].tolist() == measured.impedance_ohm.real.tolist()
    assert frame["Imaginary Impedance / ohm"].tolist() == measured.impedance_ohm.imag.tolist()
    assert frame["Imaginary Impedance / ohm"].min() < 0


def test_numbers_of_the_press_log_read_back_without_any_library() -> None:
    """The CSV is plain: the standard library reads the same bits."""
    record = press_record(SETTINGS)
    rows = list(csv.DictReader(io.StringIO(press_bdf(record, Die(10.0)))))
    assert [float(row["Surface Temperature T1 / degC"]) for row in rows] == record.temperature_c.tolist()


def test_parquet_reads_back_exactly_with_units_in_its_schema(experiment: Experiment, state: CampaignState) -> None:
    """pyarrow's own reader: twelve rows, values to the bit, unit of each field, and where the table comes from."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    table = parquet.read_table(io.BytesIO(trials_parquet(experiment, state)))
    heading = f"{RESISTANCE} [Ω cm²]"
    assert table.num_rows == 12
    assert table.schema.field(heading).metadata[b"unit"].decode() == "Ω cm²"
    assert table.schema.field("held at [MPa]").metadata[b"unit"] == b"MPa"
    assert table.schema.metadata[b"journal_head_sha256"].decode() == state.digest
    values = table.column(heading).to_pylist()
    told = [t.outcomes[RESISTANCE][0] if t.outcomes else None for t in state.trials.values()]
    assert values == told


def test_csv_arrow_and_pandas_hold_the_same(experiment: Experiment, state: CampaignState) -> None:
    """One table in three forms: the same columns in the same order, the same values, units by column."""
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    pytest.importorskip("pandas", reason="the extra tables is not installed")
    columns = trial_columns(experiment, state)
    table, frame = trials_arrow(experiment, state), trials_frame(experiment, state)
    assert table.column_names == [column.heading for column in columns]
    assert ["trial", *frame.columns] == table.column_names
    for column in columns[1:]:
        if column.numeric:
            known = np.array([np.nan if v is None else v for v in column.values], dtype=float)
            np.testing.assert_array_equal(frame[column.heading].to_numpy(), known)
    assert frame.attrs["units"]["lamination.pressure_mpa asked [MPa]"] == "MPa"


@pytest.mark.parametrize("trials", [0, 5])
def test_empty_and_half_finished_campaigns_keep_their_schema(
    experiment: Experiment, fill: Callable[..., SqliteJournal], trials: int
) -> None:
    """No row is no reason for another schema: texts stay texts, numbers stay numbers."""
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    state = replay(fill(trials, closed=False).entries())
    table = trials_arrow(experiment, state)
    assert table.num_rows == trials
    assert str(table.schema.field("note").type) == "string"
    assert str(table.schema.field("held at [MPa]").type) == "double"


def test_a_missing_library_is_named_with_its_extra() -> None:
    """Who lacks a library is told what to install."""
    with pytest.raises(ExtraMissing, match=r"pip install 'pressopt\[tables\]'"):
        extra("no_such_library_at_all", "tables")
