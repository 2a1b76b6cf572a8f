"""Quantities with units, at the border only: inside, names carry the unit (``_mpa``, ``_c``, ``_s``)."""

from __future__ import annotations
