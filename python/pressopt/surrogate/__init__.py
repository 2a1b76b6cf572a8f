"""From cell and protocols to predicted interface quality: the face of the Rust physics."""

from pressopt.surrogate.model import Surrogate
from pressopt.surrogate.parameters import Parameter
from pressopt.surrogate.prediction import ParameterDraws, Prediction, SensibleLimits
from pressopt.surrogate.table import ProtocolTable

__all__ = ["Parameter", "ParameterDraws", "Prediction", "ProtocolTable", "SensibleLimits", "Surrogate"]
