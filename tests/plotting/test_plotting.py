from collections.abc import Callable

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from facekit.datasets.audit import Audit, audit_manifest
from facekit.datasets.manifest import make_manifest
from facekit.evaluation.metrics import tabulate_thresholds
from facekit.plotting import (
    SPLIT_COLOURS,
    plot_age_errors,
    plot_ages,
    plot_answers,
    plot_boxes,
    plot_calibration,
    plot_confidence,
    plot_confusion,
    plot_findings,
    plot_groups,
    plot_history,
    plot_labels,
    plot_levels,
    plot_lifts,
    plot_pictures,
    plot_roc,
    plot_separation,
    plot_subgroups,
    plot_thresholds,
    save_audit_page,
)


@pytest.fixture(autouse=True)
def agg():
    """No window, and none left open."""
    backend = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


@pytest.fixture
def audit(tmp_path, monkeypatch) -> Audit:
    monkeypatch.setattr("facekit.datasets.audit._hash_image", str)
    rows = [
        {
            "path": f"{index}.jpg",
            "age": age,
            "gender": gender,
            "ethnicity": "black",
            "group": index // 2,
            "split": split,
        }
        for index, (age, gender, split) in enumerate(
            [
                (30, "female", "train"),
                (50, "female", "train"),
                (31, "male", "test"),
                (2, "male", "train"),
                (31, "male", "validation"),
            ]
        )
    ]
    return audit_manifest(make_manifest(rows, "mine"), scores=np.array([1, 1, 0, 1, 1]))


@pytest.fixture
def bare_audit(monkeypatch) -> Audit:
    """Of two images without a label."""
    monkeypatch.setattr("facekit.datasets.audit._hash_image", str)
    return audit_manifest(make_manifest([{"path": "a.jpg"}, {"path": "b.jpg"}], "mine"))


PLOTS = [
    (plot_findings, "findings"),
    (plot_ages, "age_counts"),
    (plot_subgroups, "cell_counts"),
    (plot_labels, "label_counts"),
]


@pytest.mark.parametrize(("plot", "field"), PLOTS)
class TestAnyPlot:
    def test_axes_given_come_back(self, plot: Callable, field: str, audit):
        ax = plt.figure().subplots()
        settings = dict(mpl.rcParams)
        assert plot(getattr(audit, field), ax=ax) is ax
        assert dict(mpl.rcParams) == settings
        assert plt.get_fignums() == [1]

    def test_axes_are_made_where_none_are_given(self, plot: Callable, field: str, audit):
        first = plot(getattr(audit, field))
        assert plot(getattr(audit, field)) is not first
        assert first.get_title(loc="left")

    def test_nothing_to_plot(self, plot: Callable, field: str, bare_audit):
        if field == "findings":
            assert plot(bare_audit.findings.iloc[:0]) is plt.gca()
        else:
            assert getattr(bare_audit, field).empty
            assert plot(getattr(bare_audit, field)) is plt.gca()


