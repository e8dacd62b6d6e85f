"""Train embeddings with the triplet loss, and compare them with distillation.

Each run starts from one network (`START`) and learns from one set of people (`PEOPLE`):

- `random`: FaceNet's small preset with random weights; `dlib`: the student with the layers of
  dlib's network that it shares, its last layer fitted to dlib's embeddings of the training photos;
  `student`: the distilled student, if `models/embedding` holds it.
- `lfw`: LFW's people of the training split; `ck_plus`: CK+'s people; `drawn`: drawn people, several
  pictures of each; `all`: all of them together.

Verification is measured on LFW's people of the other splits, in ten folds. The references are
dlib's network and the distilled student on the same pairs.

About 590 training people of LFW's half have two photos or more. CK+ has 106 people in one
laboratory, and drawn faces do not look like photos. FaceNet learned from millions of people. So
these runs show that the loss works and what few people can teach. They do not show how good
triplets can become, and a network that was trained before may become worse. Only about 190 of the
people who measure the result have two photos or more, so the intervals are wide. Run it from the
checkout:

    python benchmarks/triplet.py --data data/raw --output runs/triplet.csv
    python benchmarks/triplet.py --output runs/triplet.csv --table

The summary is `--output`; each run has a folder beside it, with its `verification.csv`. Started
again, it skips the runs that are there.
"""

from __future__ import annotations

import os
from pathlib import Path

# Set before TensorFlow is imported, so that only the table is printed.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import keras
import numpy as np
import pandas as pd

from facekit.datasets.adapters import read_dataset
from facekit.datasets.crops import name_cache, prepare_crops
from facekit.datasets.synthetic import sample_traits
from facekit.datasets.synthetic.drawing import draw_crops
from facekit.evaluation.markdown import make_markdown
from facekit.evaluation.verification import make_pairs
from facekit.files import replace_file
from facekit.networks.embedding import (
    SCALE,
    SIDE,
    build_embedding_network,
    load_dlib_weights,
)
from facekit.networks.facenet import PRESETS, build_facenet
from facekit.registry import get_models_dir
from facekit.training.embedding import COURSE, begin_student, embed_crops, shrink_crops
from facekit.training.triplet import (
    VERIFICATION,
    TripletConfig,
    measure_verification,
    train_triplets,
)

PEOPLE, START = ("lfw", "ck_plus", "drawn", "all"), ("random", "dlib", "student")
STUDENT = Path("embedding", "embedding.keras")  # in the folder of models
REFERENCES = {"dlib": "dlib's network", "student": "distilled student"}
DRAWN_PEOPLE, DRAWN_PICTURES = 500, 4
QUICK_PEOPLE = 60  # held-out and training people of each source in a smoke test
# Learning rates by start: a trained network keeps what it can.
RATES = {"random": 5e-4, "dlib": 5e-5, "student": 5e-5}
KEY = ["start", "people", "seed", "steps", "quick"]  # what makes a run another run
COLUMNS = [
    *KEY, "photos", "training_people", "before", "before_low", "before_high", "after", "after_low",
    "after_high", "active",
]  # fmt: skip

Faces = tuple[np.ndarray, np.ndarray]  # crops (faces, 160, 160, 3) uint8, and the person of each


