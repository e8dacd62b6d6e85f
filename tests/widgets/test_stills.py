"""A widget's output in a page without a kernel, as nbconvert writes it."""

import base64

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from facekit.images import encode_jpeg
from facekit.images.encoding import encode_png
from facekit.widgets.stills import add_still

WIDGET = "application/vnd.jupyter.widget-view+json"
VIEW = {
    WIDGET: {"version_major": 2, "version_minor": 0, "model_id": "a1"},
    "text/plain": "Slider()",
}
PIXELS = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("picture", "kind"), [(encode_png(PIXELS), "image/png"), (encode_jpeg(PIXELS), "image/jpeg")]
)
def test_a_picture_stands_beside_the_widget(picture, kind):
    data, metadata = add_still((VIEW, {WIDGET: {"colab": True}}), picture, "A black square.")
    assert {name: data[name] for name in VIEW} == VIEW
    assert base64.b64decode(data[kind]) == picture
    assert metadata == {WIDGET: {"colab": True}, kind: {"alt": "A black square."}}
    assert add_still(VIEW, picture, "A black square.")[1] == {kind: {"alt": "A black square."}}


@pytest.mark.parametrize("template", ["lab", "classic"])
@pytest.mark.parametrize("state", [False, True])
def test_nbconvert_shows_the_picture_where_no_state_is_stored(state, template, tmp_path):
    nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is in the extra notebooks")
    data, metadata = add_still(VIEW, encode_png(PIXELS), "A black square.")
    output = new_output("execute_result", data, metadata=metadata, execution_count=1)
    notebook = new_notebook(cells=[new_code_cell("slider", outputs=[output], execution_count=1)])
    if state:  # nbconvert stores it where it runs a notebook; `make notebooks` removes it
        widgets = {"state": {"a1": {"model_name": "Slider", "state": {}}}}
        notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": widgets}
    nbformat.write(notebook, tmp_path / "one.ipynb")
    exporter = nbconvert.HTMLExporter(template_name=template)
    page, _ = exporter.from_filename(str(tmp_path / "one.ipynb"))
    assert page.count(data["image/png"]) == (not state)
    assert (f'<script type="{WIDGET}">' in page) == state
    assert "Slider()" not in page
    if template == "classic" and not state:  # nbconvert 7.17 writes no text in its other template
        assert 'alt="A black square."' in page
