"""Settings of the site: `make docs` builds it in `docs/_build/html`.

The source folder is the root of the repository, so that lessons, datasheets and cards are read
where they are, and the links between them stay as they are. Notebooks are shown with their stored
outputs and are never executed. Nothing is loaded from the network, at build or at reading time.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as find_version
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "extensions"))

project = "facekit"
author = "The facekit authors"
project_copyright = "The facekit authors, MIT licence"
version = release = find_version("facekit")
root_doc = "docs/index"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_design",
    # In `docs/extensions`
    "docstrings",
    "inserts",
    "mathml",
    "outputs",
    "repository",
]
include_patterns = [
    "docs/**.md",
    "docs/reference/api/*.rst",
    "notebooks/*.ipynb",
    "notebooks/exercises/*.ipynb",
    "notebooks/solutions/*.ipynb",
    "data/*.md",
    "models/README.md",
    "models/*/README.md",
    "models/fusion.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
# Sphinx does not enter these folders.
exclude_patterns = [
    ".*",
    "data/raw",
    "demo",
    "dist",
    "docs/_build",
    "facekit",
    "reports",
    "runs",
    "tests",
    "**/.ipynb_checkpoints",
]
templates_path = [str(DOCS / "templates")]

# === Text and notebooks ===

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "linkify"]
myst_linkify_fuzzy_links = False  # a name such as `facekit.app` is no address
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # by default pages load require.js and the widgets' scripts from the web

# === Reference ===

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "name"  # in `docs/extensions/docstrings.py`
nitpicky = True
nitpick_ignore_regex = [
    # Words between single backticks become links where they name something, else plain code.
    ("py:obj", ".*"),
    # There is no network at build, so names of other packages are not looked up.
    (r"py:.*", r"(?!facekit\.)[\w.]+"),
]

# === Pages ===

html_theme = "pydata_sphinx_theme"
html_title = "facekit"
# The first file is shared with reports and the demo page.
html_static_path = ["static", "../facekit/reports/base.css"]
html_css_files = ["base.css", "site.css"]
html_copy_source = False
html_show_sphinx = False
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_theme_options = {
    "logo": {"text": "facekit"},
    "icon_links": [
        {
            "name": "GitHub",
            "url": "https://github.com/facekit/facekit",
            "icon": "fa-brands fa-github",
        }
    ],
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "article_header_end": [],
}
html_sidebars = {"docs/index": [], "docs/papers": []}
