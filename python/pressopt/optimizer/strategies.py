"""Ways to choose the next trials, by name, and the door through which other engines come in.

A program registers an engine; an installed package brings one by an entry point of the group
``pressopt.strategies``.

A strategy is any callable from a :class:`Question` to proposals. It need not care for steps of the press,
relations, pending trials or the bound on the risk: the recommender checks every proposal and replaces one that
is not allowed by the next point of the Sobol sequence. It must answer the same question in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pressopt.errors import InputError
from pressopt.optimizer.observation import Proposal, Settings, Value
from pressopt.optimizer.question import Question, scores

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

Strategy = Callable[[Question], Sequence[Proposal]]

_STRATEGIES: dict[str, Strategy] = {}


def register_strategy(name: str, strategy: Strategy) -> None:
    """Make an engine selectable by name, in code and in experiment files.

    Raises:
        InputError: The name is taken by another engine.
    """
    if _STRATEGIES.get(name, strategy) is not strategy:
        raise InputError(f"strategy '{name}' exists already: choose another name than {sorted(_STRATEGIES)}")
    _STRATEGIES[name] = strategy


@contextmanager
def strategy_within(name: str, strategy: Strategy) -> Iterator[None]:
    """Make an engine selectable inside a ``with`` block only: for trying one out, and for tests.

    Raises:
        InputError: The name is taken by another engine.
    """
    register_strategy(name, strategy)
    try:
        yield
    finally:
        del _STRATEGIES[name]


def strategy(name: str) -> Strategy:
    """The engine of that name; one of an installed package is loaded when it is first asked for.

    Raises:
        InputError: There is none (the message lists those that exist), or its package does not load.
    """
    if name not in _STRATEGIES:
        for entry in _elsewhere().select(name=name):
            try:
                register_strategy(name, entry.load())
            except (ImportError, AttributeError) as error:
                raise InputError(
                    f"strategy '{name}' of {entry.value} does not load ({error}): repair that package or choose "
                    f"one of {sorted(_STRATEGIES)}"
                ) from error
            break
        else:
            raise InputError(f"strategy '{name}' is not known: choose one of {sorted(strategies())}")
    return _STRATEGIES[name]


def strategies() -> tuple[str, ...]:
    """Names of all engines, those of installed packages among them."""
    return tuple(sorted({*_STRATEGIES, *_elsewhere().names}))


def _elsewhere() -> EntryPoints:
    """Engines that installed packages bring."""
    from importlib.metadata import entry_points

    return entry_points(group="pressopt.strategies")


def sobol(question: Question) -> list[Proposal]:
    """The next points of one scrambled Sobol sequence for the whole campaign."""
    done = len(question.history) + len(question.pending)
    return [Proposal(settings, "space-filling") for settings in admissible_sample(question, question.count, done)]


def random(question: Question) -> list[Proposal]:
    """Independent uniform points inside limits and relations."""
    seed = int(question.generator(1).integers(1 << 62))
    return [Proposal(settings, "random") for settings in _uniform(question, question.count, seed)]


def _uniform(question: Question, count: int, seed: int) -> list[dict[str, Value]]:
    rng = np.random.default_rng(seed)
    found: list[dict[str, Value]] = []
    for _ in range(64):
        places = rng.random((64, len(question.space.variables)))
        drawn = [question.space.settable(question.space.from_unit(x)) for x in question.space.encode(places)]
        kept = [settings for settings in drawn if settings is not None]
        found += [s for s, allowed in zip(kept, question.admissible(kept), strict=True) if allowed]
        if len(found) >= count:
            break
    return found[:count]


def admissible_sample(question: Question, count: int, skip: int = 0) -> list[dict[str, Value]]:
    """Points of the campaign's Sobol sequence that keep relations and the bound on the risk.

    Raises:
        InputError: There are not enough of them; the message says which rule leaves no room.
    """
    if question.risk is None or question.prior is None:
        return question.space.sample(count, seed=question.seed, skip=skip, distinct=False)
    found: list[dict[str, Value]] = []
    lowest, looked = np.inf, 0
    for block in range(16):
        drawn = question.space.sample(128, seed=question.seed, skip=128 * block, distinct=False)
        risks = question.risks(drawn)
        lowest, looked = min(lowest, float(risks.min())), looked + len(drawn)
        found += [settings for settings, risk in zip(drawn, risks, strict=True) if risk <= question.risk]
        if len(found) >= skip + count:
            return found[skip : skip + count]
    if found:
        return [found[(skip + index) % len(found)] for index in range(count)]
    raise InputError(
        f"the predicted probability of a short should stay below {question.risk:g}, but the lowest of {looked} "
        f"points is {lowest:.3g}: raise 'risk' or allow lower pressures, temperatures or dwells"
    )


def skopt_engine(estimator: str) -> Strategy:
    """An engine around ``skopt.Optimizer`` with the named estimator: the pattern to follow for other engines.

    Trials under way are told at the mean of what was seen, so that they are not asked again.
    """

    def propose(question: Question) -> list[Proposal]:
        import warnings

        import skopt

        space = question.space.with_given({})
        question = replace(question, space=space)
        told = scores(question)
        if not told:
            return sobol(question)
        lie = float(np.mean([value for _, value in told]))
        told += [(settings, lie) for settings in question.pending]
        with warnings.catch_warnings():
            # skopt warns when it asks a point twice; the recommender deals with that.
            warnings.simplefilter("ignore")
            engine = skopt.Optimizer(
                space.to_skopt(),
                base_estimator=estimator,
                n_initial_points=0,
                acq_func="EI",
                random_state=int(question.generator(2).integers(1 << 31)),
            )
            engine.tell([_inside(question, settings) for settings, _ in told], [value for _, value in told])
            asked = engine.ask(n_points=question.count, strategy="cl_mean")
        return [
            Proposal(dict(zip(space.names, map(_plain, x), strict=True)), "expected improvement") for x in asked
        ]

    return propose


def _inside(question: Question, settings: Settings) -> list[Value]:
    """A point as skopt wants it: inside the limits, in order."""
    space = question.space
    inside = space.from_unit(np.clip(space.to_unit(settings), 0.0, 1.0))
    return [inside[name] for name in space.names]


def _plain(value: Any) -> Value:
    plain: Value = value.item() if isinstance(value, np.generic) else value
    return plain


register_strategy("sobol", sobol)
register_strategy("random", random)
register_strategy("skopt-gp", skopt_engine("GP"))
register_strategy("skopt-forest", skopt_engine("RF"))
