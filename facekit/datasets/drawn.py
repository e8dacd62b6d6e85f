"""Moved to `facekit.datasets.synthetic.drawing`; the old name stays importable."""

from facekit.datasets.synthetic.drawing import *  # noqa: F403
