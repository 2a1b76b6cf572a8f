"""What the commands about one experiment's cell share: its file, settings, and calibrated parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from pressopt.campaign.experiment import Experiment
    from pressopt.surrogate import ParameterDraws, Surrogate


def set_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--set NAME=VALUE``."""
    return click.option(
        "--set", "given", multiple=True, metavar="NAME=VALUE",
        help='A setting, such as --set "pressure=25 MPa" or --set lamination.dwell_s=60; may be repeated.',
    )(command)  # fmt: skip


def calibration_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--calibration``."""
    return click.option(
        "--calibration", type=click.Path(path_type=Path),
        help="What `pressopt calibrate` found: its folder or posterior.json.  [default: the catalogue's priors]",
    )(command)  # fmt: skip


def cell_of(file: Path, calibration: Path | None) -> tuple[Experiment, Surrogate, ParameterDraws | None]:
    """Read an experiment, its physics, and calibrated parameters where they are asked for."""
    from pressopt.assembly import surrogate_of
    from pressopt.campaign.experiment_file import load_experiment
    from pressopt.study.posterior import read_posterior

    experiment = load_experiment(file)
    surrogate = surrogate_of(experiment)
    parameters = None if calibration is None else read_posterior(calibration).draws_for(surrogate)
    return experiment, surrogate, parameters
