"""Measure frame rate and latency of the live view in JupyterLab and Chromium, with a fake camera.

Camera, browser, server, kernel and networks run on the same machine; the camera shows a portrait.
For each transport it prints frames per second, the latency from the capture of a frame to its boxes
on the page, and the kernel's processor time per frame. The browser is the one that the tests use.
"""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests" / "browser" / "test_webcam.py"


def main() -> None:
    """Print the table."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(TESTS),
        "-k",
        "test_pace",
        "-s",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    print(
        "| transport | frames per second | latency, ms | processor time per frame, ms |\n"
        "|---|---|---|---|",
        flush=True,
    )
    tests = subprocess.run(
        command,
        env=os.environ | {"FACEKIT_BENCHMARK": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print("\n".join(line for line in tests.stdout.splitlines() if line.startswith("| ")))
    sys.exit(tests.stdout if tests.returncode else 0)


if __name__ == "__main__":
    main()
