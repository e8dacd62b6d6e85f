"""The constants of fusion: what `calibration` fits and `models/fusion.json` stores."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facekit.files import write_text
from facekit.fusion.ages import AGE_LEVELS, count_coarse
from facekit.registry import ModelError, get_models_dir
from facekit.taxonomy import ATTRIBUTES

SCORE = "score"  # the key of the detector's threshold
# For constants that were fitted before there were thresholds: what nine labels in ten right means
# for calibrated probabilities.
THRESHOLDS = dict.fromkeys((*ATTRIBUTES, SCORE), 0.9)
NEVER = 2.0  # a threshold that no probability reaches


@dataclass(frozen=True, eq=False)
class FusionConstants:
    """What fusion knows about the networks and about the training data.

    Every constant but the temperatures is fitted on answers as `fuse_profiles` serves them: after
    calibration and correlation.

    Attributes:
        temperatures: One per attribute; above 1 softens its probabilities, below 1 sharpens them
            (Guo et al., 2017).
        reliabilities: Accuracy of each attribute; for age, of the class of the default scheme.
        certainty_ranges: 1st and 99th percentile of each attribute's certainty, which min-max
            scaling turns into 0 and 1.
        lifts: For a pair of attributes, how many times more often two labels occur together than by
            chance, (labels, labels); ages are grouped in the classes of the default scheme. Pairs
            that no training data label together are absent.
        strength: From 0 (the lifts are ignored) to 1 (they count like a network's own answer).
        age_levels: For each age class of the default scheme the two levels of the cumulative age
            distribution between which a year of this class belongs to the age interval.
        thresholds: For each attribute the least probability from which its label is shown; and for
            `score`, the least detector score from which a face counts as sure. `NEVER` shows none.
            `THRESHOLDS` stands in for those that are missing.

    Raises:
        ValueError: If a constant is out of its range or has a wrong shape.

    Example:
        >>> constants = load_constants()
        >>> constants.find_lift("gender", "age").shape
        (2, 7)
    """

    temperatures: dict[str, float]
    reliabilities: dict[str, float]
    certainty_ranges: dict[str, tuple[float, float]]
    lifts: dict[tuple[str, str], np.ndarray]
    strength: float
    age_levels: Sequence[tuple[float, float]] = AGE_LEVELS
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"`strength` must be from 0 to 1; got {self.strength}.")
        for name, temperature in self.temperatures.items():
            if not 0 < temperature < np.inf:
                raise ValueError(f"`temperatures` must be above 0; got {temperature} for {name}.")
        for (first, second), table in self.lifts.items():
            shape = (count_coarse(first), count_coarse(second))
            if table.shape != shape:
                raise ValueError(
                    f"`lifts` of {first} and {second} must have shape {shape}; got {table.shape}."
                )
        levels = np.asarray(self.age_levels, np.float64)
        if levels.shape != (count_coarse("age"), 2) or not ((levels >= 0) & (levels <= 1)).all():
            raise ValueError(
                f"`age_levels` must hold {count_coarse('age')} pairs of numbers from 0 to 1; "
                f"got {self.age_levels}."
            )
        object.__setattr__(self, "thresholds", THRESHOLDS | dict(self.thresholds))
        for name, threshold in self.thresholds.items():
            if name not in THRESHOLDS or not 0 <= threshold <= NEVER:
                raise ValueError(
                    f"`thresholds` must be for {', '.join(THRESHOLDS)}, from 0 to {NEVER:g}; "
                    f"got {threshold} for {name}."
                )

    def find_lift(self, attribute: str, other: str) -> np.ndarray | None:
        """Return the lifts of a pair, rows for `attribute`, or `None` for a pair without."""
        if (attribute, other) in self.lifts:
            return self.lifts[attribute, other]
        return self.lifts[other, attribute].T if (other, attribute) in self.lifts else None


def save_constants(constants: FusionConstants, models_dir: Path) -> None:
    """Write `fusion.json`.

    Args:
        constants: What to write; lifts are rounded to three decimals.
        models_dir: The folder of models.

    Raises:
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_constants(FusionConstants({"gender": 1.5}, {}, {}, {}, strength=0), folder)
        >>> load_constants(folder).temperatures
        {'gender': 1.5}
    """
    fields = vars(constants) | {
        "lifts": {
            f"{first} {second}": np.round(table, 3).tolist()
            for (first, second), table in constants.lifts.items()
        }
    }
    write_text(models_dir / "fusion.json", json.dumps(fields, indent=1) + "\n")
    _load_constants.cache_clear()  # the clock of a file system may stand still between two saves


def load_constants(models_dir: Path | None = None) -> FusionConstants:
    """Read `fusion.json`.

    Args:
        models_dir: The folder of models; that of `get_models_dir` by default.

    Raises:
        ModelError: If the file is missing or cannot be read.

    Example:
        >>> 0 <= load_constants().strength <= 1
        True
    """
    models_dir = (models_dir or get_models_dir()).absolute()
    path = models_dir / "fusion.json"
    return _load_constants(path, path.stat().st_mtime_ns if path.exists() else 0)


@functools.cache
def _load_constants(path: Path, changed: int) -> FusionConstants:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        lifts = {
            tuple(pair.split()): np.array(table) for pair, table in fields.pop("lifts").items()
        }
        for name in ("certainty_ranges", "age_levels"):
            if isinstance(fields.get(name), dict):
                fields[name] = {key: tuple(ends) for key, ends in fields[name].items()}
            elif name in fields:
                fields[name] = tuple(tuple(ends) for ends in fields[name])
        return FusionConstants(lifts=lifts, **fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path}: the constants of fusion cannot be read ({error}); reinstall facekit."
        ) from None
