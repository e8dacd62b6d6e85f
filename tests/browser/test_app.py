"""The page as `facekit app` serves it: a process of its own, a real Voila, a real Chromium."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("voila", reason="Voila is not installed: pip install 'facekit[notebooks]'")

TOKEN = "open-sesame"
START_SECONDS = 120  # of the server, and of a page's kernel, on a busy machine
SCREENSHOTS = os.environ.get("FACEKIT_SCREENSHOTS")


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., str]]:
    """Return a function that runs `facekit app` with arguments, and returns its address."""
    started = []

    def start(*arguments) -> str:
        with socket.socket() as finder:
            finder.bind(("127.0.0.1", 0))
            port = finder.getsockname()[1]
        command = [
            sys.executable,
            "-c",
            "from facekit.commands import main; main()",
            "app",
            *map(str, arguments),
        ]
        with (tmp_path / "log").open("w") as log:
            options = ["--port", str(port), "--token", TOKEN, "--no-browser"]
            started.append(subprocess.Popen([*command, *options], stdout=log, stderr=log))
        url = f"http://localhost:{port}"
        end = time.monotonic() + START_SECONDS
        while not answers(url):
            assert started[-1].poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.3)
        return url

    yield start
    for server in started:
        server.terminate()
        server.wait(30)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/?token={TOKEN}x", timeout=30).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture
def visit(chromium) -> Iterator[Callable]:
    """Return a function that opens a page of the app, with camera."""
    opened = []

    def open_(url: str, size: tuple[int, int] = (1240, 1000)):
        opened.append(chromium.new_context(viewport={"width": size[0], "height": size[1]}))
        opened[-1].grant_permissions(["camera"], origin=url)
        page = opened[-1].new_page()
        page.goto(f"{url}/?token={TOKEN}")
        page.wait_for_selector(".app-board", timeout=START_SECONDS * 1000)
        return page

    yield open_
    for context in opened:
        context.close()


def take_screenshot(page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS, f"{name}.png"))


def test_a_camera_on_a_phone(serve, visit):
    url = serve()
    for address in (url, f"{url}/api/kernels"):  # without the token
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.url.startswith(f"{url}/login")
    page = visit(url, (390, 844))
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    take_screenshot(page, "app-start")
    page.get_by_role("button", name="Start").click()
    card = page.locator(".app-card:not([data-unsure])").first
    card.wait_for(timeout=60_000)
    text = card.inner_text()
    assert "happiness" in text
    for label, attribute in (("years", "age"), ("female", "gender")):
        assert label in text or attribute in card.locator(".app-unsure").inner_text()
    assert "%" not in text
    page.wait_for_function(
        "document.querySelector('.app-total strong').textContent === '1'", timeout=30_000
    )
    assert "Nothing is stored" in page.locator(".facekit-notice-privacy:visible").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not page.get_by_role("button", name="Record").is_visible()
    take_screenshot(page, "app-phone")
    page.set_viewport_size({"width": 1240, "height": 1000})
    page.wait_for_timeout(1000)
    take_screenshot(page, "app-wide")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("heading", name="Nobody in view").wait_for(timeout=30_000)
    assert [
        address for address in requested if not address.startswith((url, "blob:", "data:", "ws"))
    ] == []


def test_a_folder_and_what_is_not_sure(serve, visit, portraits, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(portraits["group.jpg"]).save(folder / "group.jpg")
    page = visit(serve(folder, "--theme", "dark"))
    page.wait_for_selector(".app-card", timeout=60_000)
    cards = page.locator(".app-card").all_inner_texts()
    assert len(cards) == 6
    assert any("not sure" in text for text in cards)
    assert all("%" not in text for text in cards)
    assert page.locator(".app-total").inner_text() == "6 faces"
    happy = sum("happiness" in text for text in cards)
    [emotions] = page.locator(".app-counts > div", has_text="Emotion: sure of").all()
    assert emotions.locator("[data-emotion=happiness]").inner_text().split() == [
        "happiness",
        str(happy),
    ]
    assert page.locator("figcaption").inner_text() == "group.jpg"
    take_screenshot(page, "app-folder-dark")
    (folder / "cut.jpg").write_bytes((folder / "group.jpg").read_bytes()[:9000])
    page.locator(".facekit-notice-unsure", has_text="cut.jpg").wait_for(timeout=30_000)
    assert page.locator(".app-card").count() == 6
    take_screenshot(page, "app-folder-broken")
