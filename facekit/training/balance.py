"""The earlier name of `facekit.training.loss_weighting`, which stays importable."""

from facekit.training.loss_weighting import *  # noqa: F403
