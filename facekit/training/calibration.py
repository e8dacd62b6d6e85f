"""The earlier name of `facekit.calibration`, which stays importable."""

from facekit.calibration import *  # noqa: F403
