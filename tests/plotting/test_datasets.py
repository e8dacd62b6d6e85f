from collections.abc import Callable

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from facekit.plotting import (
    SPLIT_COLOURS,
    plot_ages,
    plot_findings,
    plot_labels,
    plot_subgroups,
    save_audit_page,
)


def get_texts(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


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
