"""Draw the pattern behind a face."""

from __future__ import annotations

import numpy as np

from facekit.datasets.synthetic.traits import BACKDROPS


def draw_background(name: str, size: int, random: np.random.Generator) -> np.ndarray:
    """Return a pattern of two colours, (size, size, 3) float.

    Example:
        >>> name = next(iter(BACKDROPS))
        >>> draw_background(name, 32, np.random.default_rng(0)).shape
        (32, 32, 3)
    """
    first = np.array(BACKDROPS[name]) * random.uniform(0.92, 1.0)
    second = first + (255 - first) * random.uniform(0.2, 0.4)
    angle, shift, period = (
        random.uniform(0, np.pi),
        random.uniform(-0.1, 0.1),
        random.uniform(16, 22),
    )
    y, x = np.mgrid[:size, :size] / size - 0.5
    across, along = (
        x * np.cos(angle) + y * np.sin(angle) + shift,
        y * np.cos(angle) - x * np.sin(angle) + shift,
    )
    waves = {
        "plain": lambda: np.full_like(x, -0.5),
        "gradient": lambda: y,
        "stripes": lambda: np.sin(across * period),
        "dots": lambda: np.sin(across * period * 1.4) + np.sin(along * period * 1.4) - 0.8,
        "checks": lambda: np.sin(across * period) * np.sin(along * period),
        "rays": lambda: np.sin(12 * np.arctan2(y + shift, x - shift)),
        "rings": lambda: np.sin(np.hypot(x + shift, y) * period * 1.5),
    }
    wave = waves[name]()
    share = (
        wave + 0.5 if name in ("plain", "gradient") else np.tanh(wave * size / 12) / 2 + 0.5
    )  # edges as sharp as the size allows
    return first * (1 - share[..., None]) + second * share[..., None]
