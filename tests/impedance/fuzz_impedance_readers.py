"""Coverage-guided fuzzing of the readers with Atheris (libFuzzer); not a test, run by hand or by night.

    pip install "pressopt[fuzz]"
    python tests/impedance/fuzz_impedance_readers.py WORK_FOLDER -max_total_time=600

Begins with the samples, the kept corpus and a made-up file of each format. What a reader refuses with a
:class:`SpectrumError` is fine; anything else ends the run and leaves the input in ``crash-*``. Afterwards
``-merge=1 corpus/grown WORK_FOLDER`` keeps what reaches new code.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["pressopt.impedance.readers"]):
    from pressopt.errors import SpectrumError
    from pressopt.impedance import readers

HERE = Path(__file__).parent
#: Of a sample so much is mutated: its header and some rows.
_LONGEST = 3000
FILE = Path("/dev/shm" if Path("/dev/shm").is_dir() else ".") / "pressopt-fuzz"


def read(data: bytes) -> None:
    """Read one input as a file; a refusal must name the file."""
    FILE.write_bytes(data)
    try:
        for spectrum in readers.read_spectra(FILE):
            assert spectrum.frequency_hz.size == spectrum.impedance_ohm.size > 0
    except SpectrumError as error:
        if FILE.name not in str(error):
            raise AssertionError(f"a refusal that does not name the file: {error}") from error


def _seed(folder: Path) -> None:
    """Samples, kept inputs, and one made-up file for each format."""
    sys.path.insert(0, str(HERE.parent))
    import impedance_files

    found = [path.read_bytes() for name in ("data", "corpus") for path in sorted((HERE / name).glob("*.*"))]
    found += [make() for _, make, _, _ in impedance_files.FILES]
    for k, data in enumerate(found):
        (folder / f"seed-{k}").write_bytes(data[:_LONGEST])
    for kept in sorted((HERE / "corpus" / "grown").glob("*")):
        (folder / kept.name).write_bytes(kept.read_bytes())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        _seed(Path(sys.argv[1]))
    atheris.Setup([sys.argv[0], f"-max_len={_LONGEST}", *sys.argv[1:]], read)
    atheris.Fuzz()
