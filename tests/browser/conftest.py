"""A real JupyterLab in a real Chromium, with a film in place of the camera.

    def test_mine(open_notebook):
        notebook = open_notebook(["from facekit.widgets.upload import UploadAnalyzer", CELL])
        notebook.run_all()
        notebook.page.get_by_role("button", name="Choose").click()  # the page, of Playwright
        assert notebook.ask("len(upload.value)") == "1"             # the notebook's kernel
        notebook.take_screenshot("upload")   # saved in FACEKIT_SCREENSHOTS, if that is set

Chromium is Debian's (`apt-get install chromium`), found on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest

TOKEN = "facekit"
START_SECONDS = 180  # of JupyterLab, on a busy machine
RUN_SECONDS = 180  # of a notebook
SCREENSHOTS = os.environ.get("FACEKIT_SCREENSHOTS")
FRAME_SIZE = (640, 480)  # pixels, of the camera
# Whether the notebook that is open can be run, and whether it was.
READY = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    const kernel = panel?.sessionContext?.session?.kernel;
    return panel?.context?.isReady && panel.sessionContext.isReady && kernel?.status === "idle"
        && panel.content.widgets.length > 0;
}"""
RAN = """() => window.jupyterapp.shell.currentWidget.content.widgets.every(
    (cell) => cell.model.type !== "code" || cell.model.executionCount !== null
)"""
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def pytest_collection_modifyitems(items) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@dataclass(frozen=True)
class Lab:
    """A running server: its address and its folder of notebooks."""

    url: str
    folder: Path
    settings: Path
    runtime: Path


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab on a free port of the loopback, with nobody's settings."""
    pytest.importorskip(
        "jupyterlab", reason="JupyterLab is not installed: pip install 'facekit[notebooks]'"
    )
    home = tmp_path_factory.mktemp("jupyter")
    lab = Lab(
        f"http://127.0.0.1:{_find_free_port()}",
        home / "notebooks",
        home / "settings",
        home / "runtime",
    )
    lab.folder.mkdir()
    set_lab(lab, "apputils-extension/notification", fetchNews="false", checkForUpdates=False)
    set_lab(lab, "docmanager-extension/plugin", autosave=False)
    folders = {
        "JUPYTER_CONFIG_DIR": home / "config", "JUPYTER_RUNTIME_DIR": lab.runtime,
        "JUPYTER_DATA_DIR": home / "data", "JUPYTERLAB_SETTINGS_DIR": lab.settings,
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces", "IPYTHONDIR": home / "ipython",
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        "--allow-root",
        "--LabApp.expose_app_in_browser=True",
    ]
    address = [
        f"--port={lab.url.rpartition(':')[2]}",
        "--port-retries=0",
        f"--IdentityProvider.token={TOKEN}",
    ]
    environment = os.environ | {name: str(folder) for name, folder in folders.items()}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, *address, f"--ServerApp.root_dir={lab.folder}"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(
            lambda: _get(f"{lab.url}/api?token={TOKEN}"),
            START_SECONDS,
            f"JupyterLab: {(home / 'log').read_text()}",
        )
        yield lab
    finally:
        server.terminate()
        server.wait(30)


def set_lab(lab: Lab, plugin: str, **settings) -> None:
    """Set a setting of JupyterLab for the pages that are opened next."""
    path = lab.settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))


@pytest.fixture(scope="session")
def camera_film(tmp_path_factory, portraits) -> Path:
    """What the camera sees unless a test says otherwise: a portrait that sways."""
    return make_camera_film(
        tmp_path_factory.mktemp("camera") / "portrait.mjpeg", portraits["astronaut.png"]
    )


def make_camera_film(
    path: Path, portrait: np.ndarray, frames: int = 50, sway: float = 0.05
) -> Path:
    """Write a film that Chromium plays as its camera, again and again: JPEG pictures one after the
    other.

    Args:
        path: Where to, `.mjpeg`.
        portrait: HxWx3 RGB uint8.
        frames: How many.
        sway: How far it moves to either side, as a share of the width.
    """
    width, height = FRAME_SIZE
    side = max(width, height)
    portrait = cv2.resize(
        portrait[..., ::-1],
        (side, round(side * portrait.shape[0] / portrait.shape[1])),
        interpolation=cv2.INTER_AREA,
    )
    with path.open("wb") as file:
        for angle in np.linspace(0, 2 * np.pi, frames, endpoint=False):
            shift = np.float32([[1, 0, sway * width * np.sin(angle)], [0, 1, 0]])
            frame = cv2.warpAffine(portrait, shift, FRAME_SIZE, borderMode=cv2.BORDER_REPLICATE)
            file.write(cv2.imencode(".jpg", frame)[1].tobytes())
    return path


