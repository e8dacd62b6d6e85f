"""Moved to `facekit.calibration`; the old name stays importable."""

from facekit.calibration import *  # noqa: F403
