"""Measure models on data they never saw."""
