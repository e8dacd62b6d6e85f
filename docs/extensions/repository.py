"""Fit the pages of the repository into the site.

Links to files without a page lead to GitHub, badges become links, and old names of lessons lead to
the new ones.
"""

from __future__ import annotations

import html
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx

FILES = "https://github.com/facekit/facekit/blob/main/"
# Old page: new page, from the top of the site.
MOVED = {
    "index": "docs/index",
    **{
        f"notebooks/{folder}{old}": f"notebooks/{folder}{new}"
        for old, new in {
            "04_emotion": "10_emotion",
            "05_gender": "11_gender",
            "06_age": "12_age",
            "07_ethnicity": "13_ethnicity",
            "08_evaluation": "05_evaluation",
            "09_fusion": "20_fusion",
            "10_live_webcam": "21_live_webcam",
            "11_leakage": "04_leakage",
        }.items()
        for folder in ("", "solutions/")
    },
}
REDIRECT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="refresh" content="0; url={target}"><link rel="canonical" href="{target}"></head>
<body><p>This page is now <a href="{target}">{target}</a>.</p></body></html>
"""


def _find_file(app: Sphinx, node: nodes.Element) -> str | None:
    """Return the path, in the repository, of the file without a page that a link names."""
    if isinstance(node, download_reference):
        _, file = app.env.relfn2path(node["reftarget"], app.env.docname)
        return Path(file).resolve().relative_to(app.srcdir).as_posix()
    if node.get("refdomain") != "doc" or node["reftarget"] in app.env.found_docs:
        return None
    names = [node["reftarget"] + suffix for suffix in app.config.source_suffix]
    return next((name for name in names if (Path(app.srcdir) / name).is_file()), None)


def _link_files(app: Sphinx, tree: nodes.document) -> None:
    links = [*tree.findall(download_reference), *tree.findall(pending_xref)]
    for link in links:
        file = _find_file(app, link)
        if file is not None:
            anchor = f"#{link['reftargetid']}" if link.get("reftargetid") else ""
            outside = nodes.reference(refuri=FILES + file + anchor, internal=False)
            outside += nodes.inline("", "", *link[0].children)
            link.replace_self(outside)


def _replace_badges(app: Sphinx, tree: nodes.document) -> None:
    for image in list(tree.findall(nodes.image)):
        if "://" in image["uri"] and isinstance(image.parent, nodes.reference):
            image.parent["classes"].append("facekit-badge-link")
            image.replace_self(nodes.Text(image["alt"]))


def _write_redirects(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for old, new in MOVED.items():
        page = Path(app.outdir, f"{old}.html")
        if new in app.env.all_docs and not page.exists():
            target = app.builder.get_relative_uri(old, new)
            page.parent.mkdir(parents=True, exist_ok=True)
            title = html.escape(app.env.titles[new].astext())
            page.write_text(REDIRECT.format(title=title, target=target), encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Connect all steps; links are replaced before Sphinx copies the files that they name."""
    app.connect("doctree-read", _link_files, priority=400)
    app.connect("doctree-read", _replace_badges, priority=400)
    app.connect("build-finished", _write_redirects)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
