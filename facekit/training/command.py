"""Moved to `facekit.training.course`; the old name stays importable."""

from facekit.training.course import *  # noqa: F403