@pytest.fixture(scope="session")
def launch_chromium() -> Iterator[Callable]:
    """Return a function that starts Chromium with a film as its camera, or two test cameras."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install 'facekit[dev]'"
    )
    executable = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if not executable:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    started = []
    with sync_api.sync_playwright() as playwright:

        def launch(film: Path | None = None):
            device = "--use-fake-device-for-media-stream"
            options = (
                [device, f"--use-file-for-fake-video-capture={film}"]
                if film
                else [f"{device}=device-count=2"]
            )
            started.append(
                playwright.chromium.launch(
                    executable_path=executable, args=[*options, "--no-sandbox"]
                )
            )
            return started[-1]

        yield launch
        for browser in started:
            browser.close()


@pytest.fixture(scope="session")
def chromium(launch_chromium, camera_film):
    """A Chromium whose camera shows `camera_film`."""
    return launch_chromium(camera_film)


@pytest.fixture
def open_notebook(chromium, lab) -> Iterator[Callable]:
    """Return a function that opens a notebook with cells, and close it after the test."""
    opened = []

    def open_(
        cells: Sequence[str],
        *,
        theme: str = "light",
        camera: bool = True,
        browser=None,
        size: tuple[int, int] = (1100, 1000),
    ):
        set_lab(lab, "apputils-extension/themes", theme=THEMES[theme])
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
            },
        )
        name = f"notebook-{time.monotonic_ns()}.ipynb"
        nbformat.write(book, lab.folder / name)
        context = (browser or chromium).new_context(viewport={"width": size[0], "height": size[1]})
        if camera:
            context.grant_permissions(["camera"], origin=lab.url)
        notebook = Notebook(lab, name, context.new_page())
        opened.append(notebook)
        notebook.open()
        return notebook

    yield open_
    for notebook in opened:
        notebook.close()


@dataclass
class Notebook:
    """A notebook in the browser.

    Attributes:
        lab: Where.
        name: Of its file.
        page: Playwright's.
        errors: What the page's scripts threw.
    """

    lab: Lab
    name: str
    page: object
    errors: list[str] = field(default_factory=list)
    _client: object = None

    def open(self) -> None:
        """Load the page and wait for the kernel."""
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{self.lab.url}/doc/tree/{self.name}?token={TOKEN}")
        self.page.wait_for_function(READY, timeout=RUN_SECONDS * 1000)
        self.page.evaluate("async () => { await window.jupyterapp.restored; }")
        self._client = (
            self._client or self._connect()
        )  # waits until the kernel is silent, which with a live view it never is

    def run_all(self, wait: bool = True) -> None:
        """Run all cells; wait for the last of them."""
        self.command("notebook:run-all-cells")
        if wait:
            self.page.wait_for_function(RAN, timeout=RUN_SECONDS * 1000)

    def command(self, name: str) -> None:
        """Run a command of JupyterLab, such as `kernelmenu:restart`, without waiting for it."""
        self.page.evaluate("(name) => { window.jupyterapp.commands.execute(name); }", name)

    def ask(self, expression: str) -> str:
        """Return what an expression is in the notebook's kernel, as `print` shows it.

        Raises:
            RuntimeError: If it fails there.
        """
        return self.run(f"print({expression})").strip()

    def run(self, code: str) -> str:
        """Run code in the notebook's kernel, beside the page; return what it prints.

        Raises:
            RuntimeError: If it fails there.
        """
        printed = []

        def hear(message) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self._client.execute_interactive(
            code, output_hook=hear, timeout=RUN_SECONDS, store_history=False
        )
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"]["traceback"]))
        return "".join(printed)

    def take_screenshot(self, name: str, selector: str = "") -> None:
        """Save a picture of the page, or of a selector's first element, in FACEKIT_SCREENSHOTS."""
        if SCREENSHOTS:
            shown = self.page.locator(selector).first if selector else self.page
            shown.screenshot(path=Path(SCREENSHOTS, f"{name}.png"))

    def close(self) -> None:
        """Close the page and end the kernel."""
        if self._client:
            self._client.stop_channels()
        self.page.context.close()
        for session in json.loads(_get(f"{self.lab.url}/api/sessions?token={TOKEN}")):
            if session["path"] == self.name:
                request = urllib.request.Request(
                    f"{self.lab.url}/api/sessions/{session['id']}?token={TOKEN}", method="DELETE"
                )
                urllib.request.urlopen(request, timeout=30).close()

    def _connect(self):
        from jupyter_client import BlockingKernelClient

        sessions = json.loads(_get(f"{self.lab.url}/api/sessions?token={TOKEN}"))
        kernel = next(
            session["kernel"]["id"] for session in sessions if session["path"] == self.name
        )
        client = BlockingKernelClient(
            connection_file=str(self.lab.runtime / f"kernel-{kernel}.json")
        )
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=RUN_SECONDS)
        return client


def _find_free_port() -> int:
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return finder.getsockname()[1]


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def _wait_for(action: Callable, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            return action()
        except OSError:
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s for {what}") from None
            time.sleep(0.3)
