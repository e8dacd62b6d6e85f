"""Moved to `facekit.live.tracking`; the old name stays importable."""

from facekit.live.tracking import *  # noqa: F403
