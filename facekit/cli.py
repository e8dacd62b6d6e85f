"""Moved to `facekit.commands`; the old name stays importable."""

from facekit.commands import *  # noqa: F403
