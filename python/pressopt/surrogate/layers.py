"""The layers of a cell by what they are to the physics, checked for what one surrogate can describe."""

from __future__ import annotations

from itertools import pairwise

from pressopt.errors import InputError, Violation
from pressopt.materials import Catalogue, Material, MaterialKind
from pressopt.pressing import Cell, Layer, Role

#: What each role is made of; collectors may be soft metals too.
_MADE_OF = {
    Role.ELECTRODE: MaterialKind.METAL,
    Role.ELECTROLYTE: MaterialKind.ELECTROLYTE,
    Role.INTERLAYER: MaterialKind.ELECTROLYTE,
    Role.COMPOSITE: MaterialKind.COMPOSITE,
}


class Parts:
    """The layers of a cell by their role.

    Attributes:
        lamination: Metal on a collector, without electrolyte.
        electrode, metal: The first layer of soft metal, and its material.
        electrolytes: Layers of the separator.
        interlayer, composite, collector: The one there is, or ``None``.
        metal_faces: Pairs of a collector and the metal, or other collector, that it touches.
        back_faces: Pairs of a collector and the electrolyte or composite that it touches.

    Raises:
        InputError: Layers that one surrogate cannot describe.
    """

    def __init__(self, cell: Cell, catalogue: Catalogue) -> None:
        by_role: dict[Role, list[Layer]] = {role: [] for role in Role}
        for layer in cell.layers:
            by_role[layer.role].append(layer)
        self.electrolytes = by_role[Role.ELECTROLYTE]
        self.interlayer = _first(by_role[Role.INTERLAYER])
        self.composite = _first(by_role[Role.COMPOSITE])
        self.collector = _first(by_role[Role.COLLECTOR])
        self.lamination = not self.electrolytes
        self.metal_faces: list[tuple[Layer, Layer]] = []
        self.back_faces: list[tuple[Layer, Layer]] = []
        for pair in pairwise(cell.layers):
            beside = sorted(pair, key=lambda layer: layer.role is not Role.COLLECTOR)
            if beside[0].role is Role.COLLECTOR:
                metallic = beside[1].role in {Role.COLLECTOR, Role.ELECTRODE}
                (self.metal_faces if metallic else self.back_faces).append((beside[0], beside[1]))
        wrong = self._wrong(cell, catalogue, by_role)
        if wrong:
            raise InputError(wrong)
        self.electrode = by_role[Role.ELECTRODE][0]
        self.metal: Material = catalogue[self.electrode.material]

    def _wrong(self, cell: Cell, catalogue: Catalogue, by_role: dict[Role, list[Layer]]) -> list[Violation]:
        wrong = []

        def refuse(message: str) -> None:
            wrong.append(Violation("layers", message))

        for role in (Role.ELECTRODE, Role.ELECTROLYTE, Role.INTERLAYER):
            names = {catalogue[layer.material].name for layer in by_role[role]}
            if len(names) > 1:
                refuse(f"the surrogate takes one {role} material, not {', '.join(sorted(names))}")
        if not by_role[Role.ELECTRODE]:
            refuse("no electrode: give at least one layer of soft metal")
        if self.lamination and not by_role[Role.COLLECTOR]:
            refuse("neither electrolyte nor collector: the metal touches nothing")
        if self.lamination and self.interlayer:
            refuse("an interlayer needs an electrolyte behind it")
        if self.lamination and self.composite:
            refuse("a composite needs an electrolyte beside it")
        if len(by_role[Role.COMPOSITE]) > 1:
            refuse(f"the surrogate takes one composite layer, not {len(by_role[Role.COMPOSITE])}")
        if any({a.role, b.role} == {Role.COMPOSITE, Role.ELECTRODE} for a, b in pairwise(cell.layers)):
            refuse("metal on a composite is a short: put the electrolyte between them")
        if len({(catalogue[a.material].name, b.role) for a, b in self.back_faces}) > 1:
            refuse("the surrogate takes one kind of contact between collector and electrolyte or composite")
        for role, kind in _MADE_OF.items():
            for layer in by_role[role]:
                material = catalogue[layer.material]
                if material.kind is not kind:
                    refuse(f"{material.name} is a {material.kind}, not a {kind}")
        return wrong


def _first(layers: list[Layer]) -> Layer | None:
    return layers[0] if layers else None
