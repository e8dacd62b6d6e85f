import matplotlib.pyplot as plt
import pandas as pd
import pytest

from facekit.plotting import (
    plot_history,
)
from facekit.plotting.training import plot_loss_weights

HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1, 2],
        "loss": [3, 2, 1],
        "val_loss": [3, 1, 2],
        "accuracy": [0, 0.5, 1],
        "val_accuracy": [0, 0.4, 0.3],
    }
)


@pytest.mark.parametrize(("metric", "kept"), [("loss", 1), ("accuracy", 0.4)])
def test_a_history_marks_the_epoch_that_was_kept(metric, kept):
    ax = plt.subplots()[1]
    assert plot_history(HISTORY, metric, ax=ax) is ax
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert lines["kept"] == [[2, kept]]
    assert lines["train"][-1] == [3, 1]


def test_a_history_that_says_which_epoch_was_kept():
    ax = plot_history(HISTORY.assign(kept=[False, False, True]))
    assert {line.get_label(): line.get_xydata().tolist() for line in ax.lines}["kept"] == [[3, 2]]


def test_a_history_without_the_metric_is_an_error():
    with pytest.raises(ValueError, match="`metric` must be one of loss, accuracy; got 'years_off'"):
        plot_history(HISTORY, "years_off")


WEIGHTS = {"weight_age": [1, 0.5], "weight_gender": [1, 1.5]}


class TestLossWeights:
    @pytest.mark.parametrize("time", ["epoch", "step"])
    def test_one_line_per_task(self, time):
        ax = plt.subplots()[1]
        table = pd.DataFrame({"epoch": [0, 0], "loss": [3, 2], time: [0, 10], **WEIGHTS})
        assert plot_loss_weights(table, ax=ax) is ax
        lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
        assert lines == {"age": [[1, 1], [11, 0.5]], "gender": [[1, 1], [11, 1.5]]}
        assert ax.get_xlabel() == time
        assert ax.get_ylim()[0] == 0

    def test_no_rows_yet(self):
        table = pd.DataFrame({"epoch": [], "weight_age": []})
        assert [len(line.get_xydata()) for line in plot_loss_weights(table).lines] == [0]

    @pytest.mark.parametrize("columns", [["epoch", "loss"], ["weight_age"], []])
    def test_a_table_without_weights(self, columns):
        with pytest.raises(ValueError, match="`history` must have columns weight_TASK, and epoch"):
            plot_loss_weights(pd.DataFrame(columns=columns))
