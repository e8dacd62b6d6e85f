"""The labeler as somebody meets it who has no mouse."""

from pathlib import Path

import pytest
from PIL import Image

from facekit.datasets.manifest import load_manifest

SHOW = """from facekit.widgets.labeler import Labeler
labeler = Labeler({source}, {path!r}, {attributes!r})
labeler"""


@pytest.fixture
def photos(portraits, tmp_path) -> Path:
    """Photos of one face, of six, and of one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    small = portraits["astronaut.png"][::2, ::2]
    for name, pixels in (
        ("a.png", portraits["astronaut.png"]),
        ("b.png", portraits["group.jpg"]),
        ("c.png", small),
    ):
        Image.fromarray(pixels).save(folder / name)
    return folder


def wait_for(page, text: str) -> None:
    page.wait_for_function(
        "(text) => document.querySelector('.facekit-labeler h3').textContent === text",
        arg=text,
        timeout=30_000,
    )
    page.wait_for_function("() => !document.querySelector('.facekit-waiting')", timeout=30_000)
    page.wait_for_timeout(200)


def wait_for_state(page, state: str) -> None:
    page.wait_for_function(
        "(state) => document.querySelector('.facekit-labeler .facekit-badge').textContent"
        " === state",
        arg=state,
    )


@pytest.mark.parametrize(("theme", "width"), [("light", 1100), ("dark", 420)])
def test_the_keyboard_alone(open_notebook, photos, tmp_path, theme, width):
    path = tmp_path / "mine.parquet"
    code = SHOW.format(
        source=repr(str(photos)), path=str(path), attributes=("age", "gender", "emotion")
    )
    notebook = open_notebook([code, "1 + 1"], theme=theme, size=(width, 1000))
    notebook.run_all()
    page = notebook.page
    wait_for(page, "Face 1 of 8")
    cells = page.locator(".jp-Cell").count()
    page.locator(".facekit-labeler").focus()
    for key in "34fh":
        page.keyboard.press(key)
    page.get_by_role("button", name="happiness", pressed=True).wait_for()
    notebook.take_screenshot(f"labeler-labelled-{theme}-{width}")
    row = load_manifest(path).iloc[0]
    assert (row["age"], row["gender"], row["emotion"]) == (34, "female", "happiness")
    page.keyboard.press("Enter")
    wait_for(page, "Face 2 of 8")
    page.keyboard.press("Enter")  # nothing to accept
    page.get_by_text("This face has no label yet").first.wait_for()
    notebook.take_screenshot(f"labeler-message-{theme}-{width}")
    page.keyboard.press("x")  # which would cut the cell, were it the notebook's
    wait_for(page, "Face 3 of 8")
    page.keyboard.press("k")
    wait_for(page, "Face 4 of 8")
    page.keyboard.press("z")
    wait_for(page, "Face 3 of 8")
    (photos / "c.png").write_bytes(b"broken since")
    for number in range(3, 8):
        page.keyboard.press("m")
        wait_for_state(page, "labelled")
        page.keyboard.press("Enter")
        wait_for(page, f"Face {number + 1} of 8")
    page.get_by_text("is not a picture that can be read").first.wait_for()
    notebook.take_screenshot(f"labeler-broken-{theme}-{width}")
    page.keyboard.press("k")
    wait_for(page, "All 8 faces are done")
    notebook.take_screenshot(f"labeler-done-{theme}-{width}")
    manifest = load_manifest(path)
    assert manifest["gender"].fillna("").tolist() == [
        "female",
        "",
        "male",
        "male",
        "male",
        "male",
        "male",
        "",
    ]
    assert manifest["split"].tolist()[1] == "excluded"
    assert page.locator(".jp-Cell").count() == cells
    page.keyboard.press("ArrowLeft")
    wait_for(page, "Face 8 of 8")
    assert notebook.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_proposals_two_views_and_resuming(open_notebook, photos, tmp_path, theme):
    path = tmp_path / "mine.parquet"
    photo = str(photos / "b.png")
    analyze = (
        f"import facekit\nanalysis = facekit.analyze({photo!r}, attributes=facekit.ATTRIBUTES)\n"
    )
    code = analyze + SHOW.format(
        source="analysis", path=str(path), attributes=("age", "gender", "emotion", "ethnicity")
    )
    notebook = open_notebook([code, "labeler"], theme=theme, size=(1100, 1500))
    notebook.run_all()
    page = notebook.page
    wait_for(page, "Face 1 of 6")
    notebook.take_screenshot(f"labeler-proposed-{theme}")
    page.locator(".facekit-labeler").first.focus()
    for _ in range(30):  # to the button that accepts, by Tab alone
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent").endswith("Accept"):
            break
    page.keyboard.press("Enter")
    wait_for(page, "Face 2 of 6")
    assert page.locator(".facekit-labeler h3").all_inner_texts() == ["Face 2 of 6"] * 2
    saved = load_manifest(path)
    assert len(saved) == 1
    assert saved[["age", "gender", "emotion", "ethnicity"]].notna().all(axis=None)
    notebook.run("labeler = Labeler(analysis, labeler.file, facekit.ATTRIBUTES)")
    assert notebook.ask("labeler.position") == "1"
    assert notebook.errors == []