def read_people(source: str, folder: Path, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the manifest of a dataset, split by people, and its crops."""
    manifest = read_dataset(source, folder, seed, "subject_disjoint")
    cache = name_cache(folder, source, SIDE, 3, SCALE)
    return manifest, prepare_crops(manifest, cache, SIDE, 3, SCALE)[0]


def load_people(source: str, folder: Path, seed: int, quick: bool) -> Faces:
    """Return the people to learn from; those with one photo are left out."""
    if source == "all":
        parts = [load_people(name, folder, seed, quick) for name in PEOPLE if name != "all"]
        return np.concatenate([each[0] for each in parts]), np.concatenate([p[1] for p in parts])
    if source == "drawn":
        count = QUICK_PEOPLE if quick else DRAWN_PEOPLE
        faces = sample_traits(count * DRAWN_PICTURES, seed, pictures=DRAWN_PICTURES)
        people = np.array([f"drawn-{face.identity}" for face in faces])
        return draw_crops(faces, SIDE, 3, SCALE), people
    manifest, crops = read_people(source, folder, seed)
    people = (source + "-" + manifest["subject"].astype(str)).to_numpy(str)
    # CK+ measures nothing here, so all its people teach.
    used = (manifest["split"] == "train").to_numpy() | (source != "lfw")
    used &= pd.Series(people).map(pd.Series(people).value_counts()).to_numpy() > 1
    if quick:
        used = used & np.isin(people, np.unique(people[used])[:QUICK_PEOPLE])
    return crops[used], people[used]


def load_held(folder: Path, seed: int, quick: bool) -> Faces:
    """Return LFW's people outside the training split; for a smoke test a few with two photos."""
    manifest, crops = read_people("lfw", folder, seed)
    people = ("lfw-" + manifest["subject"].astype(str)).to_numpy(str)
    used = (manifest["split"] != "train").to_numpy()
    if quick:
        names, counts = np.unique(people[used], return_counts=True)
        used = used & np.isin(people, names[counts > 1][:QUICK_PEOPLE])
    return crops[used], people[used]


def begin_network(start: str, crops: np.ndarray) -> keras.Model:
    """Return the network that a run starts from."""
    if start == "random":
        return build_facenet(**PRESETS["small"])
    if start == "student":
        return keras.models.load_model(get_models_dir() / STUDENT, compile=False)
    targets = embed_crops(load_dlib_weights(build_embedding_network()), crops)
    return begin_student(COURSE, shrink_crops(crops, COURSE.side), targets)


def measure_reference(name: str, held: Faces, seed: int) -> dict:
    """Return a row with the accuracy of a network as it is, without training."""
    network = (
        load_dlib_weights(build_embedding_network()) if name == "dlib" else begin_network(name, [])
    )
    crops = shrink_crops(held[0], network.input_shape[1])
    plain = keras.Model(network.input, network.output["embedding"])
    values = measure_verification(plain, crops, make_pairs(held[1], seed))
    return dict(zip(("after", "after_low", "after_high"), values, strict=True))


def run_triplets(start: str, people: str, held: Faces, data: tuple, config, run: Path) -> dict:
    """Train once and return the row of the summary."""
    keras.utils.set_random_seed(config.seed)
    crops, names = load_people(people, *data)
    network = begin_network(start, crops)
    side = network.input_shape[1]
    train_triplets(
        network,
        shrink_crops(crops, side),
        names,
        shrink_crops(held[0], side),
        held[1],
        run,
        config,
        quiet=True,
    )
    history = pd.read_csv(run / VERIFICATION)
    row = {"photos": len(crops), "training_people": len(set(names))}
    for name, place in (("before", 0), ("after", -1)):
        values = history[["accuracy", "low", "high"]].iloc[place]
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
    return row | {"active": history["active"].iloc[-1]}


def tabulate(table: pd.DataFrame) -> str:
    """Return the summary as Markdown."""

    def show(row: pd.Series, name: str) -> str:
        if np.isnan(row[name]):
            return ""
        return f"{row[name]:.1%} ({row[f'{name}_low']:.1%} to {row[f'{name}_high']:.1%})"

    rows = []
    for _, row in table.iterrows():
        reference = row["people"] == "none"
        rows.append(
            {
                "network": REFERENCES[row["start"]] if reference else row["start"],
                "learned from": "(reference)" if reference else row["people"],
                "people": "" if reference else f"{row['training_people']:.0f}",
                "photos": "" if reference else f"{row['photos']:.0f}",
                "steps": "" if reference else row["steps"],
                "accuracy before": show(row, "before"),
                "accuracy after": show(row, "after"),
                "active at the end": "" if reference else f"{row['active']:.0%}",
            }
        )
    return make_markdown(rows)


@click.command()
@click.option("--data", "folder", type=click.Path(path_type=Path), default=Path("data/raw"))
@click.option("--output", type=click.Path(path_type=Path), default=Path("runs/triplet.csv"))
@click.option("--steps", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option("--every", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--people", default=",".join(PEOPLE), show_default=True)
@click.option("--start", default=",".join(START), show_default=True)
@click.option("--quick", is_flag=True, help="Few people and few steps: whether it works.")
@click.option("--table", "only_table", is_flag=True, help="Train nothing and print the table.")
def main(
    folder: Path, output: Path, steps: int, every: int, seed: int, people: str, start: str,
    quick: bool, only_table: bool,
) -> None:  # fmt: skip
    """Train what is missing, and print a table."""
    table = pd.read_csv(output) if output.exists() else pd.DataFrame(columns=COLUMNS)
    batch = (4, 2) if quick else (24, 3)
    steps, every = (4, 2) if quick else (steps, every)
    starts, sources = start.split(","), people.split(",")
    for names, known, option in ((starts, START, "start"), (sources, PEOPLE, "people")):
        if unknown := set(names) - set(known):
            raise click.BadParameter(
                f"must be of {', '.join(known)}; got {', '.join(sorted(unknown))}.",
                param_hint=f"--{option}",
            )
    if not (get_models_dir() / STUDENT).exists():
        click.echo(f"{get_models_dir() / STUDENT}: not there; its runs are left out.", err=True)
        starts = [name for name in starts if name != "student"]
    references = [name for name in REFERENCES if name == "dlib" or name in starts]
    wanted = [(name, "none") for name in references]
    wanted += [(name, source) for name in starts for source in sources]
    keys = [dict(zip(KEY, (*each, seed, steps, quick), strict=True)) for each in wanted]
    missing = [key for key in keys if not (table[KEY] == list(key.values())).all(axis=1).any()]
    held = load_held(folder, seed, quick) if missing and not only_table else None
    for key in () if held is None else missing:
        name, source = key["start"], key["people"]
        if source == "none":
            row = measure_reference(name, held, seed)
        else:
            config = TripletConfig(
                seed, steps, every, persons=batch[0], per_person=batch[1],
                learning_rate=RATES[name],
            )  # fmt: skip
            run = output.with_suffix("") / "-".join(
                [name, source, str(seed), str(steps), *(["quick"] * quick)]
            )
            row = run_triplets(name, source, held, (folder, seed, quick), config, run)
        added = pd.DataFrame([key | row], columns=COLUMNS)
        table = pd.concat([table, added], ignore_index=True) if len(table) else added
        with replace_file(output) as temporary:
            table.to_csv(temporary, index=False)
        click.echo(f"{name}, {source}: {row['after']:.1%}", err=True)
        keras.backend.clear_session()
    click.echo(tabulate(table) if len(table) else f"{output}: no runs yet.")


if __name__ == "__main__":
    main()
