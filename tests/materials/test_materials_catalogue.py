"""The materials catalogue: complete, sourced, extensible by a file, and clear when it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pressopt.errors import MaterialError
from pressopt.materials import COMPOSITE, ELECTROLYTE, INTERFACE, METAL, Catalogue, Confidence, MaterialKind

EXPECTED = [
    *("Li", "Na", "In", "K", "Cu", "steel"),
    *("Li6PS5Cl", "Li3PS4", "Li7La3Zr2O12", "Li3InCl6", "Li3YCl6", "Li3OCl"),
    *("Na3PS4", "Na3Zr2Si2PO12", "beta''-alumina"),
    *("NMC-Li3YBrCl6", "NMC-Li6PS5Cl"),
]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_promised_materials_are_there(catalogue: Catalogue) -> None:
    """The catalogue ships the metals, collectors and electrolytes of the five systems."""
    assert set(EXPECTED) == set(catalogue)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("LPSCl", "Li6PS5Cl"),
        ("llzo", "Li7La3Zr2O12"),
        ("NASICON", "Na3Zr2Si2PO12"),
        ("β″-alumina", "beta''-alumina"),
        ("copper", "Cu"),
        (" lithium ", "Li"),
    ],
)
def test_names_that_people_write_are_understood(catalogue: Catalogue, alias: str, name: str) -> None:
    """Aliases, other case, blanks and typographic primes all lead to the material."""
    assert catalogue[alias].name == name
    assert alias in catalogue


def test_every_value_has_unit_source_and_confidence(catalogue: Catalogue) -> None:
    """Nothing in the catalogue stands without a source, a confidence, and a prior where it is uncertain."""
    for name in catalogue:
        material = catalogue[name]
        fields = {MaterialKind.ELECTROLYTE: ELECTROLYTE, MaterialKind.COMPOSITE: COMPOSITE}.get(
            material.kind, METAL
        )
        for field, datum in material.values.items():
            assert datum.source.strip(), (name, field)
            assert datum.unit == fields[field].unit
            assert isinstance(datum.confidence, Confidence)
            assert (datum.sd > 0) == (datum.scale != "exact"), (name, field)
            low, high = datum.interval
            assert low <= datum.value <= high


def test_less_confidence_means_a_wider_prior() -> None:
    """Where a file states no spread, it follows from the confidence and never shrinks as confidence falls."""
    spreads = [word.sd for word in Confidence]
    assert spreads == sorted(spreads)


def test_the_narrowest_table_of_a_pair_wins(catalogue: Catalogue) -> None:
    """A pair takes each value from its own table, then the metal's, then the fallback, either way round."""
    own = catalogue.interface("Na", "Na3PS4")
    assert own["transfer_ohm_cm2"].value == 10.0
    assert own["wave_closure_mpa"].value == 3.1
    assert own["rough_spacing_um"].confidence is Confidence.ASSUMED
    assert catalogue.interface("Na3PS4", "Na").values == own.values
    assert set(catalogue.interface("In", "Li3PS4").values) == set(INTERFACE)


def test_an_unknown_material_suggests_near_ones(catalogue: Catalogue) -> None:
    """A misspelt name is refused with the names it might have been."""
    with pytest.raises(MaterialError, match="Li6PS5Cl"):
        catalogue["Li6PS5CI"]
    assert "Li6PS5CI" not in catalogue


def test_missing_data_are_named(catalogue: Catalogue) -> None:
    """Asking potassium for its creep exponent is refused with material and field."""
    with pytest.raises(MaterialError, match=r"K\.creep_exponent"):
        catalogue["potassium"]["creep_exponent"]


def test_a_user_adds_a_material_by_a_file_alone(tmp_path: Path) -> None:
    """A new electrolyte, a changed value and a new pair come from one file and win over the shipped ones."""
    path = written(
        tmp_path,
        """
        [materials.MyGlass]
        kind = "electrolyte"
        aliases = ["my glass"]
        ionic_conductivity_ms_cm = { value = 1.5, unit = "mS/cm", confidence = "read", source = "notebook" }

        [materials.Li]
        hardness_mpa = { value = 5, confidence = "read", source = "my indenter", sd = 0.1 }

        [[interfaces]]
        between = ["Li", "MyGlass"]
        transfer_ohm_cm2 = { value = 2.0, confidence = "read", source = "my notebook, p. 13" }
        """,
    )
    catalogue = Catalogue.load(path)
    assert catalogue["My Glass"]["ionic_conductivity_ms_cm"].value == 1.5
    assert catalogue["Li"]["hardness_mpa"].value == 5.0
    assert catalogue["Li"]["creep_exponent"].value == 6.56
    assert catalogue.interface("MyGlass", "Li")["transfer_ohm_cm2"].source == "my notebook, p. 13"
    assert Catalogue.load()["Li"]["hardness_mpa"].value == 2.3


def test_all_mistakes_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    """Unknown fields, kinds, units, confidences, missing sources and impossible values come in one error."""
    path = written(
        tmp_path,
        """
        [material]
        [materials.A]
        kind = "glass"
        [materials.B]
        kind = "metal"
        creep_exponnent = { value = 5, confidence = "read", source = "x" }
        hardness_mpa = { value = -1, confidence = "read", source = "x" }
        yield_stress_mpa = { value = 1, unit = "GPa", confidence = "read", source = "x" }
        melting_c = { value = 100, confidence = "sure", source = "x" }
        density_g_cm3 = { value = 1, confidence = "read" }
        flow_stress_mpa = 3
        poisson_ratio = { value = nan, confidence = "read", source = "x", sd = -1, nota = "" }
        [materials.C]
        kind = "metal"
        aliases = ["LLZO"]
        [[interfaces]]
        between = ["Li", "Unobtainium"]
        """,
    )
    with pytest.raises(MaterialError) as caught:
        Catalogue.load(path)
    found = {violation.where for violation in caught.value.violations}
    assert found == {
        "material",
        "materials.A.kind",
        "materials.B.creep_exponnent",
        "materials.B.hardness_mpa.value",
        "materials.B.yield_stress_mpa.unit",
        "materials.B.melting_c.confidence",
        "materials.B.density_g_cm3.source",
        "materials.B.flow_stress_mpa",
        "materials.B.poisson_ratio.value",
        "materials.B.poisson_ratio.sd",
        "materials.B.poisson_ratio.nota",
        "materials.C.aliases",
        "interfaces[0].between",
    }
    text = str(caught.value)
    assert str(path) in text
    assert "did you mean 'creep_exponent'" in text


@pytest.mark.parametrize("content", ["not = [toml", "materials = 3", "interfaces = 3"])
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, content: str) -> None:
    """Broken TOML and tables of the wrong shape are refused as such."""
    with pytest.raises(MaterialError):
        Catalogue.load(written(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A path that leads nowhere is a materials error that names the path."""
    with pytest.raises(MaterialError, match=r"nowhere\.toml"):
        Catalogue.load(tmp_path / "nowhere.toml")
