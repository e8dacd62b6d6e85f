"""Compare the loss weightings on age, gender and ethnicity over several seeds.

Each run trains the small network of the course `faces` on UTKFace and All-Age-Faces. All-Age-Faces
has no ethnicity; its rows are masked for this task. A seed chooses the splits, the first weights of
the network and the order of the faces, and is the same for all weightings, so that differences can
be taken in pairs. The two weightings with a branch start from the weights that `search` found with
the same seed, as in the second paper, if this run comes before them. Run it from the checkout:

    python benchmarks/loss_weighting.py --data data/raw --output runs/loss_weighting.csv
    python benchmarks/loss_weighting.py --output runs/loss_weighting.csv --table

After each run its figures are added to the output, one row per task. Started again, it skips the
runs that are there and resumes one that was interrupted. The run's own files, with the weights over
its steps, are in the folder beside the output that has its name.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

# Set before TensorFlow is imported, so that only the table is printed.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import keras
import numpy as np
import pandas as pd
from scipy import stats

from facekit.datasets.adapters import read_dataset
from facekit.datasets.manifest import save_manifest
from facekit.evaluation.markdown import make_markdown
from facekit.files import replace_file
from facekit.images import normalise
from facekit.training.course import COURSES, Course, begin_network
from facekit.training.data import DataChoice, check_splits, load_data
from facekit.training.loop import LabelledCrops, TrainingConfig, train_model
from facekit.training.loss_weighting import LOSS_WEIGHTINGS, MultiTaskModel
from facekit.training.tasks import find_labelled

SOURCES = ("utkface", "all_age_faces")
BASELINE = "fixed"
STARTED_FROM_SEARCH = ("joint_dynamic", "joint_dynamic_fixed")
KEY = ["weighting", "seed", "epochs", "faces"]  # what makes a run another run
COLUMNS = [*KEY, "task", "figure", "validation", "test", "seconds", "final_weight"]
LEVEL = 0.95


def load_splits(
    course: Course, folder: Path, runs: Path, seed: int, faces: int
) -> dict[str, LabelledCrops]:
    """Return the crops of each split; `faces` of each dataset, drawn at random, or all if 0."""
    choice = DataChoice(folder, course.sources)
    if faces:
        chosen = [read_dataset(name, folder, seed) for name in course.sources]
        chosen = [each.sample(min(faces, len(each)), random_state=0) for each in chosen]
        own = runs / f"faces-{faces}-{seed}"
        save_manifest(pd.concat(chosen, ignore_index=True), own / "faces.parquet")
        choice = DataChoice(own, manifest=own / "faces.parquet")
    manifest, crops, _ = load_data(course, choice, seed)
    check_splits(manifest, course.tasks, ("train", "validation", "test"))
    splits = {}
    for split in ("train", "validation", "test"):
        rows = (manifest["split"] == split).to_numpy()
        targets = {task.name: task.encode(manifest[rows]) for task in course.tasks}
        weights = {task.name: task.weigh(targets[task.name], 0) for task in course.tasks}
        splits[split] = LabelledCrops(crops[rows], targets, weights)
    return splits


def measure_figures(network: keras.Model, course: Course, data: LabelledCrops) -> dict[str, float]:
    """Return the figure of each task over the rows that have its label."""
    answers = network.predict(normalise(data.crops), batch_size=256, verbose=0)
    figures = {}
    for task in course.tasks:
        known = find_labelled(data.targets[task.name])
        values = task.metric(data.targets[task.name][known], answers[task.name][known])
        figures[task.name] = float(np.mean(values))
    return figures


def run_weighting(
    course: Course,
    splits: dict[str, LabelledCrops],
    config: TrainingConfig,
    start: dict[str, float] | None,
    run: Path,
) -> list[dict]:
    """Train once and return one row of figures per task."""
    keras.utils.set_random_seed(config.seed)
    began = time.perf_counter()
    network = begin_network(course)
    model = MultiTaskModel(network, course.loss_weighting, start)
    train_model(model, course, splits["train"], splits["validation"], config, run, quiet=True)
    seconds = time.perf_counter() - began
    validation, test = (
        measure_figures(network, course, splits[split]) for split in ("validation", "test")
    )
    last = pd.read_csv(run / "history.csv").iloc[-1]
    return [
        {
            "task": task.name,
            "figure": task.metric.__name__,
            "validation": validation[task.name],
            "test": test[task.name],
            "seconds": round(seconds),
            "final_weight": last[f"weight_{task.name}"],
        }
        for task in course.tasks
    ]


def compute_interval(values: np.ndarray) -> str:
    """Return the mean and its 95% interval by Student's t; only the mean of one value."""
    if len(values) < 2:
        return f"{values.mean():.4f}" if len(values) else ""
    half = stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * stats.sem(values)
    return f"{values.mean():.4f} ± {half:.4f}"


