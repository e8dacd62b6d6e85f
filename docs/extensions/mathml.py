"""Render formulas as MathML, which browsers draw without a script.

Docutils converts LaTeX; a command that it does not know is a warning, and the formula stays LaTeX.
"""

from __future__ import annotations

import html
import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

# Docutils lacks these commands; their replacements look the same, or nearly so.
REPLACED = (
    (re.compile(r"\\dots(?![a-zA-Z])"), r"\\ldots"),
    (re.compile("°"), r"{}^\\circ"),
    (re.compile(r"\\[lr]vert(?![a-zA-Z])"), "|"),
    (re.compile(r"\\[bB]igg?[lmr]?(?![a-zA-Z])"), ""),  # the size of a bracket
    # Docutils takes an accent for the upper limit of a sum, and an index for the lower one. A group
    # around the letter with its accent keeps the index at its right.
    (
        re.compile(
            r"(\\(?:acute|bar|dot|hat|overline|tilde|vec|widehat|widetilde)(?![a-zA-Z])"
            r"\s*(?:\{[^{}]*\}|\\[a-zA-Z]+|\w))(?=\s*[_^])"
        ),
        r"{\1{}}",
    ),
)


def render_math(latex: str, block: bool) -> str:
    """Return a formula as an element `math`.

    Args:
        latex: The formula without dollar signs.
        block: Whether it stands on a line of its own.

    Raises:
        MathError: If the formula has a command that Docutils does not know.
    """
    for pattern, replacement in REPLACED:
        latex = pattern.sub(replacement, latex)
    return tex2mathml(latex.strip(), as_block=block)


def _render_or_warn(node: nodes.Element, block: bool) -> str:
    try:
        return render_math(node.astext(), block)
    except MathError as error:
        logger.warning("the formula cannot be shown as MathML: %s", error, location=node)
        return f"<code>{html.escape(node.astext())}</code>"


def _visit_math(self, node: nodes.math) -> None:
    self.body.append(f'<span class="math">{_render_or_warn(node, block=False)}</span>')
    raise nodes.SkipNode


def _visit_math_block(self, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(f"{_render_or_warn(node, block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Add the renderer and choose it."""
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_math_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
