"""Make the HTML page of a report, with nbconvert's templates, and print it to PDF.

`render_page` is the frame of every page that facekit writes. The style is in `base.css` (colours,
fonts and tables, which the site in `docs/` loads, too) and in `page.css`. A page is one file that
needs nothing from elsewhere.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nbformat

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PRINTING_SECONDS = 120
TEMPLATE = "report"  # folder in `TEMPLATES`
TEMPLATES = Path(__file__).with_name("templates")
STYLES = tuple(Path(__file__).with_name(name) for name in ("base.css", "page.css"))
GENERATOR = re.compile(r'<meta name="generator" content="([^"]*)">')
HEAD_BYTES = 2000  # at the start of a page; the generator stands there

# nbconvert's own pages load scripts and fonts from the web, and the demo runs without Jinja.
FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="generator" content="{generator}">
<title>{title}</title>
<style>
{style}</style></head><body>
{body}
</body></html>
"""


def render_page(title: str, body: str, generator: str = "facekit") -> str:
    """Return a whole HTML page in facekit's style.

    Args:
        title: Plain text.
        body: HTML.
        generator: Which program wrote the page, as plain text without quotes.

    Example:
        >>> "<title>Faces &amp; ages</title>" in render_page("Faces & ages", "<h1>Faces</h1>")
        True
    """
    return FRAME.format(
        generator=html.escape(generator),
        title=html.escape(title),
        style="".join(style.read_text(encoding="utf-8") for style in STYLES),
        body=body,
    )


def read_generator(page: Path) -> str:
    """Return which program wrote a page, or "" if the page does not say it.

    Args:
        page: An HTML file.

    Example:
        >>> page = Path(tempfile.mkdtemp(), "page.html")
        >>> _ = page.write_text(render_page("Faces", "<h1>Faces</h1>", "facekit report"))
        >>> read_generator(page)
        'facekit report'
    """
    with page.open("rb") as file:
        found = GENERATOR.search(file.read(HEAD_BYTES).decode("utf-8", "replace"))
    return html.unescape(found[1]) if found else ""


def render_notebook(notebook: nbformat.NotebookNode, generator: str) -> str:
    """Return a notebook that was run as one HTML page without code.

    Args:
        notebook: With a `title` in its metadata.
        generator: As for `render_page`.

    Raises:
        ModuleNotFoundError: If nbconvert is not installed.

    Example:
        >>> from nbformat.v4 import new_notebook
        >>> page = render_notebook(new_notebook(metadata={"title": "Faces"}), "facekit report")
        >>> "<title>Faces</title>" in page
        True
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name=TEMPLATE,
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    return render_page(notebook.metadata["title"], body, generator)


def _find_browser() -> str | None:
    """Return the path of an installed Chromium or Chrome, or `None`."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def print_page(page: Path, target: Path) -> bool:
    """Print a page to PDF with an installed browser.

    nbconvert's `webpdf` is not used: it runs only the Chromium that Playwright downloads, and
    accepts no path of an installed browser.

    Args:
        page: An HTML file.
        target: The PDF to write.

    Returns:
        Whether there is a browser, and it wrote the file.

    Example:
        >>> print_page(Path("report.html"), Path("report.pdf"))  # doctest: +SKIP
        True
    """
    browser = _find_browser()
    if browser is None:
        return False
    # Chromium does not run as root with its sandbox.
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            *root,
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target.resolve()}",
            page.resolve().as_uri(),
        ]
        try:
            subprocess.run(command, capture_output=True, timeout=PRINTING_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return False
    return target.exists()
