"""Moved to `facekit.app.view`; the old name stays importable."""

from facekit.app.view import *  # noqa: F403
