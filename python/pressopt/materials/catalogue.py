"""The materials catalogue: what the package ships, and what a user adds in a file of their own."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

from pressopt.errors import MaterialError, Violation
from pressopt.materials.datum import COMPOSITE, ELECTROLYTE, INTERFACE, LABORATORY, METAL, Confidence, Datum, Field

#: Stands for any material in a pair.
ANY = "*"


class MaterialKind(StrEnum):
    """What a material is used as."""

    METAL = "metal"
    COLLECTOR = "collector"
    ELECTROLYTE = "electrolyte"
    COMPOSITE = "composite"


_FIELDS: Mapping[MaterialKind, Mapping[str, Field]] = {
    MaterialKind.METAL: METAL,
    MaterialKind.COLLECTOR: METAL,
    MaterialKind.ELECTROLYTE: ELECTROLYTE,
    MaterialKind.COMPOSITE: COMPOSITE,
}


@dataclass(frozen=True, slots=True)
class Data:
    """Named values about one thing (a material, a pair, the laboratory).

    Attributes:
        title: What the values are about, as people write it.
        values: Field name to :class:`Datum`.
    """

    title: str
    values: Mapping[str, Datum]

    def __getitem__(self, name: str) -> Datum:
        """Return one value, or raise :class:`MaterialError` naming the field that is missing."""
        try:
            return self.values[name]
        except KeyError:
            raise MaterialError(
                (
                    Violation(
                        f"{self.title}.{name}",
                        f"the catalogue has no {name} of {self.title}: add it in a materials file of your own",
                    ),
                )
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.values


@dataclass(frozen=True, slots=True)
class Material(Data):
    """One material.

    Attributes:
        name: As in the catalogue.
        kind: What it is used as.
        aliases: Other names that people write.
        sintered: Whether layers of it are sintered bodies rather than pressed powder.
        file: Where it was defined.
        electrolyte: What conducts in a composite: the name of an electrolyte of the catalogue; else empty.
    """

    name: str = ""
    kind: MaterialKind = MaterialKind.METAL
    aliases: tuple[str, ...] = ()
    sintered: bool = False
    file: str = ""
    electrolyte: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue(Mapping[str, Material]):
    """All materials by name, pairs of them, and the laboratory.

    Look materials up by name or alias (``catalogue["LPSCl"]``), in any case; pairs by :meth:`interface`.
    """

    _materials: Mapping[str, Material]
    _interfaces: Mapping[tuple[str, str], Mapping[str, Datum]]
    laboratory: Data
    _names: Mapping[str, str] = field(repr=False, default_factory=dict)

    @classmethod
    def load(cls, extra: Path | None = None) -> Catalogue:
        """Read the shipped files, then ``extra``, whose values win.

        Raises:
            MaterialError: Everything that is wrong with ``extra``, at once.
        """
        reader = _Reader()
        for name in ("metals", "electrolytes", "composites", "interfaces"):
            path = resources.files("pressopt.materials") / "data" / f"{name}.toml"
            reader.read(path.read_text(encoding="utf-8"), f"{name}.toml")
        reader.finish("the shipped catalogue")
        if extra is not None:
            try:
                text = Path(extra).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise MaterialError(f"cannot be read: {error}", source=str(extra)) from error
            reader.read(text, str(extra))
            reader.finish(str(extra))
        return cls(
            MappingProxyType(reader.materials),
            MappingProxyType(reader.interfaces),
            Data("laboratory", MappingProxyType(reader.laboratory)),
            MappingProxyType(reader.names),
        )

    def __getitem__(self, name: str) -> Material:
        found = self._names.get(_plain(name))
        if found is None:
            near = _nearest(_plain(name), self._names)
            hint = ", ".join(dict.fromkeys(self._names[n] for n in near)) or ", ".join(self._materials)
            raise MaterialError(
                (
                    Violation(
                        name, f"no such material: did you mean {hint}? Or add it in a materials file of your own"
                    ),
                )
            )
        return self._materials[found]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _plain(name) in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._materials)

    def __len__(self) -> int:
        return len(self._materials)

    def interface(self, one: str, other: str) -> Data:
        """Values of the pair, each from the narrowest table that states it (pair, one with ``*``, fallback)."""
        a, b = self[one].name, self[other].name
        values: dict[str, Datum] = {}
        for pair in ((ANY, ANY), (ANY, b), (b, ANY), (ANY, a), (a, ANY), (b, a), (a, b)):
            values.update(self._interfaces.get(pair, {}))
        return Data(f"{a}|{b}", MappingProxyType(values))


class _Reader:
    """Gathers files, and all that is wrong with them."""

    def __init__(self) -> None:
        self.materials: dict[str, Material] = {}
        self.interfaces: dict[tuple[str, str], dict[str, Datum]] = {}
        self.laboratory: dict[str, Datum] = {}
        self.defaults: dict[MaterialKind, dict[str, Datum]] = {}
        self.names: dict[str, str] = {}
        self._wrong: list[Violation] = []

    def finish(self, source: str) -> None:
        wrong, self._wrong = self._wrong, []
        if wrong:
            raise MaterialError(wrong, source=source)

    def read(self, text: str, file: str) -> None:
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self._refuse("", f"this is no TOML: {error}")
            return
        known = ("sources", "defaults", "materials", "interfaces", "laboratory")
        for key in document:
            if key not in known:
                self._refuse(key, f"unknown table{_near(key, known)}: allowed are {', '.join(known)}")
        sources = self._table(document.get("sources", {}), "sources")
        for kind, table in self._table(document.get("defaults", {}), "defaults").items():
            if kind not in list(MaterialKind):
                self._refuse(f"defaults.{kind}", f"no such kind: allowed are {', '.join(MaterialKind)}")
                continue
            where = f"defaults.{kind}"
            values = self._data(self._table(table, where), _FIELDS[MaterialKind(kind)], where, sources)
            self.defaults.setdefault(MaterialKind(kind), {}).update(values)
        for name, table in self._table(document.get("materials", {}), "materials").items():
            self._material(name, table, sources, file)
        pairs = document.get("interfaces", [])
        if not isinstance(pairs, list):
            self._refuse("interfaces", "write each pair as a table of its own: [[interfaces]]")
            pairs = []
        for index, table in enumerate(pairs):
            self._interface(f"interfaces[{index}]", table, sources)
        laboratory = self._table(document.get("laboratory", {}), "laboratory")
        self.laboratory.update(self._data(laboratory, LABORATORY, "laboratory", sources))

    def _refuse(self, where: str, message: str) -> None:
        self._wrong.append(Violation(where, message))

    def _table(self, found: object, where: str) -> dict[str, Any]:
        if isinstance(found, dict):
            return found
        self._refuse(where, f"{found!r} is not a table")
        return {}

    def _material(self, name: str, found: object, sources: Mapping[str, Any], file: str) -> None:
        where = f"materials.{name}"
        table = dict(self._table(found, where))
        known = self.materials.get(self.names.get(_plain(name), name))
        default = known.kind.value if known else None
        kind_name = table.pop("kind", default)
        if kind_name not in list(MaterialKind):
            kinds = ", ".join(MaterialKind)
            self._refuse(f"{where}.kind", f"{kind_name!r} is not a kind of material: give one of {kinds}")
            return
        kind = MaterialKind(kind_name)
        if known is not None and kind is not known.kind:
            self._refuse(f"{where}.kind", f"{known.name} is a {known.kind}: give a new material a new name")
            return
        aliases = table.pop("aliases", [])
        if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
            self._refuse(f"{where}.aliases", f"{aliases!r} is not a list of names")
            aliases = []
        sintered = table.pop("sintered", known.sintered if known else False)
        if not isinstance(sintered, bool):
            self._refuse(f"{where}.sintered", f"{sintered!r} is not allowed: give true or false")
            sintered = False
        electrolyte = self._conductor(where, kind, table.pop("electrolyte", known.electrolyte if known else None))
        name = known.name if known else name
        before = known.values if known else self.defaults.get(kind, {})
        values = {**before, **self._data(table, _FIELDS[kind], where, sources)}
        every_alias = tuple(dict.fromkeys((*(known.aliases if known else ()), *aliases)))
        self.materials[name] = Material(
            name, MappingProxyType(values), name, kind, every_alias, sintered, file, electrolyte
        )
        for word in (name, *every_alias):
            owner = self.names.setdefault(_plain(word), name)
            if owner != name:
                self._refuse(f"{where}.aliases", f"{word!r} already names {owner}: choose another name")

    def _conductor(self, where: str, kind: MaterialKind, found: object) -> str:
        """The electrolyte in a composite, by its name in the catalogue."""
        if kind is not MaterialKind.COMPOSITE:
            if found:
                self._refuse(f"{where}.electrolyte", f"only a composite names its electrolyte, a {kind} does not")
            return ""
        known = self.materials.get(self.names.get(_plain(found), "")) if isinstance(found, str) else None
        if known is None or known.kind is not MaterialKind.ELECTROLYTE:
            self._refuse(f"{where}.electrolyte", f"{found!r} is no electrolyte that stands before it: name one")
            return ""
        return known.name

    def _interface(self, where: str, found: object, sources: Mapping[str, Any]) -> None:
        table = dict(self._table(found, where))
        pair = table.pop("between", None)
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
            self._refuse(
                f"{where}.between", f"{pair!r} is not a pair: give two names of materials, or '*' for any"
            )
            return
        names = []
        for word in pair:
            known = word if word == ANY else self.names.get(_plain(word))
            if known is None:
                self._refuse(f"{where}.between", f"no such material: {word!r}{_near(word, self.materials)}")
                return
            names.append(known)
        key = (names[0], names[1])
        values = self._data(table, INTERFACE, where, sources)
        # The other way round is the same pair.
        key = key if key in self.interfaces or key[::-1] not in self.interfaces else key[::-1]
        self.interfaces.setdefault(key, {}).update(values)

    def _data(
        self, table: Mapping[str, Any], fields: Mapping[str, Field], where: str, sources: Mapping[str, Any]
    ) -> dict[str, Datum]:
        values = {}
        for name, found in table.items():
            place = f"{where}.{name}"
            allowed = fields.get(name)
            if allowed is None:
                self._refuse(place, f"unknown field{_near(name, fields)}: allowed are {', '.join(fields)}")
                continue
            datum = self._datum(found, allowed, place, sources)
            if datum is not None:
                values[name] = datum
        return values

    def _datum(self, found: object, allowed: Field, place: str, sources: Mapping[str, Any]) -> Datum | None:
        if not isinstance(found, dict):
            self._refuse(place, "give a table: { value = ..., confidence = ..., source = ... }")
            return None
        before = len(self._wrong)
        for key in found:
            if key not in _DATUM_KEYS:
                near = _near(key, _DATUM_KEYS)
                self._refuse(f"{place}.{key}", f"unknown key{near}: allowed are {', '.join(_DATUM_KEYS)}")
        value, sd = found.get("value"), found.get("sd")
        if not _is_number(value) or not allowed.low <= value <= allowed.high:
            limits = f"{allowed.low:g} to {allowed.high:g} {allowed.unit}".rstrip()
            self._refuse(f"{place}.value", f"{value!r} is not allowed: give {limits}")
        if found.get("unit", allowed.unit) != allowed.unit:
            self._refuse(f"{place}.unit", f"{found['unit']!r} is not allowed: this field is in {allowed.unit!r}")
        if found.get("confidence") not in list(Confidence):
            words = ", ".join(Confidence)
            self._refuse(f"{place}.confidence", f"{found.get('confidence')!r} is not allowed: give one of {words}")
        source = found.get("source")
        if not isinstance(source, str) or not source.strip():
            self._refuse(f"{place}.source", "is missing: say who measured it, or why it was assumed")
        if sd is not None and not (_is_number(sd) and 0 <= sd <= 5):
            self._refuse(
                f"{place}.sd", f"{sd!r} is not allowed: give the standard deviation of the logarithm, 0 to 5"
            )
        if len(self._wrong) > before:
            return None
        confidence = Confidence(found["confidence"])
        spread = 0.0 if allowed.scale == "exact" else confidence.sd if sd is None else float(sd)
        text = str(sources.get(str(source), source))
        return Datum(
            float(found["value"]),
            allowed.unit,
            text,
            confidence,
            allowed.scale,
            spread,
            str(found.get("note", "")),
        )


_DATUM_KEYS = ("value", "unit", "confidence", "source", "sd", "note")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(name: str) -> str:
    """How names are compared: case, spaces, hyphens and typographic primes do not matter."""
    return "".join(name.replace("″", "''").replace("β", "beta").split()).replace("-", "").casefold()


def _nearest(name: str, known: Mapping[str, str]) -> list[str]:
    """Up to three names that are like it, and as like it as the best of them is, nearly."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    likeness = [difflib.SequenceMatcher(None, one, name).ratio() for one in near]
    return [one for one, like in zip(near, likeness, strict=True) if like > 0.9 * likeness[0]]


def _near(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""
