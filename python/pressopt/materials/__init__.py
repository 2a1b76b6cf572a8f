"""Materials catalogue: every value with unit, source and confidence."""

from pressopt.materials.catalogue import Catalogue, Data, Material, MaterialKind
from pressopt.materials.datum import COMPOSITE, ELECTROLYTE, INTERFACE, LABORATORY, METAL, Confidence, Datum, Field

__all__ = [
    "COMPOSITE",
    "ELECTROLYTE",
    "INTERFACE",
    "LABORATORY",
    "METAL",
    "Catalogue",
    "Confidence",
    "Data",
    "Datum",
    "Field",
    "Material",
    "MaterialKind",
]
