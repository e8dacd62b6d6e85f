"""Analyze a stream of frames fast enough for a live view."""

from facekit.live.analyzer import SEARCH_SIDE, LiveAnalyzer
from facekit.live.tracking import FaceTracker, Track

__all__ = ["SEARCH_SIDE", "FaceTracker", "LiveAnalyzer", "Track"]
