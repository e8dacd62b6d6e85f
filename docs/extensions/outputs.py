"""Prepare notebooks for pages that have no kernel, and give figures their text alternatives."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import PurePath

from docutils import nodes
from sphinx.application import Sphinx

WIDGETS = "application/vnd.jupyter.widget-"  # their state and their view
PLAIN = "text/plain"
IMAGES = ("image/png", "image/jpeg")


def drop_widgets(notebook: dict) -> None:
    """Remove views of widgets, which need a kernel or scripts from the web; pictures stay."""
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [output for output in cell["outputs"] if not _is_view(output)]


def _is_view(output: dict) -> bool:
    """Return whether nothing is left of an output without the widget. Remove the widget."""
    data = output.get("data", {})
    views = [kind for kind in data if kind.startswith(WIDGETS)]
    for kind in views:
        del data[kind]
    return bool(views) and not data.keys() - {PLAIN}


def read_alternatives(notebook: dict) -> dict[str, str]:
    """Return the text alternative of each picture in the outputs, by the picture's sha256."""
    alternatives = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            for kind in output.get("data", {}).keys() & set(IMAGES):
                alternative = output.get("metadata", {}).get(kind, {}).get("alt")
                if alternative:
                    picture = base64.b64decode("".join(output["data"][kind]))
                    alternatives[hashlib.sha256(picture).hexdigest()] = alternative
    return alternatives


def _read_notebook(app: Sphinx, name: str, source: list[str]) -> None:
    if app.env.doc2path(name).suffix == ".ipynb":
        notebook = json.loads(source[0])
        drop_widgets(notebook)
        app.env.temp_data["facekit_alternatives"] = read_alternatives(notebook)
        source[0] = json.dumps(notebook)


def _place_alternatives(app: Sphinx, tree: nodes.document) -> None:
    # MyST-NB names the file of a picture by its sha256.
    alternatives = app.env.temp_data.get("facekit_alternatives", {})
    for image in tree.findall(nodes.image):
        alternative = alternatives.get(PurePath(image["uri"]).stem)
        if alternative:
            image["alt"] = alternative


def setup(app: Sphinx) -> dict:
    """Connect both steps."""
    app.connect("source-read", _read_notebook)
    app.connect("doctree-read", _place_alternatives)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
