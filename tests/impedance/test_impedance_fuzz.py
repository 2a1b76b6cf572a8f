"""Fuzzing of the readers: every file that once broke one stays, and the long run looks for more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import impedance_files as files
from pressopt.errors import SpectrumError
from pressopt.impedance import read_spectra

CORPUS = Path(__file__).parent / "corpus"
SAMPLES = Path(__file__).parent / "data"

#: What mutations put in: separators, marks, numbers at the edges of what can be read.
_WORDS = (
    b"\t", b";", b",", b"\n", b"\r\n", b"\0", b"nan", b"-inf", b"1e999", b"1e-320", b"0", b"-1", b"\xb9",
    b"\xff\xfe", b"primary_data\n", b"{", b"]", b"ZCURVE\tTABLE", b"End Comments", b"freq/Hz", b"#",
    b"Nb header lines : 99999999",
)  # fmt: skip


def _mutated(data: bytes, other: bytes, dice: random.Random) -> bytes:
    content = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at, length = dice.randrange(len(content) + 1), int(dice.expovariate(0.05))
        match dice.randrange(6):
            case 0:
                del content[at : at + length]
            case 1:
                content[at:at] = dice.choice(_WORDS)
            case 2:
                content[at : at + 1] = bytes([dice.randrange(256)])
            case 3:
                content[at:at] = content[at : at + length]
            case 4:
                start = dice.randrange(len(other) + 1)
                content[at : at + length] = other[start : start + length]
            case _:
                del content[at:]
    return bytes(content)


def _attack(tmp_path: Path, rounds: int, seed: int) -> list[tuple[bytes, str]]:
    """Files that made a reader fail in another way than by a SpectrumError, with the failure."""
    seeds = [make() for _, make, _, _ in files.FILES]
    seeds += [path.read_bytes()[:20_000] for path in (*SAMPLES.iterdir(), *_kept()) if path.is_file()]
    dice = random.Random(seed)
    path = tmp_path / "fuzz"
    broken = []
    for _ in range(rounds):
        data = _mutated(dice.choice(seeds), dice.choice(seeds), dice)
        path.write_bytes(data)
        try:
            read_spectra(path)
        except SpectrumError:
            continue
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            broken.append((data, repr(error)))
    return broken


def _kept() -> list[Path]:
    """What once broke a reader, and what coverage-guided fuzzing found new code with."""
    return sorted(path for path in CORPUS.rglob("*") if path.is_file())


def test_every_file_of_the_corpus_is_read_or_refused() -> None:
    """What once broke a reader, and all that fuzzing kept, gives spectra or a refusal that names the file."""
    kept = _kept()
    assert len(kept) > 100
    for path in kept:
        try:
            assert read_spectra(path), path
        except SpectrumError as error:
            assert path.name in str(error), path  # noqa: PT017 - either outcome is right


def test_no_mutation_breaks_a_reader(tmp_path: Path) -> None:
    """300 mutations of all formats: spectra or a SpectrumError."""
    assert [error for _, error in _attack(tmp_path, 300, seed=1)] == []


@pytest.mark.long
def test_twenty_thousand_mutations_break_no_reader(tmp_path: Path) -> None:
    """The same 20,000 times from another seed; what breaks one is kept in the corpus."""
    broken = _attack(tmp_path, 20_000, seed=2)
    for k, (data, _) in enumerate(broken[:10]):
        (CORPUS / f"found-{k}").write_bytes(data)
    assert [error for _, error in broken] == []
