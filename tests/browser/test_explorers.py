"""Explorers as somebody meets them who hears the page and has no mouse."""

import pytest

PREPARE = """import pandas as pd
import facekit
from facekit.demo import load_portraits
from facekit.fusion import load_constants
from facekit.registry import get_models_dir
from facekit.widgets import explorers, fusion
portrait = load_portraits()["group.jpg"]
folder = get_models_dir()
names = ("age", "gender")
tables = {name: pd.read_parquet(folder / name / "predictions.parquet") for name in names}
answers = facekit.FaceAnalyzer().infer(portrait, facekit.detect_faces(portrait)[[0]])"""
CELLS = (
    "explorers.explore_cascade(portrait)",
    "explorers.explore_threshold(tables['gender'], 'male')",
    "explorers.explore_age_classes(tables['age'])",
    "fusion.explore_confidence(answers, load_constants())",
)


@pytest.mark.parametrize(("theme", "width"), [("light", 1000), ("dark", 420)])
def test_sliders_have_names_and_move_figures(open_notebook, theme, width):
    notebook = open_notebook([PREPARE, *CELLS], theme=theme, camera=False, size=(width, 2600))
    notebook.run_all()
    page = notebook.page
    page.get_by_text("always the most frequent class").wait_for(timeout=60_000)
    page.get_by_text("Confidence 0").wait_for(timeout=60_000)
    notebook.take_screenshot(f"explorers-{theme}-{width}")
    slider = page.get_by_role("slider", name="threshold", exact=True)
    assert slider.input_value() == "0.5"
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_text("At threshold 0.53").wait_for(timeout=60_000)
    page.get_by_role("combobox", name="label").select_option("female")
    page.get_by_text("are predicted as female").wait_for(timeout=60_000)
    page.get_by_role("combobox", name="ranges").select_option("stages")
    page.get_by_text("5 classes").wait_for(timeout=60_000)
    years = page.get_by_role("textbox", name="first years")
    assert years.input_value() == "0, 13, 20, 40, 60"
    years.fill("0, 18")
    years.press("Enter")
    page.get_by_text("2 classes").wait_for(timeout=60_000)
    page.get_by_role("slider", name="smallest face").fill("100")
    page.get_by_text("MTCNN(min_face_size=100").wait_for(timeout=60_000)
    names = [
        slider.get_attribute("aria-label") or slider.evaluate("node => node.labels[0].innerText")
        for slider in page.get_by_role("slider").all()
    ]
    assert names == [
        "smallest face", "P-Net threshold", "R-Net threshold", "O-Net threshold", "threshold",
        "weight of age", "weight of gender", "weight of emotion",
    ]  # fmt: skip
    assert notebook.errors == []


def test_the_still_picture_is_not_shown_beside_the_sliders(open_notebook):
    notebook = open_notebook([PREPARE, CELLS[1]], camera=False)
    notebook.run_all()
    page = notebook.page
    page.get_by_text("At threshold 0.50").wait_for(timeout=60_000)
    assert page.locator(".jp-OutputArea-output img").count() == 1  # the explorer's own
    assert page.get_by_role("slider").count() == 1
    assert notebook.errors == []
