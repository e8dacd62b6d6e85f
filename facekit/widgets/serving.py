"""Moved to `facekit.app.serving`; the old name stays importable."""

from facekit.app.serving import *  # noqa: F403
