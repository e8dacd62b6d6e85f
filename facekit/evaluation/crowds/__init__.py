"""Measure detectors, and whole profiles, on photos with many faces.

Tables in, tables out. A table of faces (the ground truth) has one row per face: `image`, the box
`x1`, `y1`, `x2`, `y2` in pixels, and maybe `ignored`: such a face need not be found, and a box on
it is neither right nor wrong. A table of boxes (what a detector found) has `image`, the box and
`score`. `matching` pairs them, `detectors` measures recall, precision and counts, and `profiles`
follows the protocol of the second paper: age class, ethnicity and emotion of matched faces. Faces
of one photo are not independent, so intervals are of a bootstrap over photos. Plots are in
`plotting.detection`.

References: Everingham et al.: The Pascal Visual Object Classes Challenge, IJCV 2010 (matching,
average precision); Yang et al.: WIDER FACE, CVPR 2016 (ignored faces).
"""

from facekit.evaluation.crowds.detectors import (
    compute_average_precision,
    tabulate_counts,
    tabulate_precision,
    tabulate_recall,
    trace_precision,
)
from facekit.evaluation.crowds.matching import (
    CROWDS,
    HEIGHTS,
    LEAST_OVERLAP,
    match_faces,
    name_bins,
    tabulate_boxes,
)
from facekit.evaluation.crowds.profiles import evaluate_photos, measure_profiles

__all__ = [
    "CROWDS",
    "HEIGHTS",
    "LEAST_OVERLAP",
    "compute_average_precision",
    "evaluate_photos",
    "match_faces",
    "measure_profiles",
    "name_bins",
    "tabulate_boxes",
    "tabulate_counts",
    "tabulate_precision",
    "tabulate_recall",
    "trace_precision",
]
