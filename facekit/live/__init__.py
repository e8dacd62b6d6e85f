"""Analyze a stream of frames within the time that a live picture leaves."""

from facekit.live.analyzer import SEARCH_SIDE, LiveAnalyzer
from facekit.live.tracking import FaceTracker, Track

__all__ = ["SEARCH_SIDE", "FaceTracker", "LiveAnalyzer", "Track"]
