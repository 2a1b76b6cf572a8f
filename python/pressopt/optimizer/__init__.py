"""Design space, objectives, the Gaussian-process model over physics, and the recommender."""

from pressopt.optimizer.facade import Optimizer
from pressopt.optimizer.goals import Objective, OutcomeConstraint
from pressopt.optimizer.observation import (
    Interval,
    Measurement,
    Observation,
    Proposal,
    Recommendation,
    Settings,
    Value,
)
from pressopt.optimizer.presets import Goal, goal, goals
from pressopt.optimizer.question import Cost, Prior, Question, SelectivePrior
from pressopt.optimizer.recommender import Recommender
from pressopt.optimizer.relation import Relation
from pressopt.optimizer.repeating import REPEAT
from pressopt.optimizer.space import DesignSpace, Variable
from pressopt.optimizer.stopping import (
    Budget,
    SmallGain,
    StoppingRule,
    TargetMet,
    first_reason,
    target_probabilities,
)
from pressopt.optimizer.strategies import Strategy, register_strategy, strategies, strategy_within
from pressopt.optimizer.transfer import EarlierCampaigns, Source

__all__ = [
    "REPEAT",
    "Budget",
    "Cost",
    "DesignSpace",
    "EarlierCampaigns",
    "Goal",
    "Interval",
    "Measurement",
    "Objective",
    "Observation",
    "Optimizer",
    "OutcomeConstraint",
    "Prior",
    "Proposal",
    "Question",
    "Recommendation",
    "Recommender",
    "Relation",
    "SelectivePrior",
    "Settings",
    "SmallGain",
    "Source",
    "StoppingRule",
    "Strategy",
    "TargetMet",
    "Value",
    "Variable",
    "first_reason",
    "goal",
    "goals",
    "register_strategy",
    "strategies",
    "strategy_within",
    "target_probabilities",
]
