"""Measure the live view in JupyterLab and Chromium, with a portrait in the fake camera: frames a
second, and how old they are.

All that it takes runs on the same machine: camera, browser, server, kernel, networks. For each form
    it prints frames a second, the
latency from a frame's capture to its boxes in the page, and the kernel's processor time a frame.
The browser is that of the tests.
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
        "| transport | frames a second | latency, ms | processor time a frame, ms |\n|---|---|---|---|",
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
