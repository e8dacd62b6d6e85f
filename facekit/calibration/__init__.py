"""Fit what `fusion` applies, on predictions for faces that the networks were not trained on.

`temperatures` fits one temperature per attribute, `intervals` the levels of the age interval,
`thresholds` the probabilities below which facekit is not sure, `constants` all constants together,
`card` saves and describes them. `predictions` reads the stored predictions, `detections` the scores
of detected faces.
"""

from facekit.calibration.card import fit_fusion
from facekit.calibration.constants import (
    RANGE_PERCENTILES,
    SMOOTHING,
    STRENGTHS,
    count_lifts,
    fit_constants,
    measure_fusion,
    refit_constants,
)
from facekit.calibration.detections import read_detections
from facekit.calibration.intervals import fit_age_levels, tabulate_coverage
from facekit.calibration.predictions import (
    load_calibration,
    load_predictions,
    select_training_labels,
    serve_answers,
)
from facekit.calibration.temperatures import TEMPERATURES, fit_temperature
from facekit.calibration.thresholds import (
    SHARE_RIGHT,
    fit_threshold,
    fit_thresholds,
    tabulate_shown,
    tabulate_shown_by_age,
)

__all__ = [
    "RANGE_PERCENTILES", "SHARE_RIGHT", "SMOOTHING", "STRENGTHS", "TEMPERATURES", "count_lifts",
    "fit_age_levels", "fit_constants", "fit_fusion", "fit_temperature", "fit_threshold",
    "fit_thresholds", "load_calibration", "load_predictions", "measure_fusion", "read_detections",
    "refit_constants", "select_training_labels", "serve_answers", "tabulate_coverage",
    "tabulate_shown", "tabulate_shown_by_age",
]  # fmt: skip
