"""Plot what other modules computed: Axes in, Axes out.

Nothing here computes, shows or touches `rcParams`, and only `save_audit_page` saves. Modules follow
the subject: `datasets`, `training`, `evaluation`, `verification`, `fusion`, `detection`,
`pictures` and `diagrams`; the colours are in `style`. Users import all names from here.
"""

from facekit.plotting.datasets import (
    FINDINGS_WIDTH,
    PAGE_INCHES,
    plot_ages,
    plot_findings,
    plot_labels,
    plot_subgroups,
    save_audit_page,
)
from facekit.plotting.detection import plot_boxes, plot_levels, plot_precision, plot_recall
from facekit.plotting.diagrams import plot_architecture, plot_flow, plot_splits
from facekit.plotting.evaluation import (
    plot_age_errors,
    plot_calibration,
    plot_confusion,
    plot_groups,
    plot_roc,
    plot_separation,
    plot_thresholds,
)
from facekit.plotting.fusion import LARGEST_LIFT, plot_answers, plot_confidence, plot_lifts
from facekit.plotting.pictures import plot_pictures
from facekit.plotting.style import (
    MARKED_COLOUR,
    PLAIN_COLOUR,
    QUIET_COLOUR,
    SERIES_COLOURS,
    SPLIT_COLOURS,
)
from facekit.plotting.training import plot_history, plot_loss_weights
from facekit.plotting.verification import plot_accept_rates, plot_verification

__all__ = [
    "FINDINGS_WIDTH",
    "LARGEST_LIFT",
    "MARKED_COLOUR",
    "PAGE_INCHES",
    "PLAIN_COLOUR",
    "QUIET_COLOUR",
    "SERIES_COLOURS",
    "SPLIT_COLOURS",
    "plot_accept_rates",
    "plot_age_errors",
    "plot_ages",
    "plot_answers",
    "plot_architecture",
    "plot_boxes",
    "plot_calibration",
    "plot_confidence",
    "plot_confusion",
    "plot_findings",
    "plot_flow",
    "plot_groups",
    "plot_history",
    "plot_labels",
    "plot_levels",
    "plot_lifts",
    "plot_loss_weights",
    "plot_pictures",
    "plot_precision",
    "plot_recall",
    "plot_roc",
    "plot_separation",
    "plot_splits",
    "plot_subgroups",
    "plot_thresholds",
    "plot_verification",
    "save_audit_page",
]
