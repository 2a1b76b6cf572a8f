"""Rules between settings, such as ``assembly.pressure_mpa <= formation.pressure_mpa``, read without ``eval``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pressopt.errors import InputError, Violation
from pressopt.optimizer.observation import Settings

#: How far a rule may be overstepped before it counts as broken, relative to its terms: rounding, not physics.
TOLERANCE = 1e-9

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*(?:[.-]\w+)*)"
    r"|(?P<sign><=|>=|[<>+\-*/()]))"
)


@dataclass(frozen=True, slots=True)
class Relation:
    """A rule between settings: ``sum(terms[name] * name) <= bound``, or a function of the settings.

    Attributes:
        terms: Factor of each setting, by name; empty when ``allows`` is given.
        bound: What the sum may not exceed.
        allows: For code only: a function of the settings that says whether they are allowed.
        label: The rule as people wrote it.

    Raises:
        InputError: No term and no function, both, or a number that is not finite.
    """

    terms: Mapping[str, float] = field(default_factory=dict)
    bound: float = 0.0
    allows: Callable[[Settings], bool] | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if bool(self.terms) == (self.allows is not None):
            raise InputError("a relation needs either terms or a function, not both: give Relation.parse(text)")
        if not all(map(math.isfinite, [*self.terms.values(), self.bound])):
            raise InputError(
                f"relation '{self.label}' has a number that is not finite: give finite factors and bound"
            )

    @classmethod
    def parse(cls, text: str) -> Relation:
        """Read a linear rule such as ``2 * a.pressure_mpa + 5 <= b.pressure_mpa`` or ``a / b <= 0.5``.

        A minus sign between names needs spaces, because names may contain hyphens. The ratio form asks a
        positive denominator.

        Raises:
            InputError: The text is no linear rule.
        """
        return _Parser(text).relation()

    @classmethod
    def ratio(cls, numerator: str, denominator: str, *, at_most: float) -> Relation:
        """The rule ``numerator / denominator <= at_most``, for a positive denominator."""
        return cls(
            {numerator: 1.0, denominator: -at_most}, 0.0, label=f"{numerator} / {denominator} <= {at_most:g}"
        )

    @property
    def linear(self) -> bool:
        """Whether the rule is a linear form, and not a function."""
        return self.allows is None

    def excess(self, settings: Settings) -> float:
        """By how much the rule is overstepped, in the unit of its terms; zero or negative when it holds."""
        if self.allows is not None:
            return -1.0 if self.allows(settings) else 1.0
        return math.fsum(factor * float(settings[name]) for name, factor in self.terms.items()) - self.bound

    def holds(self, settings: Settings) -> bool:
        """Whether the settings keep the rule, up to rounding."""
        if self.allows is not None:
            return bool(self.allows(settings))
        size = sum(abs(factor * float(settings[name])) for name, factor in self.terms.items()) + abs(self.bound)
        return self.excess(settings) <= TOLERANCE * max(size, 1e-300)

    def __str__(self) -> str:
        if self.label:
            return self.label
        return " + ".join(f"{factor:g} * {name}" for name, factor in self.terms.items()) + f" <= {self.bound:g}"


@dataclass(frozen=True, slots=True)
class _Form:
    """A linear form: factor by name, and a constant."""

    terms: Mapping[str, float]
    constant: float

    def plus(self, other: _Form, sign: float) -> _Form:
        terms = dict(self.terms)
        for name, factor in other.terms.items():
            terms[name] = terms.get(name, 0.0) + sign * factor
        return _Form(terms, self.constant + sign * other.constant)

    def times(self, factor: float) -> _Form:
        return _Form({name: factor * value for name, value in self.terms.items()}, factor * self.constant)


class _Parser:
    """Recursive descent over sums, products with numbers, and one comparison."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None:
                raise self._refused(f"'{stripped[position:].strip()}' is not understood")
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind]))
            position = match.end()
        self._next = 0

    def relation(self) -> Relation:
        ratio = self._ratio()
        if ratio is not None:
            return ratio
        left = self._sum()
        sign = self._take()
        if sign not in {"<=", "<", ">=", ">"}:
            raise self._refused("it compares nothing")
        right = self._sum()
        if self._next != len(self._tokens):
            raise self._refused(f"'{self._tokens[self._next][1]}' is left over")
        form = left.plus(right, -1.0) if sign.startswith("<") else right.plus(left, -1.0)
        terms = {name: factor for name, factor in form.terms.items() if factor != 0.0}
        if not terms:
            raise self._refused("it names no setting")
        return Relation(terms, -form.constant, label=self._text.strip())

    def _ratio(self) -> Relation | None:
        """The form ``a / b <= number``, the only product of settings that is linear in truth."""
        kinds = [kind for kind, _ in self._tokens]
        if kinds != ["name", "sign", "name", "sign", "number"]:
            return None
        (_, top), (_, slash), (_, bottom), (_, sign), (_, number) = self._tokens
        if slash != "/" or sign[0] not in "<>":
            return None
        way = 1.0 if sign.startswith("<") else -1.0
        return Relation({top: way, bottom: -way * float(number)}, 0.0, label=self._text.strip())

    def _sum(self) -> _Form:
        form = self._product()
        while self._peek() in {"+", "-"}:
            form = form.plus(self._product(), 1.0) if self._take() == "+" else form.plus(self._product(), -1.0)
        return form

    def _product(self) -> _Form:
        form = self._factor()
        while self._peek() in {"*", "/"}:
            sign = self._take()
            other = self._factor()
            if sign == "*" and not form.terms:
                form = other.times(form.constant)
            elif not other.terms and not (sign == "/" and other.constant == 0.0):
                form = form.times(other.constant if sign == "*" else 1.0 / other.constant)
            else:
                raise self._refused("only sums of settings times numbers are allowed")
        return form

    def _factor(self) -> _Form:
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "")
        self._next += 1
        if kind == "number":
            return _Form({}, float(text))
        if kind == "name":
            return _Form({text: 1.0}, 0.0)
        if text == "-":
            return self._factor().times(-1.0)
        if text == "(":
            form = self._sum()
            if self._take() != ")":
                raise self._refused("a bracket is not closed")
            return form
        raise self._refused("a setting or a number is missing")

    def _peek(self) -> str:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        text = self._peek()
        self._next += 1
        return text

    def _refused(self, why: str) -> InputError:
        shape = "write it like 'assembly.pressure_mpa <= 0.5 * formation.pressure_mpa'"
        return InputError([Violation("relation", f"'{self._text.strip()}': {why}: {shape}")])
