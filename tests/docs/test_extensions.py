"""What `docs/extensions` adds to Sphinx."""

from __future__ import annotations

import base64
import hashlib
import importlib
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).parents[2] / "docs" / "extensions"


@pytest.fixture
def load(monkeypatch):
    """Import an extension as Sphinx does."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return importlib.import_module


def test_indented_blocks_of_docstrings_are_code(load) -> None:
    mark_code = load("docstrings").mark_code
    lines = ["Find faces.", "", "    import facekit", "", "More.", "", "Args:", "    a: First."]
    marked = ["Find faces.", "", "::", "", "    import facekit", "", *lines[4:]]
    assert mark_code(lines) == marked
    assert mark_code([]) == []


@pytest.mark.parametrize(
    ("latex", "part"),
    [
        (r"\frac{a}{b}", "<mfrac>"),
        (r"\hat{y}_i", "<msub>"),
        (r"\sum_{i=1}^n x_i", "<munderover>"),
        (r"1, \dots, n", "<mi>…</mi>"),
        (r"45°", "∘"),
        (r"n_a \big/ n_b", ">/</mo>"),
    ],
)
def test_formulas(load, latex, part) -> None:
    mathml = load("mathml").render_math(latex, block=True)
    assert part in mathml
    assert 'display="block"' in mathml


def test_unknown_command_of_a_formula(load) -> None:
    from docutils.utils.math import MathError

    with pytest.raises(MathError, match="nosuchcommand"):
        load("mathml").render_math(r"\nosuchcommand", block=False)


def test_widgets_leave_their_pictures(load) -> None:
    view = "application/vnd.jupyter.widget-view+json"
    notebook = {
        "metadata": {"widgets": {}},
        "cells": [
            {"cell_type": "markdown", "source": "# Title"},
            {
                "cell_type": "code",
                "outputs": [
                    {"data": {view: {}, "text/plain": "HBox()"}},
                    {"data": {view: {}, "text/plain": "HBox()", "image/png": "AAAA"}},
                    {"output_type": "stream", "text": "seen"},
                ],
            },
        ],
    }
    load("outputs").drop_widgets(notebook)
    assert notebook["metadata"] == {}
    assert notebook["cells"][1]["outputs"] == [
        {"data": {"text/plain": "HBox()", "image/png": "AAAA"}},
        {"output_type": "stream", "text": "seen"},
    ]


def test_alternatives_of_pictures(load) -> None:
    picture = b"a picture"
    output = {
        "data": {"image/png": base64.b64encode(picture).decode()},
        "metadata": {"image/png": {"alt": "Six faces"}},
    }
    notebook = {"cells": [{"cell_type": "code", "outputs": [output]}]}
    assert load("outputs").read_alternatives(notebook) == {
        hashlib.sha256(picture).hexdigest(): "Six faces"
    }


def test_help_of_every_command(load) -> None:
    text = load("inserts").describe_commands(Path())
    assert "## facekit analyze" in text
    assert "## facekit data synthesize" in text
    assert "--background-shortcut" in text


def test_table_of_lessons(load) -> None:
    table = load("inserts").tabulate_lessons(EXTENSIONS.parents[1])
    assert "(../notebooks/00_start_here.ipynb)" in table
