"""What requests carry, as checked shapes; the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

from pressopt.campaign import own_press

#: Text that goes into a journal: no control characters.
Words = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
PressName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^(\*|\w[\w .+()'-]*)$")]
#: Characters of an idempotency key at most.
LONGEST_KEY = 200
Priority = Annotated[int, Field(ge=-1000, le=1000)]


class Body(BaseModel):
    """What all bodies share: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NewCampaign(Body):
    """A campaign to be opened."""

    experiment: Annotated[str, Field(max_length=1 << 20, description="Text of the experiment file (TOML).")]
    name: Annotated[str, Field(max_length=200, description="Name of that file, for people.")] = "experiment"
    presses: Annotated[
        list[PressName],
        Field(
            max_length=100,
            description="Presses of the service that may work on it; '*': any that suits; "
            "none: people ask and tell.",
        ),
    ] = []
    priority: Annotated[Priority, Field(description="The higher goes first.")] = 0
    trials: Annotated[int | None, Field(ge=1, le=100_000, description="Instead of the file's.")] = None
    seed: Annotated[int | None, Field(ge=0, le=2**31 - 1, description="Instead of the file's.")] = None


class Placing(Body):
    """Which presses may work on a campaign, and how urgently; what is left out stays."""

    presses: Annotated[list[PressName], Field(max_length=100)] | None = None
    priority: Priority | None = None


class Reason(Body):
    """A word on why."""

    reason: Words = ""


class Asking(Body):
    """How many trials are wanted."""

    count: Annotated[int, Field(ge=1, le=64)] = 1


class Value(Body):
    """A measured value with one standard deviation, in the quantity's unit."""

    value: FiniteFloat
    sd: FiniteFloat


class HowPressed(Body):
    """How a cell was pressed on somebody's own press."""

    press: PressName = "by hand"
    achieved: Annotated[
        dict[str, FiniteFloat],
        Field(max_length=100, description="What the cell got, by setting; what is missing counts as asked."),
    ] = {}
    deviations: Annotated[list[Words], Field(max_length=100)] = []

    def pressed(self) -> own_press.Pressed:
        """The same as the campaign knows it."""
        return own_press.Pressed(self.press, dict(self.achieved), tuple(self.deviations))


class Telling(HowPressed):
    """What was measured on a cell, or how it failed."""

    outcomes: Annotated[dict[str, Value], Field(max_length=20)] = {}
    failures: Annotated[list[str], Field(max_length=20)] = []
    note: Words = ""

    def result(self) -> own_press.Result:
        """The same as the campaign knows it."""
        outcomes = {name: (one.value, one.sd) for name, one in self.outcomes.items()}
        return own_press.Result(outcomes, tuple(self.failures), self.note)


class Confirming(Body):
    """Who says so."""

    by: Annotated[Words, Field(description="Who says so, where several share a login.")] = ""


class Loading(Confirming):
    """The cell lies under a press."""

    press: Annotated[PressName | None, Field(description="Which, where several work on the campaign.")] = None


class Rejecting(Confirming):
    """A trial is given up."""

    reason: Words = "rejected by a person"


class Resolving(Confirming):
    """What a person found after an interruption or a fault."""

    action: Literal["discard", "measure", "done"]
    note: Words = ""
    achieved: Annotated[dict[str, FiniteFloat], Field(max_length=100)] = {}
    outcomes: Annotated[dict[str, Value], Field(max_length=20)] = {}


class Answering(Confirming):
    """What the person at a manual press says of the question that is open; every value is entered twice."""

    question: Annotated[int, Field(ge=1, le=10_000, description="Its number within the trial.")]
    action: Literal["done", "abort"] = "done"
    values: Annotated[dict[str, FiniteFloat], Field(max_length=50)] = {}
    again: Annotated[dict[str, FiniteFloat], Field(max_length=50)] = {}
    why: Words = ""


class Clearing(Confirming):
    """A person has looked at a press and allows motion again."""

    note: Words = ""


class NewToken(Body):
    """Somebody who may use the service."""

    name: Annotated[str, StringConstraints(pattern=r"^[\w.@-]{1,64}$")]
    role: Literal["viewer", "operator", "administrator"]


class Problem(BaseModel):
    """What was wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] = []
