"""The raw spectra of a campaign's trials, out of the journal."""

from __future__ import annotations

from pressopt.campaign.journal import Journal
from pressopt.campaign.replay import TrialState
from pressopt.impedance import spectrum_from_bytes
from pressopt.impedance.spectrum import ImpedanceSpectrum


def recorded_spectrum(trial: TrialState, journal: Journal) -> ImpedanceSpectrum | None:
    """Return the last spectrum of a trial as measured, or None where it has none.

    Raises:
        JournalUnreadable: The journal lacks the raw data, or they were changed.
        SpectrumError: A newer pressopt wrote them.
    """
    for recorded in reversed(trial.measurements):
        if recorded.kind == "spectrum":
            return spectrum_from_bytes(journal.blob(recorded.measurement))
    return None
