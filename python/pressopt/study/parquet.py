"""Columns of numbers and words as Parquet: the same columns give the same bytes, with a few words of origin."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, Violation

Columns = dict[str, npt.NDArray[Any]]

#: Key of our words in the metadata of a file.
_KEY = b"pressopt"


def to_parquet(columns: Mapping[str, npt.ArrayLike], about: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of one Parquet file; ``about`` is kept in its metadata as JSON."""
    arrow, parquet = _arrow()
    table = arrow.table({name: arrow.array(np.asarray(values)) for name, values in columns.items()})
    told = json.dumps(dict(about or {}), sort_keys=True, ensure_ascii=False).encode()
    out = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata({_KEY: told}), out, compression="zstd", version="2.6")
    return out.getvalue()


def from_parquet(data: bytes | Path) -> tuple[Columns, dict[str, Any]]:
    """Columns as NumPy arrays, and what was said about them."""
    arrow, parquet = _arrow()
    try:
        table = parquet.read_table(io.BytesIO(data) if isinstance(data, bytes) else data)
    except (OSError, arrow.ArrowException) as error:
        raise InputError((Violation("", f"is no Parquet file: {str(error).splitlines()[0]}"),)) from error
    about = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    return {name: table.column(name).to_numpy() for name in table.column_names}, about


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            (Violation("", "Parquet files need pyarrow, which is not installed: pip install 'pressopt[parquet]'"),)
        ) from None
    return pyarrow, pyarrow.parquet
