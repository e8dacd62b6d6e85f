"""Moved to `facekit.training.loss_weighting`; the old name stays importable."""

from facekit.training.loss_weighting import *  # noqa: F403
