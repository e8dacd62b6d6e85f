"""Moved to `facekit.datasets.synthetic.sequences`; the old name stays importable."""

from facekit.datasets.synthetic.sequences import *  # noqa: F403
