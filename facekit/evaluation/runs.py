"""Read what a training left in its folder, `history.csv` and `config.json`, and tell what its
course says; needs no Keras.

The folder is made by `training.loop`, or is a shipped model's, where `training.export` copied the
two.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from facekit.registry import get_models_dir, load_index
from facekit.taxonomy import ATTRIBUTES

NEEDED = ("epoch", "loss", "val_loss")
RISEN = 0.02  # of the validation loss after the epoch kept: less is noise


def find_run(run: str | Path = "", attribute: str = "emotion") -> Path:
    """Return the folder of a run, or where none is named that of the shipped model of an attribute.

    Raises:
        ValueError: If there is no such attribute.
    """
    if run:
        return Path(run)
    if attribute not in ATTRIBUTES:
        raise ValueError(f"`attribute` must be one of {', '.join(ATTRIBUTES)}; got {attribute!r}.")
    models_dir = get_models_dir()
    return (models_dir / load_index(models_dir)[attribute].file).parent


def read_history(folder: Path) -> pd.DataFrame:
    """Return the course of a run, one row an epoch.

    Raises:
        FileNotFoundError: If the folder holds none.
        ValueError: If it is no table with the columns of `NEEDED`, or an empty one.
    """
    path = folder / "history.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; name the folder that `facekit train --run` filled, or for a shipped model work in a git checkout."
        )
    try:
        history = pd.read_csv(path)
    except ValueError as error:  # pandas' own errors are
        raise ValueError(
            f"{path}: is no table ({error}); name the folder of another run."
        ) from None
    missing = [name for name in NEEDED if name not in history]
    if missing or history.empty:
        raise ValueError(
            f"{path}: must have a row an epoch and the columns {', '.join(NEEDED)}; missing: {', '.join(missing) or 'rows'}."
        )
    return history


def read_settings(folder: Path) -> dict:
    """Return how a run was set, nothing where its folder does not tell."""
    path = folder / "config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def find_predictions(folder: Path) -> dict[str, Path]:
    """Return the test predictions of each attribute that a run learned, where they are kept."""
    places = [
        folder,
        *([folder.parent] if (folder.parent / "index.json").is_file() else []),
    ]  # a shipped model's stand beside it
    settings = read_settings(folder)
    tasks = settings.get("tasks", [settings["task"]] if "task" in settings else ATTRIBUTES)
    found = {
        task: [path for place in places if (path := place / task / "predictions.parquet").is_file()]
        for task in tasks
    }
    return {task: paths[0] for task, paths in found.items() if paths}


def summarise_course(history: pd.DataFrame) -> pd.DataFrame:
    """Return for each loss and metric its values at the epoch that was kept, at the last one, and
    how far validation was behind.

    Returns:
        One row a metric: `metric`, `training`, `validation` and `gap` (validation less training) at
            the epoch kept, `last_training` and
        `last_validation`.
    """
    kept, last = history.loc[history["val_loss"].idxmin()], history.iloc[-1]
    rows = [
        {
            "metric": name, "training": kept[name], "validation": kept[f"val_{name}"], "gap": kept[f"val_{name}"] - kept[name],
            "last_training": last[name], "last_validation": last[f"val_{name}"],
        }
        for name in history if f"val_{name}" in history
    ]  # fmt: skip
    return pd.DataFrame(rows)


def judge_course(history: pd.DataFrame, settings: dict | None = None) -> pd.DataFrame:
    """Return what a course says, one row a sign: `sign`, `value` and `reading`.

    Args:
        history: Of `read_history`.
        settings: Of `read_settings`, for how many epochs were planned.
    """
    kept, last = int(history["val_loss"].idxmin()), len(history) - 1
    planned = (settings or {}).get("epochs", len(history))
    fell = 1 - history["val_loss"].iloc[kept] / history["val_loss"].iloc[0]
    rose = history["val_loss"].iloc[-1] / history["val_loss"].iloc[kept] - 1
    learned = history["loss"].iloc[-1] < history["loss"].iloc[kept]
    if kept == last:
        reading = "the last epoch was the best one: more epochs may do better"
    elif rose > RISEN and learned:
        reading = "training loss fell on while validation loss rose: learning by heart"
    else:
        reading = "validation loss had settled"
    signs = (
        (
            "epochs run",
            f"{len(history)} of {planned}",
            "as planned"
            if len(history) >= planned
            else "stopped: no better for too long, or by hand",
        ),
        ("epoch kept", f"{kept + 1}", "that of the least validation loss"),
        (
            "validation loss fell until then",
            f"{fell:.1%}",
            "it learned" if fell > RISEN else "it hardly learned: look at labels and rate",
        ),
        ("validation loss rose after", f"{rose:.1%}", reading),
    )
    return pd.DataFrame(signs, columns=["sign", "value", "reading"])
