"""Fit what `fusion` applies, on predictions for faces that the networks were not trained on.

`temperatures` fits one temperature per attribute, `intervals` the levels of the age interval,
`constants` all constants together, `card` saves and describes them. `predictions` reads the stored
predictions.
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
from facekit.calibration.intervals import fit_age_levels, tabulate_coverage
from facekit.calibration.predictions import (
    load_calibration,
    load_predictions,
    select_training_labels,
    serve_answers,
)
from facekit.calibration.temperatures import TEMPERATURES, fit_temperature

__all__ = [
    "RANGE_PERCENTILES", "SMOOTHING", "STRENGTHS", "TEMPERATURES", "count_lifts",
    "fit_age_levels", "fit_constants", "fit_fusion", "fit_temperature", "load_calibration",
    "load_predictions", "measure_fusion", "refit_constants", "select_training_labels",
    "serve_answers", "tabulate_coverage",
]  # fmt: skip
