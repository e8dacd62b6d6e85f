"""Measure the time and peak memory of a cold `facekit analyze` of one photo, beside TensorFlow's.

Each command runs in a fresh process, in turn, `--runs` times; the least of each is shown, because
other programs can only make it slower. This process itself imports nothing large, because Linux
counts a parent's memory as its child's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; return its seconds and its peak memory in megabytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed with status {status}.")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        facekit = str(Path(sys.executable).with_name("facekit"))
        subprocess.run([facekit, "demo", "--output", folder], check=True, stdout=subprocess.DEVNULL)
        commands = {
            "facekit analyze, one photo": [facekit, "analyze", str(Path(folder, "astronaut.jpg"))],
            "import facekit": [sys.executable, "-c", "import facekit"],
            "import tensorflow": [sys.executable, "-c", "import tensorflow"],
        }
        results = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                results[name].append(measure(command))
    print("| command | seconds | megabytes |\n|---|---|---|")
    for name, measured in results.items():
        seconds, megabytes = (min(column) for column in zip(*measured, strict=True))
        print(f"| {name} | {seconds:.2f} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
