"""Device profiles: what instruments drive, what the twin serves and what exports print, as checked data."""

from pressopt.profiles.checks import STATES, VOCABULARY, Vocabulary
from pressopt.profiles.loading import load_profile, parse_profile, profile_schema, shipped_profiles
from pressopt.profiles.profile import (
    Action,
    AnalyzerMachine,
    Confirm,
    DeviceProfile,
    Heartbeat,
    Identity,
    IdentityMark,
    Kind,
    LinkProfile,
    MachineLimits,
    MeterMachine,
    PressMachine,
    Register,
    RollMachine,
    Signal,
)

__all__ = [
    "STATES",
    "VOCABULARY",
    "Action",
    "AnalyzerMachine",
    "Confirm",
    "DeviceProfile",
    "Heartbeat",
    "Identity",
    "IdentityMark",
    "Kind",
    "LinkProfile",
    "MachineLimits",
    "MeterMachine",
    "PressMachine",
    "Register",
    "RollMachine",
    "Signal",
    "Vocabulary",
    "load_profile",
    "parse_profile",
    "profile_schema",
    "shipped_profiles",
]
