"""Option types for numbers."""

from __future__ import annotations

import math

import click


class FiniteRange(click.FloatRange):
    """A number in a range. Unlike `click.FloatRange`, it refuses NaN and infinity."""

    def convert(self, value, param, ctx):
        """Return the number, or fail with a sentence."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number