def get_texts(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_findings_show_counts_details_and_remedies(audit):
    ax = plot_findings(audit.findings)
    assert [label.get_text() for label in ax.get_yticklabels()] == audit.findings[
        "finding"
    ].tolist()
    assert [bar.get_width() for bar in ax.patches] == audit.findings["share"].fillna(0).tolist()
    assert "1 of 5" in get_texts(ax)
    assert "look at them: no face, or an unusual one" in get_texts(ax)
    assert "fetch them again" not in get_texts(ax)  # none is unreadable


def test_an_unmeasured_finding_has_no_count(bare_audit):
    assert "not measured" in get_texts(plot_findings(bare_audit.findings))


def test_heaped_years_are_marked(audit):
    others, heaped = plot_ages(audit.age_counts).containers
    assert sum(bar.get_height() for bar in heaped) == 2
    assert sum(bar.get_height() for bar in others) == 3
    assert others[0].get_facecolor() != heaped[0].get_facecolor()


def test_subgroups_are_written_into_their_cells(audit):
    ax = plot_subgroups(audit.cell_counts)
    assert len(ax.texts) == audit.cell_counts.size
    assert [label.get_text() for label in ax.get_xticklabels()][2:4] == [
        "black\nfemale",
        "black\nmale",
    ]
    assert sum(int(text) for text in get_texts(ax)) == 5
    assert np.isfinite(ax.images[0].get_array().filled(np.nan)).sum() == 4  # the others stay white


def test_one_attribute_makes_one_column():
    counts = pd.Series([3, 0], index=pd.Index(["fear", "anger"], name="emotion"))
    assert get_texts(plot_subgroups(counts)) == ["3", "0"]


def test_labels_are_stacked_by_split(audit):
    ax = plot_labels(audit.label_counts)
    assert [container.get_label() for container in ax.containers] == ["train", "validation", "test"]
    assert get_texts(ax)[:3] == ["1", "0", "0"]  # ages 0-2, 3-9, 10-20
    for container in ax.containers:
        assert (
            mpl.colors.to_hex(container[0].get_facecolor()).upper()
            == SPLIT_COLOURS[container.get_label()]
        )


@pytest.mark.parametrize(
    ("name", "start"), [("page.png", b"\x89PNG"), ("page.svg", b"<?xml"), ("page.pdf", b"%PDF")]
)
def test_a_page_in_the_form_that_its_ending_names(audit, name, start, tmp_path):
    save_audit_page(audit, tmp_path / name, "mine: 5 faces")
    assert (tmp_path / name).read_bytes().startswith(start)
    assert not plt.get_fignums()


def test_a_page_without_labels(bare_audit, tmp_path):
    save_audit_page(bare_audit, tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 1000


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


def test_lifts_are_written_into_their_cells():
    lifts = pd.DataFrame([[9.0, 1.0], [0.01, 2.5]], ["0-2", "3-9"], ["female", "male"])
    ax = plt.subplots()[1]
    assert plot_lifts(lifts, ax=ax) is ax
    assert get_texts(ax) == ["9.00", "1.00", "0.01", "2.50"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["female", "male"]
    assert [text.get_color() for text in ax.texts] == ["black", "black", "white", "black"]


def test_age_errors_have_their_intervals_and_bias():
    table = pd.DataFrame(
        {
            "count": [5, 3],
            "off": [2.0, 6.0],
            "low": [1.0, 3.0],
            "high": [2.5, 8.0],
            "bias": [1.0, -4.0],
        },
        ["0-2", "66+"],
    )
    ax = plt.subplots()[1]
    assert plot_age_errors(table, ax=ax) is ax
    assert [bar.get_height() for bar in ax.patches] == [1, -4]
    (segments,) = [
        container.lines[2][0].get_segments()
        for container in ax.containers
        if hasattr(container, "lines")
    ]
    assert [segment[:, 1].tolist() for segment in segments] == [[1, 2.5], [3, 8]]
    plot_age_errors(table.iloc[:0])


def test_roc_draws_each_curve_and_the_diagonal():
    ax = plt.subplots()[1]
    assert plot_roc({"gender": (np.array([0, 0, 1]), np.array([0, 1, 1]))}, ax=ax) is ax
    assert [line.get_xydata().tolist() for line in ax.lines] == [
        [[0, 0], [1, 1]],
        [[0, 0], [0, 1], [1, 1]],
    ]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["gender"]
    plot_roc({})


@pytest.mark.parametrize(("attribute", "classes"), [("age", 101), ("emotion", 7)])
def test_answers_stand_beside_each_other(attribute, classes):
    answers = {"before": np.full(classes, 1 / classes), "after": np.eye(classes)[0]}
    ax = plt.subplots()[1]
    assert plot_answers(attribute, answers, ax=ax) is ax
    assert ax.get_title(loc="left") == attribute
    drawn = [line.get_ydata().tolist() for line in ax.lines] or [
        [bar.get_width() for bar in bars] for bars in ax.containers
    ]
    assert drawn == [answer.tolist() for answer in answers.values()]
    plot_answers(attribute, {})


def test_confidence_is_laid_end_to_end():
    ax = plt.subplots()[1]
    assert plot_confidence({"age": 0.25, "gender": 0.5}, ax=ax) is ax
    assert [(bars[0].get_x(), bars[0].get_width()) for bars in ax.containers] == [
        (0, 0.25),
        (0.25, 0.5),
    ]
    assert ax.get_title(loc="left") == "confidence 0.75"
    plot_confidence({"age": 0.0})


def test_histograms_part_a_label_from_the_others():
    probabilities, is_positive = np.array([0.1, 0.2, 0.9]), np.array([False, True, True])
    ax = plt.subplots()[1]
    assert plot_separation(probabilities, is_positive, "male", 0.5, ax=ax) is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["not male", "male"]
    assert ax.lines[0].get_xdata() == [0.5, 0.5]
    assert not plot_separation(probabilities, is_positive, "male").lines


def test_thresholds_have_a_line_a_share():
    table = tabulate_thresholds(
        np.array([0.1, 0.8, 0.9]), np.array([False, True, False]), (0.0, 0.5, 1.0)
    )
    ax = plt.subplots()[1]
    assert plot_thresholds(table, 0.5, ax=ax) is ax
    predicted = [text.get_text() for text in ax.get_legend().get_texts()]
    assert predicted == [
        "accuracy 66.7%",
        "precision 50.0%",
        "recall 100.0%",
        "false positive rate 50.0%",
    ]
    no_rate = [text.get_text() for text in plot_thresholds(table, 1.0).get_legend().get_texts()]
    assert no_rate[1] == "precision"
    assert len(plot_thresholds(table).lines) == 4


def test_levels_keep_their_sizes_and_maps_get_a_bar():
    picture, probabilities = np.zeros((6, 8, 3), np.uint8), np.full((3, 4), 0.5)
    ax = plt.subplots()[1]
    assert plot_levels([picture, probabilities], ["whole", "half"], ax=ax) is ax
    spans = [image.get_extent() for image in ax.images]
    assert [(right - left, bottom - top) for left, right, bottom, top in spans] == [(8, 6), (4, 3)]
    assert spans[1][0] >= spans[0][1]
    assert get_texts(ax) == ["whole", "half"]
    assert [axes.get_ylabel() for axes in ax.figure.axes] == ["", "probability"]
    plot_levels([picture])
    assert len(plt.gcf().axes) == 1
    plot_levels([])


def test_boxes_lie_where_they_are_given():
    landmarks = np.array([[[2, 2], [np.nan, np.nan]], [[5, 5], [6, 6]]])
    ax = plt.subplots()[1]
    boxes = np.array([[1, 2, 4, 6], [5, 5, 8, 8]])
    assert (
        plot_boxes(
            np.zeros((10, 12, 3), np.uint8),
            boxes,
            ["a", "b"],
            landmarks,
            ["#000000", "#D55E00"],
            ax=ax,
        )
        is ax
    )
    assert [patch.get_bbox().extents.tolist() for patch in ax.patches] == boxes.tolist()
    assert get_texts(ax) == ["a", "b"]
    assert [line.get_xydata().tolist() for line in ax.lines][1] == [[5, 5], [6, 6]]
    assert mpl.colors.to_hex(ax.patches[1].get_edgecolor()).upper() == "#D55E00"
    assert not plot_boxes(np.zeros((10, 12), np.uint8), boxes[:0]).patches


def test_a_confusion_matrix_has_its_shares_written_in():
    ax = plt.subplots()[1]
    shares = pd.DataFrame(
        [[0.9, 0.1], [0.25, 0.75]], index=["fear", "anger"], columns=["fear", "anger"]
    )
    assert plot_confusion(shares, ax=ax) is ax
    assert get_texts(ax) == ["90%", "10%", "25%", "75%"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["fear", "anger"]


SHARES = pd.DataFrame(
    {
        "count": [4, 9],
        "share": [0.5, 0.9],
        "low": [0.2, 0.6],
        "high": [0.8, 1.0],
        "probability": [0.6, 0.9],
    },
    index=["fear", "anger"],
)


@pytest.mark.parametrize("plot", [plot_calibration, plot_groups])
def test_tables_on_the_same_axes_have_colours_of_their_own(plot):
    ax = plot(SHARES, "one")
    assert plot(SHARES, "two", ax=ax) is ax
    assert [label for label in ax.get_legend_handles_labels()[1] if label != "calibrated"] == [
        "one",
        "two",
    ]
    colours = [container.lines[0].get_color() for container in ax.containers]
    assert len(set(colours)) == 2


def test_pictures_are_laid_out_in_rows_below_their_titles():
    pictures = np.zeros((5, 20, 10, 1), np.uint8)
    ax = plot_pictures(pictures, [f"face\n{number}" for number in range(5)], columns=3)
    assert len(ax.images) == 5
    assert len(get_texts(ax)) == 5
    tops = [image.get_extent()[3] for image in ax.images]
    assert tops[0] == tops[2] < tops[3]
    assert plot_pictures(np.zeros((0, 8, 8, 3), np.uint8), ax=ax) is ax
    empty = plot_pictures(np.zeros((0, 8, 8, 3), np.uint8))
    empty.figure.canvas.draw()
    assert [text.get_text() for text in empty.texts] == ["none"]
    assert plot_pictures(pictures, columns=3, inches=1).figure.get_figwidth() == 3
