import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from facekit.evaluation.verification import compute_roc
from facekit.plotting import SERIES_COLOURS, plot_accept_rates, plot_verification

HISTORY = pd.DataFrame(
    {
        "step": [0, 100, 200],
        "accuracy": [0.6, 0.7, 0.8],
        "low": [0.55, 0.66, 0.77],
        "high": [0.65, 0.74, 0.83],
    }
)


class TestVerification:
    def test_a_line_with_a_band(self):
        ax = plt.subplots()[1]
        assert plot_verification(HISTORY, ax=ax) is ax
        assert ax.lines[0].get_xydata().tolist() == [[0, 0.6], [100, 0.7], [200, 0.8]]
        band = ax.collections[0].get_paths()[0].vertices.tolist()
        assert [100, 0.66] in band
        assert [200, 0.83] in band

    def test_each_run_has_its_colour_and_references_are_named(self):
        both = pd.concat([HISTORY.assign(run="random"), HISTORY.assign(run="dlib's layers")])
        ax = plot_verification(both, {"distilled": 0.97, "dlib": 0.985})
        assert [line.get_label() for line in ax.lines] == [
            "random",
            "dlib's layers",
            "distilled, 97.0%",
            "dlib, 98.5%",
        ]
        assert [line.get_color() for line in ax.lines[:2]] == list(SERIES_COLOURS[:2])
        assert ax.lines[2].get_ydata() == [0.97, 0.97]
        assert ax.lines[2].get_linestyle() != ax.lines[3].get_linestyle()
        assert ax.get_legend().texts[0].get_text() == "random"

    def test_no_rows(self):
        assert not len(plot_verification(HISTORY[:0]).lines[0].get_xdata())

    def test_a_missing_column(self):
        with pytest.raises(ValueError, match="step, accuracy, low and high; low, high missing"):
            plot_verification(HISTORY[["step", "accuracy"]])


class TestAcceptRates:
    def test_marks_are_the_rates_at_1_and_a_tenth_percent(self):
        # 1000 pairs of two people at 1, 2, 3, ...; of 10 pairs of one person one is at 0.5, one at
        # 1.5, 3 at 9.5, the others at 2000.
        between = np.arange(1.0, 1001)
        within = np.array([0.5, 1.5, 9.5, 9.5, 9.5, *[2000.0] * 5])
        same = np.repeat([False, True], [1000, 10])
        roc = compute_roc(np.concatenate([between, within]), same)
        ax = plt.subplots()[1]
        assert plot_accept_rates({"student": roc}, ax=ax) is ax
        curve, marks = ax.lines[:2]
        assert curve.get_label() == "student (50.0% at 1%, 20.0% at 0.1%)"
        assert marks.get_xydata().tolist() == [[0.01, 0.5], [0.001, 0.2]]
        assert ax.get_xscale() == "log"
        assert curve.get_xdata().min() > 0
        assert curve.get_ydata()[-1] == 1

    def test_several_models_and_none(self):
        roc = pd.DataFrame({"false_accept_rate": [0, 0, 1], "true_accept_rate": [0, 0.5, 1]})
        ax = plot_accept_rates({"a": roc, "b": roc})
        assert [line.get_color() for line in ax.lines[:4:2]] == list(SERIES_COLOURS[:2])
        assert plot_accept_rates({}).get_legend() is None