def tabulate(table: pd.DataFrame) -> str:
    """Return the figures as Markdown: means over seeds, and differences to `fixed` in pairs."""
    rows = []
    for (epochs, faces, task), part in table.groupby(["epochs", "faces", "task"], sort=False):
        test = part.pivot(index="seed", columns="weighting", values="test")
        for name in (name for name in LOSS_WEIGHTINGS if name in test):
            own = part[part["weighting"] == name]
            pairs = test[name] - test[BASELINE] if BASELINE in test else pd.Series(dtype=float)
            rows.append(
                {
                    "epochs": epochs,
                    "faces": faces or "all",
                    "task": task,
                    "figure": own["figure"].iloc[0],
                    "weighting": name,
                    "seeds": len(own),
                    "validation": compute_interval(own["validation"].to_numpy()),
                    "test": compute_interval(own["test"].to_numpy()),
                    f"test minus {BASELINE}": (
                        "" if name == BASELINE else compute_interval(pairs.dropna().to_numpy())
                    ),
                    "seconds": f"{own['seconds'].mean():.0f}",
                    "final weight": f"{own['final_weight'].mean():.3f}",
                }
            )
    return make_markdown(rows)


@click.command()
@click.option("--data", "folder", type=click.Path(path_type=Path), default=Path("data/raw"))
@click.option("--output", type=click.Path(path_type=Path), default=Path("runs/loss_weighting.csv"))
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True)
@click.option(
    "--faces", type=click.IntRange(min=0), default=0, help="Faces of each dataset; 0: all."
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--sources", default=",".join(SOURCES), show_default=True)
@click.option("--table", "only_table", is_flag=True, help="Train nothing and print the table.")
def main(
    folder: Path, output: Path, epochs: int, faces: int, seeds: int, sources: str, only_table: bool
) -> None:
    """Train what is missing, and print a table."""
    table = pd.read_csv(output) if output.exists() else pd.DataFrame(columns=COLUMNS)
    course = replace(COURSES["faces"], sources=tuple(sources.split(",")))
    names = () if only_table else tuple(LOSS_WEIGHTINGS)
    for seed in range(seeds):
        mine = table[(table[KEY[1:]] == [seed, epochs, faces]).all(axis=1)]
        if not (missing := [name for name in names if name not in set(mine["weighting"])]):
            continue
        splits = load_splits(course, folder, output.with_suffix(""), seed, faces)
        for name in missing:
            config = TrainingConfig(seed=seed, epochs=epochs, patience=epochs)
            found = table[(table[KEY] == ["search", seed, epochs, faces]).all(axis=1)]
            start = dict(zip(found["task"], found["final_weight"], strict=True)) or None
            rows = run_weighting(
                replace(course, loss_weighting=name),
                splits,
                config,
                start if name in STARTED_FROM_SEARCH else None,
                output.with_suffix("") / f"{name}-{seed}-{epochs}-{faces}",
            )
            own = dict(zip(KEY, (name, seed, epochs, faces), strict=True))
            added = pd.DataFrame([own | row for row in rows], columns=COLUMNS)
            table = pd.concat([table, added], ignore_index=True) if len(table) else added
            with replace_file(output) as temporary:
                table.to_csv(temporary, index=False)
            click.echo(f"{name}, seed {seed}: {rows[0]['seconds']} s", err=True)
            keras.backend.clear_session()
    click.echo(tabulate(table) if len(table) else f"{output}: no runs yet.")


if __name__ == "__main__":
    main()
