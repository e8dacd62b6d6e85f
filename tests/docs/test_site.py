"""The site builds without a warning; its links, figures and lessons are all there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
RECIPES = sorted({*(ROOT / "docs" / "how_to").glob("*.md")} - {ROOT / "docs/how_to/index.md"})
BUILD_SECONDS = 600  # of a busy machine; an idle one takes about 40
# What a browser fetches by itself, unlike the target of `<a href>`.
LOADED = {"href": {"link"}, "data": {"object"}, "src": None, "srcset": None, "poster": None}
REMOTE = re.compile(r"(?:https?:)?//")
REPOSITORY = re.compile(r"https://github\.com/facekit/facekit/(?:blob|tree)/main/([^#?]+)")
PICTURES = {"image/png", "image/jpeg"}
PHONE_WIDTH = 390  # pixels
PROJECTOR_WIDTH = 1920
TO_MEASURE = (
    "docs/index.html",
    "docs/lessons.html",
    "docs/papers.html",
    "docs/how_to/audit_a_model.html",
    "docs/reference/api/facekit.pipeline.html",
    "docs/reference/command_line.html",
    "data/README.html",
    "models/gender/README.html",
)
# Parts that stick out on the right, other than those in a box that scrolls.
STICK_OUT = """() => [...document.querySelectorAll('.bd-article *')].filter((part) => {
    if (part.getBoundingClientRect().right <= innerWidth + 1) return false;
    for (let box = part; box && !box.matches('.bd-article'); box = box.parentElement)
        if (getComputedStyle(box).overflowX !== 'visible') return false;
    return true;
}).slice(0, 3).map((part) => part.outerHTML.slice(0, 80))"""


class Page:
    """What a test asks of one page: the anchors, the links, and what the browser loads."""

    def __init__(self, path: Path) -> None:
        from bs4 import BeautifulSoup

        soup = BeautifulSoup(path.read_bytes(), "html.parser")
        self.anchors = {tag["id"] for tag in soup.find_all(id=True)}
        self.links = [tag["href"] for tag in soup.find_all("a", href=True)]
        self.loads = [
            tag[name]
            for name, tags in LOADED.items()
            for tag in soup.find_all(attrs={name: True})
            if (tags is None or tag.name in tags) and tag.get("rel") != ["canonical"]
        ]
        styles = [tag.get_text() for tag in soup.find_all("style")]
        self.loads += [url for style in styles for url in find_urls(style)]
        self.redirect = soup.find("meta", attrs={"http-equiv": "refresh"})
        if self.redirect:
            self.links.append(self.redirect["content"].partition("url=")[2])
        # The text alternatives of all figures
        self.figures = [tag.get("alt", "") for tag in soup.find_all("img")]


def find_urls(style: str) -> list[str]:
    """Return what a stylesheet loads."""
    return [each.strip("\"'") for each in re.findall(r"url\(([^)]+)\)|@import ", style) if each]


def find_faults(site: Path) -> Iterator[str]:
    """Yield each dead link and each load from another host."""
    files = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    pages = {path.resolve(): Page(path) for path in files}
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        for url in page.loads:
            if REMOTE.match(url):
                yield f"{name}: loads {url}"
        for url in {*page.links, *page.loads}:
            found = REPOSITORY.match(url)
            if found and not (ROOT / unquote(found[1])).exists():
                yield f"{name}: {url}: no such file in the repository"
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{name}: {url}: no such file"
            elif (
                parts.fragment
                and target in pages
                and unquote(parts.fragment) not in pages[target].anchors
            ):
                yield f"{name}: {url}: no such anchor"
    for path in site.rglob("*.css"):
        for url in find_urls(path.read_text(encoding="utf-8")):
            if REMOTE.match(url):
                yield f"{path.relative_to(site)}: loads {url}"


def check_notebook(path: Path, page: Path) -> None:
    """Check that a page shows every figure of a notebook, and that each has a text alternative."""
    outputs = [
        output
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", ())
    ]
    stored = sum(bool(PICTURES & output.get("data", {}).keys()) for output in outputs)
    shown = Page(page).figures
    assert len(shown) >= stored, path
    assert all(shown), f"{path}: a figure has no text alternative"


def find_wide_parts(site: Path) -> Iterator[str]:
    """Yield the parts of pages that are wider than a phone or a projector."""
    sync_api = pytest.importorskip("playwright.sync_api")
    lessons = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS.glob("[0-9]*.ipynb")]
    with sync_api.sync_playwright() as playwright:
        options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
        with playwright.chromium.launch(**options) as browser:
            for width in (PHONE_WIDTH, PROJECTOR_WIDTH):
                page = browser.new_page(viewport={"width": width, "height": 900})
                for name in (*TO_MEASURE, *lessons):
                    page.goto((site / name).as_uri())
                    for part in page.evaluate(STICK_OUT):
                        yield f"{name}, {width} pixels: {part}"


@pytest.mark.slow
def test_site(tmp_path) -> None:
    """One test, so that parallel workers build one site."""
    site = tmp_path / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going"]
    folders = ["-c", "docs", "-d", str(tmp_path / "doctrees"), ".", str(site)]
    built = subprocess.run(
        [*command, *folders], cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS
    )
    assert built.returncode == 0, built.stderr
    faults = list(find_faults(site))
    assert not faults, "\n".join(faults)
    for path in [*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("*/*.ipynb")]:
        if path.parent.name != "reports":
            check_notebook(path, site / path.relative_to(ROOT).with_suffix(".html"))
    assert "10_emotion.html" in (site / "notebooks" / "04_emotion.html").read_text()
    assert "<math" in (site / "notebooks" / "05_evaluation.html").read_text(encoding="utf-8")
    assert "Toward Affective Intelligence" in (site / "docs" / "papers.html").read_text()
    if shutil.which("chromium"):
        wide = list(find_wide_parts(site))
        assert not wide, "\n".join(wide)


def test_find_faults(tmp_path) -> None:
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here">1</a><a href="b.html#there">2</a><a href="c.html">3</a>'
        '<a href="https://example.org">4</a><img src="//example.org/a.png">'
        '<script src="https://example.org/a.js"></script>'
        '<a href="https://github.com/facekit/facekit/blob/main/README.md">5</a>'
        '<a href="https://github.com/facekit/facekit/blob/main/no.md">6</a>'
    )
    (tmp_path / "b.html").write_text("<style>@font-face { src: url('http://a.org/f') }</style>")
    assert sorted(find_faults(tmp_path)) == [
        "a.html: b.html#there: no such anchor",
        "a.html: c.html: no such file",
        "a.html: https://github.com/facekit/facekit/blob/main/no.md: no such file in the "
        "repository",
        "a.html: loads //example.org/a.png",
        "a.html: loads https://example.org/a.js",
        "b.html: loads http://a.org/f",
    ]


def read_commands(page: Path) -> list[list[str]]:
    """Return the arguments of each `facekit` command in a page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line[line.index("facekit") + 1 :] for line in lines if "facekit" in line]


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_commands_exist(page) -> None:
    from facekit.commands import main

    commands = read_commands(page)
    assert commands
    for arguments in commands:
        command, rest = main, arguments
        while isinstance(command, click.Group):
            _, command, rest = command.resolve_command(click.Context(command), rest)
        command.make_parser(click.Context(command)).parse_args(
            list(rest)
        )  # an unknown option fails
