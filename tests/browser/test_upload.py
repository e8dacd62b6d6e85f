"""The upload widget in a notebook: good and broken files, mouse, keyboard, clipboard."""

import csv
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facekit.faces import COLUMNS
from facekit.images import decode_image, read_image

SHOW = "from facekit.widgets.upload import UploadAnalyzer\nupload = UploadAnalyzer()\nupload"
ANALYSED = """(count) => count === document.querySelectorAll(
    ".facekit-picture:is([data-state=done], [data-state=error])"
).length"""


@pytest.fixture(scope="module")
def files(portraits, tmp_path_factory) -> dict[str, Path]:
    """Four good pictures, three that cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    files = {
        name: folder / name
        for name in (*portraits, "plain.png", "cut.jpg", "empty.png", "notes.txt")
    }
    for name, pixels in portraits.items():
        Image.fromarray(pixels).save(files[name])
    Image.fromarray(np.full((400, 600, 3), (90, 140, 120), np.uint8)).save(files["plain.png"])
    files["cut.jpg"].write_bytes(files["group.jpg"].read_bytes()[:9000])
    files["empty.png"].touch()
    files["notes.txt"].write_text("no picture")
    return files


def choose(page, *files: Path) -> None:
    before = page.locator(".facekit-picture").count()
    page.set_input_files(".facekit-upload input[type=file]", files)
    wait(page, before + len(files))


def wait(page, count: int) -> None:
    page.wait_for_function(ANALYSED, arg=count, timeout=120_000)


@pytest.mark.parametrize(("theme", "width"), [("light", 1100), ("dark", 1100), ("light", 400)])
def test_good_and_broken_files(open_notebook, files, theme, width):
    notebook = open_notebook([SHOW], theme=theme, size=(width, 2300))
    notebook.run_all()
    page = notebook.page
    notebook.take_screenshot(f"upload-empty-{theme}-{width}")
    page.set_input_files(".facekit-upload input[type=file]", list(files.values()))
    page.wait_for_selector(".facekit-picture[data-state=done]", timeout=60_000)
    notebook.take_screenshot(f"upload-working-{theme}-{width}")
    wait(page, len(files))
    assert (
        page.get_by_role("status").first.inner_text()
        == "7 pictures · 8 faces · 3 could not be read"
    )
    names = page.locator(".facekit-name").all_inner_texts()
    assert names == list(files)
    broken = page.locator(".facekit-picture[data-state=error]").all_inner_texts()
    assert [text.split(":")[0] for text in broken] == ["cut.jpg", "empty.png", "notes.txt"]
    assert page.locator(".facekit-table tbody tr").count() == 8
    assert notebook.ask("[picture.name for picture in upload.value]") == str(list(files))
    notebook.take_screenshot(f"upload-done-{theme}-{width}")
    page.locator(".facekit-spot").first.click()
    page.wait_for_selector(".facekit-face[open]")
    rows = page.locator(".facekit-table tbody tr").all_inner_texts()
    assert any("not sure" in text for text in rows)
    assert all("%" not in text for text in rows)  # the confidence is no probability
    page.wait_for_timeout(300)
    notebook.take_screenshot(f"upload-face-{theme}-{width}")
    page.keyboard.press("Escape")
    assert notebook.errors == []


def test_downloads_and_a_second_view(open_notebook, files):
    notebook = open_notebook([SHOW, "upload"])
    notebook.run_all()
    page = notebook.page
    first, second = page.locator(".facekit-upload").all()
    page.set_input_files(
        ".facekit-upload >> nth=0 >> input[type=file]", [files["group.jpg"], files["cut.jpg"]]
    )
    page.wait_for_function(ANALYSED, arg=4, timeout=60_000)  # both views show both
    saved = {}
    drawing = "Download group.jpg annotated, as PNG"
    for name in ("Download the table as CSV", "Download the table as JSON", drawing, drawing):
        with page.expect_download() as download:
            first.get_by_role("button", name=name).click()
        saved[download.value.suggested_filename] = Path(download.value.path()).read_bytes()
    assert list(saved) == ["faces.csv", "faces.json", "group-annotated.png"]
    rows = list(csv.DictReader(saved["faces.csv"].decode().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(json.loads(saved["faces.json"])) == 6
    assert (
        decode_image(saved["group-annotated.png"], "drawn").shape
        == read_image(files["group.jpg"]).shape
    )
    assert (
        second.get_by_role("button", name="Download group.jpg annotated, as PNG").count() == 0
    )  # the file is not in this view's hands
    second.get_by_role("button", name="Remove cut.jpg").click()
    page.wait_for_function(ANALYSED, arg=2)
    assert notebook.ask("[picture.name for picture in upload.value]") == "['group.jpg']"
    assert notebook.errors == []


def test_the_keyboard_alone(open_notebook, files):
    notebook = open_notebook([SHOW, "1 + 1"], size=(1100, 1600))
    notebook.run_all()
    page = notebook.page
    choose(page, files["group.jpg"])
    focused = "document.activeElement.ariaLabel ?? document.activeElement.textContent"
    page.locator(".facekit-upload").focus()
    met = []
    for _ in range(12):
        page.keyboard.press("Tab")
        met.append(page.evaluate(focused))
    assert met[:5] == [
        "Choose pictures",
        "Paste",
        "Download the table as CSV",
        "Download the table as JSON",
        "Remove all pictures",
    ]
    assert [text.split(":")[0] for text in met[5:11]] == [f"Face {face}" for face in range(6)]
    page.keyboard.press("Shift+Tab")
    notebook.take_screenshot("upload-focus")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.locator("h2").inner_text() == "Face 5 of group.jpg"
    page.keyboard.press("ArrowLeft")
    assert dialog.locator("h2").inner_text() == "Face 4 of group.jpg"
    page.keyboard.type("xdd")  # JupyterLab's own keys, which would cut the cell and delete it
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    assert page.evaluate(focused).startswith("Face 5")
    assert page.locator(".jp-CodeCell").count() == 2


MAKE_FILE = """async ([type, event, path]) => {
    const pixels = await (await fetch(path)).blob();
    const transfer = new DataTransfer();
    transfer.items.add(new File([pixels], "image.png", { type: "image/png" }));
    const name = type === "ClipboardEvent" ? "clipboardData" : "dataTransfer";
    const options = { bubbles: true, cancelable: true, [name]: transfer };
    const title = document.querySelector(".facekit-upload .facekit-title");
    title.dispatchEvent(new window[type](event, options));
}"""


def test_dropped_and_pasted(open_notebook, files, lab):
    notebook = open_notebook([SHOW])
    notebook.run_all()
    page = notebook.page
    (lab.folder / "portrait.png").write_bytes(files["astronaut.png"].read_bytes())
    for count, (kind, event) in enumerate((("DragEvent", "drop"), ("ClipboardEvent", "paste")), 1):
        page.evaluate(MAKE_FILE, [kind, event, "/files/portrait.png"])
        wait(page, count)
    assert page.locator(".facekit-name").all_inner_texts() == ["image.png", "image (2).png"]
    assert page.get_by_role("status").first.inner_text() == "2 pictures · 2 faces"


def test_a_kernel_that_was_restarted(open_notebook, files):
    notebook = open_notebook([SHOW])
    notebook.run_all()
    page = notebook.page
    choose(page, files["plain.png"])
    notebook.command("kernelmenu:restart")
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.wait_for_timeout(3000)
    page.set_input_files(".facekit-upload input[type=file]", files["astronaut.png"])
    page.get_by_text(
        "astronaut.png: not analysed. The kernel stopped or was restarted: run this cell again."
    ).wait_for(timeout=30_000)
    notebook.take_screenshot("upload-restarted")
    notebook.run_all()
    page.wait_for_function(
        "document.querySelectorAll('.facekit-picture').length === 0", timeout=60_000
    )
    choose(page, files["astronaut.png"])
    assert page.get_by_role("status").first.inner_text() == "1 picture · 1 face"


def test_large_pictures_freeze_neither_kernel_nor_page(open_notebook, portraits, tmp_path):
    large = [tmp_path / f"{index}.jpg" for index in range(int(os.environ.get("FACEKIT_LARGE", 2)))]
    for path in large:
        Image.fromarray(portraits["group.jpg"]).resize((4000, 3000)).save(path, quality=92)
    notebook = open_notebook([SHOW])
    notebook.run_all()
    page = notebook.page
    page.evaluate(
        "window.longest = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "({ duration }) => window.longest = Math.max(longest, duration)"
        ")).observe({ type: 'longtask' })"
    )
    page.set_input_files(".facekit-upload input[type=file]", large)
    begin = time.monotonic()
    waits, memory = [], []
    while page.locator(".facekit-picture[data-state=done]").count() < len(large):
        asked = time.monotonic()
        memory.append(int(notebook.ask("open('/proc/self/statm').read().split()[1]")) * 4096 / 1e6)
        waits.append(time.monotonic() - asked)
        page.wait_for_timeout(500)
    took = time.monotonic() - begin
    print(
        f"\n{len(large)} pictures of 12 megapixels took {took:.0f} s; "
        f"longest task of the page: {page.evaluate('longest'):.0f} ms"
    )
    print(
        f"the kernel answered after {np.median(waits):.3f} s (median), {max(waits):.2f} s (longest)"
    )
    print(
        "its memory, MB, from begin to end:",
        [round(value) for value in memory[:: max(len(memory) // 10, 1)]],
    )
    assert page.locator(".facekit-table tbody tr").count() == 6 * len(large)
    assert np.median(waits) < took / len(large)
