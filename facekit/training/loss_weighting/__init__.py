"""Combine the losses of several tasks into one, by a strategy that has a name.

A loss weighting is a subclass of `LossWeighting`: it is built with the model and the names of its
tasks, and its `combine` turns the tasks' losses into one number. It may keep variables that are
learned with the network, and it may change its weights after each step or each epoch. A new
weighting is a new module here and an entry of `LOSS_WEIGHTINGS`; a `Course` names it.

- `fixed`: given, or 1 each
- `uncertainty`: 1 / the learned variance of each task (Kendall et al., 2018)
- `search`: found by short trainings over a grid, then fixed
- `joint_dynamic`: a branch on the shared features that minimises the weighted loss
- `joint_dynamic_fixed`: the same branch with an objective that does not favour the easy task
- `gradnorm`: balanced norms of the gradients (Chen et al., 2018)
- `dwa`: the rate at which each loss falls (Liu et al., 2019)
"""

from facekit.training.loss_weighting.dwa import DynamicWeightAverage
from facekit.training.loss_weighting.fixed import FixedWeighting, SearchedWeighting
from facekit.training.loss_weighting.gradnorm import GradNormWeighting
from facekit.training.loss_weighting.joint_dynamic import (
    JointDynamicFixedWeighting,
    JointDynamicWeighting,
)
from facekit.training.loss_weighting.labelled import LabelledMean, measure_labelled
from facekit.training.loss_weighting.multi_task import (
    LOSS_WEIGHTINGS,
    BalancedModel,
    MultiTaskModel,
)
from facekit.training.loss_weighting.search import make_grid, search_weights
from facekit.training.loss_weighting.uncertainty import UncertaintyWeighting
from facekit.training.loss_weighting.weighting import LEARNED_NAME, LossWeighting

Weighting = LossWeighting  # its earlier name

__all__ = [
    "LEARNED_NAME",
    "LOSS_WEIGHTINGS",
    "BalancedModel",
    "DynamicWeightAverage",
    "FixedWeighting",
    "GradNormWeighting",
    "JointDynamicFixedWeighting",
    "JointDynamicWeighting",
    "LabelledMean",
    "LossWeighting",
    "MultiTaskModel",
    "SearchedWeighting",
    "UncertaintyWeighting",
    "Weighting",
    "make_grid",
    "measure_labelled",
    "search_weights",
]
