"""From cell and protocols to predicted interface quality: the face of the Rust physics."""

from pressopt.surrogate.elements import ELEMENTS, Element
from pressopt.surrogate.model import Surrogate
from pressopt.surrogate.parameters import Parameter
from pressopt.surrogate.prediction import ParameterDraws, PredictedSpectrum, Prediction, SensibleLimits
from pressopt.surrogate.rough_contact import (
    RoughContact,
    SpotCurrents,
    contact_modulus_mpa,
    elastic_share,
    press_topography,
)
from pressopt.surrogate.table import ProtocolTable
from pressopt.surrogate.topography import Topography, read_topography

__all__ = [
    "ELEMENTS",
    "Element",
    "Parameter",
    "ParameterDraws",
    "PredictedSpectrum",
    "Prediction",
    "ProtocolTable",
    "RoughContact",
    "SensibleLimits",
    "SpotCurrents",
    "Surrogate",
    "Topography",
    "contact_modulus_mpa",
    "elastic_share",
    "press_topography",
    "read_topography",
]
