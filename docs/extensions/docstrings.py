"""Read docstrings as facekit writes them.

An indented block after a blank line is code. A single backtick marks code, which becomes a link
where it names a class, a function or a module of facekit, written as in the code: `Faces`,
`detection`, `facekit.images`.
"""

from __future__ import annotations

import importlib
import re

from docutils import nodes
from sphinx.addnodes import desc_content, pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

PACKAGE = "facekit."
LINKED = ("class", "exception", "function", "module")
INDENT = "    "
NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*(\(\))?")
# Lines after which an indented block is no code: a section, an item of a list, a directive.
OPENING = re.compile(r"[A-Z]\w+:|[-*] .*|\d+\. .*|\.\. .*|.*::")


def mark_code(lines: list[str]) -> list[str]:
    """Return the lines of a docstring with `::` before each indented block after a blank line."""
    marked: list[str] = []
    inside = True  # an indented block that needs no mark
    for line in lines:
        if line.startswith(INDENT):
            if not inside and marked and not marked[-1]:
                marked += ["::", ""]
            inside = True
        elif line:
            inside = bool(OPENING.fullmatch(line))
        marked.append(line)
    return marked


def _mark_code(app: Sphinx, kind: str, name: str, thing: object, options, lines: list[str]) -> None:
    lines[:] = mark_code(lines)


def _make_code(role, raw: str, text: str, line: int, inliner, options=None, content=()):
    """Return what stands for text between single backticks."""
    code = nodes.literal(raw, text, classes=["code"])
    if not NAME.fullmatch(text):
        return [code], []
    env = inliner.document.settings.env
    link = pending_xref(
        raw,
        code,
        refdomain="py",
        reftype="obj",
        reftarget=text.removesuffix("()"),
        refdoc=env.docname,
        refexplicit=False,
        refwarn=False,
        **{"py:module": env.ref_context.get("py:module"), "py:class": None},
    )
    return [link], []


def _find_page(env: BuildEnvironment, name: str) -> tuple[str, str, str] | None:
    """Return full name, page and anchor of what a name in a docstring or an annotation means."""
    found = []
    for full, thing in env.get_domain("py").objects.items():
        if thing.objtype in LINKED and full.startswith(PACKAGE):
            parent, _, last = full.rpartition(".")
            # An annotation names the module that defines a class, `facekit.images.failures`; its
            # page may be that of the package, `facekit.images`.
            moved = name.startswith(f"{parent}.") and name.rpartition(".")[2] == last
            short = name == last and not _is_word(name)
            if full in (name, PACKAGE + name):
                return full, thing.docname, thing.node_id
            if moved or short:
                found.append((full, thing.docname, thing.node_id))
    return min(found, key=lambda each: (each[0].count("."), each[0]), default=None)


def _is_word(name: str) -> bool:
    """Return whether a name is one word in small letters, as most parameters are."""
    return name.islower() and name.isalpha()


def _exists(name: str) -> bool:
    """Return whether a full name is that of something in facekit, documented or not."""
    module, _, last = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), last)
    except (ImportError, ValueError):
        return False


def _is_inside_object(node: nodes.Node | None) -> bool:
    """Return whether a node belongs to the docstring of a function or a class."""
    while node is not None:
        if isinstance(node, desc_content):
            return True
        node = node.parent
    return False


def _link_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    page = _find_page(env, name)
    # In the docstring of a function, a word is a parameter more often than a module.
    if page is not None and not (_is_word(name) and _is_inside_object(node)):
        full, docname, anchor = page
        return make_refnode(app.builder, node["refdoc"], docname, anchor, content, full)
    # Annotations name private parts, too. They stay without a link; a wrong name is a warning.
    return content if name.startswith(PACKAGE) and _exists(name) else None


def setup(app: Sphinx) -> dict:
    """Connect both steps and add the role; docstrings are marked before Napoleon reads them."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as in the docstrings; Sphinx writes "Variables"
    app.connect("autodoc-process-docstring", _mark_code, priority=400)
    app.connect("missing-reference", _link_name)
    app.add_role("name", _make_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
