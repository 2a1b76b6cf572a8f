"""ISA-88: a master recipe that is valid BatchML, whose values are read back, and which says what it is."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_campaign import agreed
from pressopt.export.answer import Answer
from pressopt.export.batch_recipe import BATCHML, batchml
from pressopt.export.document import document_digest, protocol_document
from pressopt.pressing import PressingProtocol, RollStage, Stage
from pressopt.store import SqliteJournal

#: Names the public BatchML-BatchInformation.xsd, where somebody has it; docs/exports.md says from where.
PUBLIC = "PRESSOPT_BATCHML_XSD"
names = st.sampled_from(("seat", "lamination", "third"))
pressed = st.builds(
    Stage, name=names, pressure_mpa=st.floats(0.5, 500.0), ramp_mpa_s=st.floats(0.01, 50.0),
    dwell_s=st.floats(0.0, 1e5), temperature_c=st.floats(20.0, 200.0),
)  # fmt: skip
rolled = st.builds(
    RollStage, name=names, line_force_n_mm=st.floats(1.0, 900.0), speed_mm_s=st.floats(0.1, 100.0),
    passes=st.integers(1, 9), temperature_c=st.floats(20.0, 200.0),
)  # fmt: skip
protocols = st.builds(
    PressingProtocol,
    stages=st.one_of(*(st.lists(kind, min_size=1, max_size=4).map(tuple) for kind in (pressed, rolled))),
    measure_at_mpa=st.floats(0.0, 50.0), measure_at_c=st.floats(20.0, 60.0), settle_s=st.floats(0.0, 1e4),
    release_mpa_s=st.floats(0.01, 10.0),
)  # fmt: skip


@pytest.fixture(scope="session")
def document(answer: Answer, journal: SqliteJournal) -> dict[str, Any]:
    return protocol_document(answer, journal)


@functools.cache
def schema(path: str = "") -> Any:
    """The public schema where it is named, else what we restate of it."""
    xmlschema = pytest.importorskip("xmlschema", reason="the test extra is not installed")
    return xmlschema.XMLSchema(path or os.environ.get(PUBLIC) or str(_beside()))


def _beside() -> Path:
    return Path(__file__).with_name("batchml_subset.xsd")


def parameters(recipe: str) -> Iterator[tuple[str, str]]:
    """Names and values of the formula, windows included."""
    for one in root(recipe).iterfind(".//b:Formula//b:Parameter", {"b": BATCHML}):
        yield (
            str(one.findtext(f"{{{BATCHML}}}ID")),
            str(one.findtext(f"{{{BATCHML}}}Value/{{{BATCHML}}}ValueString")),
        )


def root(recipe: str) -> ElementTree.Element:
    return ElementTree.fromstring(recipe.split("\n", 1)[1])


def test_the_master_recipe_is_as_agreed(answer: Answer, document: dict[str, Any]) -> None:
    """The whole BatchML text, word for word; its version is the digest of the protocol file."""
    text = batchml(replace(answer, approved_by="the group's safety officer"), document)
    assert f"<Version>{document_digest(document)[:12]}</Version>" in text
    agreed("recipe.batchml.xml", text.replace(document_digest(document)[:12], "0" * 12))


@given(protocol=protocols)
@settings(max_examples=15, deadline=None)
def test_every_master_recipe_is_valid_batchml(
    answer: Answer, document: dict[str, Any], protocol: PressingProtocol
) -> None:
    """Pressed or rolled, stages named alike or not: valid, every name once, the values read back exactly."""
    text = batchml(replace(answer, protocol=protocol), document)
    schema().validate(text)
    found = list(parameters(text))
    assert len({name for name, _ in found}) == len(found)
    values = dict(found)
    first = protocol.stages[0]
    if isinstance(first, Stage):
        assert float(values[f"{first.name}.pressure_on_sample"]) == first.pressure_mpa
    else:
        assert int(values[f"{first.name}.passes"]) == first.passes
    assert float(values["measurement.settle"]) == protocol.settle_s


def test_phases_refer_to_the_formula_and_nothing_else(answer: Answer, document: dict[str, Any]) -> None:
    """A value stands in one place: every parameter of a phase names one of the formula, all of which are used."""
    text = batchml(answer, document)
    elements = root(text).iterfind("b:RecipeElement//b:Parameter//b:ValueString", {"b": BATCHML})
    referred = [one.text for one in elements]
    values = dict(parameters(text))
    assert sorted(map(str, referred)) == sorted(name for name in values if not name.endswith((".low", ".high")))
    assert (values["lamination.dwell.low"], values["lamination.dwell.high"]) == ("1380.0", "3600.0")


def test_a_wrong_recipe_is_not_valid(answer: Answer, document: dict[str, Any]) -> None:
    """The schema is no rubber stamp: a step without its version, and a formula after its steps, are refused."""
    text = batchml(answer, document)
    version = f"<RecipeElementVersion>{document_digest(document)[:12]}</RecipeElementVersion>"
    assert schema().is_valid(text)
    assert not schema().is_valid(text.replace(version, "", 1))
    tree = root(text)
    formula = tree.find(f"{{{BATCHML}}}Formula")
    assert formula is not None
    tree.remove(formula)
    tree.append(formula)
    assert not schema().is_valid(ElementTree.tostring(tree, encoding="unicode"))


def test_the_recipe_of_an_unfinished_campaign_says_so(answer: Answer, journal: SqliteJournal) -> None:
    """The second line for people is why it is preliminary, and the recipe is valid all the same."""
    early = replace(answer, open_because="the campaign is not finished: 5 of 12 trials are done")
    text = batchml(early, protocol_document(early, journal))
    assert "<Description>Preliminary: the campaign is not finished: 5 of 12 trials are done.</Description>" in text
    schema().validate(text)


def test_what_we_restate_is_narrower_than_the_public_schema() -> None:
    """Same order, nothing required left out, nothing allowed that the public schema forbids, all the way down."""
    path = os.environ.get(PUBLIC)
    if not path:
        pytest.skip(f"{PUBLIC} does not name the public schema; docs/exports.md says where it is had from")
    own, public = schema(str(_beside())), schema(path)
    wider = list(_wider(own.elements["MasterRecipe"], public.elements["MasterRecipe"], "MasterRecipe", set()))
    assert wider == []


def _wider(own: Any, public: Any, where: str, seen: set[Any]) -> Iterator[str]:
    """Where ``own`` allows what ``public`` does not; both are elements of xmlschema."""
    if (own.type, public.type) in seen:
        return
    seen.add((own.type, public.type))
    if own.type.is_simple():
        theirs = public.type if public.type.is_simple() else public.type.content
        allowed, wanted = theirs.enumeration, own.type.enumeration
        if allowed and not set(wanted or ()) <= set(allowed):
            yield f"{where}: {wanted} is not within {allowed}"
        if not wanted and not own.type.primitive_type.is_derived(theirs.primitive_type):
            yield f"{where}: {own.type.primitive_type} is not {theirs.primitive_type}"
        return
    order = {one.name: place for place, one in enumerate(public.type.content.iter_elements())}
    parts = {one.name: one for one in public.type.content.iter_elements()}
    mine = list(own.type.content.iter_elements())
    if [order.get(one.name, -1) for one in mine] != sorted(order.get(one.name, -1) for one in mine):
        yield f"{where}: another order"
    for missing in {name for name, one in parts.items() if one.min_occurs} - {
        o.name for o in mine if o.min_occurs
    }:
        yield f"{where}: {missing} is required"
    for one in mine:
        name = f"{where}/{one.local_name}"
        if one.name not in parts:
            yield f"{name}: unknown"
            continue
        most, allowed = one.max_occurs, parts[one.name].max_occurs
        if one.min_occurs < parts[one.name].min_occurs or (
            allowed is not None and (most is None or most > allowed)
        ):
            yield f"{name}: another number of times"
        yield from _wider(one, parts[one.name], name, seen)
