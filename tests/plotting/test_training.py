import matplotlib.pyplot as plt
import pandas as pd
import pytest

from facekit.plotting import (
    plot_history,
)

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
