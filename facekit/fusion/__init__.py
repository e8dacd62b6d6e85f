"""Fuse the networks' predictions for one face into a profile with a confidence.

Four steps, after "Toward Affective Intelligence": probabilities are calibrated by a temperature;
each attribute's probabilities are multiplied by messages from the others, through a table of how
often two labels occur together in the training data; each attribute's certainty is min-max scaled;
the confidence is the mean of the scaled certainties, weighted by each attribute's accuracy. The age
interval is read off the fused age distribution. A label whose fused probability is below the
threshold of its attribute is marked as not sure.

The constants are fitted by `calibration` and shipped in `models/fusion.json`. Running the networks
is left to `inference`. Probabilities have shape (faces, classes), classes in the order of
`taxonomy.LABELS`; those of one attribute are called its answer.
"""

from facekit.fusion.ages import (
    AGE_LEVELS,
    AGE_QUANTILES,
    compute_mean_age,
    find_age_interval,
    index_age_classes,
    predict_age_classes,
)
from facekit.fusion.answers import calibrate, correlate, fuse_answers
from facekit.fusion.confidence import (
    measure_certainty,
    scale_certainty,
    score_confidence,
    split_confidence,
)
from facekit.fusion.constants import (
    NEVER,
    SCORE,
    THRESHOLDS,
    FusionConstants,
    load_constants,
    save_constants,
)
from facekit.fusion.profiles import fuse_profiles

__all__ = [
    "AGE_LEVELS", "AGE_QUANTILES", "NEVER", "SCORE", "THRESHOLDS", "FusionConstants", "calibrate",
    "compute_mean_age", "correlate", "find_age_interval", "fuse_answers", "fuse_profiles",
    "index_age_classes", "load_constants", "measure_certainty", "predict_age_classes",
    "save_constants", "scale_certainty", "score_confidence", "split_confidence",
]  # fmt: skip
