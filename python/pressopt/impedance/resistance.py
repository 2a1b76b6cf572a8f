"""A four-wire reading as bytes for the journal, lossless and versioned."""

from __future__ import annotations

import json
from dataclasses import asdict

from pressopt.errors import SpectrumError
from pressopt.impedance.ports import ResistanceReading

_SCHEMA = "pressopt/resistance/1"


def resistance_to_bytes(reading: ResistanceReading) -> bytes:
    """Return a reading as canonical JSON; the same reading gives the same bytes."""
    return json.dumps({"schema": _SCHEMA, **asdict(reading)}, sort_keys=True).encode()


def resistance_from_bytes(data: bytes) -> ResistanceReading:
    """Return the reading that :func:`resistance_to_bytes` wrote.

    Raises:
        SpectrumError: The bytes are no reading, or a newer pressopt wrote them.
    """
    try:
        values = json.loads(data)
        schema = values.pop("schema")
        if schema != _SCHEMA:
            raise SpectrumError(f"a resistance of schema {schema!r} cannot be read, expected {_SCHEMA!r}")
        return ResistanceReading(**values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SpectrumError(f"these bytes are no resistance reading: {error}") from error
