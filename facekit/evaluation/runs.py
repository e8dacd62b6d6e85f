"""Read the files of a training run, `history.csv` and `config.json`, and interpret its history.

A run's folder is made by `training.loop`, or is that of a shipped model, to which `training.export`
copied the two files. Nothing here needs Keras.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from facekit.registry import get_models_dir, load_index
from facekit.taxonomy import ATTRIBUTES

NEEDED = ("epoch", "loss", "val_loss")
# Relative change of the validation loss below which a rise or fall counts as noise.
RISEN = 0.02


def find_run(
    run: str | Path = "", attribute: str = "emotion", models_dir: Path | None = None
) -> Path:
    """Return the folder of a run, by default that of the shipped model of an attribute.

    Args:
        run: Folder of a run of `facekit train`. If it is empty, `attribute` counts.
        attribute: A key of `taxonomy.LABELS`.
        models_dir: Folder of the registry; by default the registry in use.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If the attribute does not exist.

    Example:
        >>> find_run(attribute="age").name
        'faces'
    """
    if run:
        if not Path(run).is_dir():
            raise FileNotFoundError(
                f"`run` must be a folder that `facekit train --run` wrote; {run} is not a folder."
            )
        return Path(run)
    if attribute not in ATTRIBUTES:
        raise ValueError(f"`attribute` must be one of {', '.join(ATTRIBUTES)}; got {attribute!r}.")
    models_dir = models_dir or get_models_dir()
    return (models_dir / load_index(models_dir).find(attribute).file).parent


def read_history(folder: Path, name: str = "history.csv") -> pd.DataFrame:
    """Return the training history of a run, one row per epoch.

    Args:
        folder: Folder of a run.
        name: Name of the file.

    Raises:
        FileNotFoundError: If the folder has no history.
        ValueError: If the history is not a table of numbers with the columns of `NEEDED`, or has no
            rows.

    Example:
        >>> list(read_history(find_run(attribute="emotion")))[:2]
        ['epoch', 'accuracy']
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. Name the folder that `facekit train --run` wrote."
        )
    try:
        history = pd.read_csv(path, index_col=False)
    except ValueError as error:  # errors of pandas are ValueErrors
        raise ValueError(
            f"{path}: not a table ({str(error).strip()}). Name the folder of another run."
        ) from None
    missing = [name for name in NEEDED if name not in history]
    if missing or history.empty:
        raise ValueError(
            f"{path}: must have one row per epoch and the columns {', '.join(NEEDED)}; "
            f"missing: {', '.join(missing) or 'rows'}."
        )
    texts = [name for name in history if not pd.api.types.is_numeric_dtype(history[name])]
    if texts or history["val_loss"].isna().all():
        raise ValueError(
            f"{path}: the column `{texts[0] if texts else 'val_loss'}` must hold numbers. "
            "Name the folder of another run."
        )
    return history


def read_settings(folder: Path) -> dict:
    """Return the settings of a run, or an empty dict if its folder has no `config.json`.

    Args:
        folder: Folder of a run.

    Raises:
        ValueError: If the file is not a JSON object.

    Example:
        >>> read_settings(find_run(attribute="emotion"))["seed"]
        0
    """
    path = folder / "config.json"
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}). Name the folder of another run.") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: must hold a JSON object with the settings of the run.")
    return settings


def find_predictions(folder: Path) -> dict[str, Path]:
    """Return the file of test predictions of each attribute that a run learned and stored.

    Args:
        folder: Folder of a run, or of a shipped model: then the predictions are beside it.

    Example:
        >>> list(find_predictions(find_run(attribute="emotion")))
        ['emotion']
    """
    places = [folder, *([folder.parent] if (folder.parent / "index.json").is_file() else [])]
    settings = read_settings(folder)
    tasks = settings.get("tasks", [settings["task"]] if "task" in settings else ATTRIBUTES)
    found = {
        task: [path for place in places if (path := place / task / "predictions.parquet").is_file()]
        for task in tasks
    }
    return {task: paths[0] for task, paths in found.items() if paths}


def summarise_course(history: pd.DataFrame) -> pd.DataFrame:
    """Return each loss and metric at the epoch that was kept and at the last epoch.

    Args:
        history: From `read_history`.

    Returns:
        One row per metric: `metric`; `training`, `validation` and `gap` (validation minus training)
        at the epoch kept; `last_training` and `last_validation` at the last epoch.

    Example:
        >>> history = pd.DataFrame({"epoch": [0, 1], "loss": [2.0, 1.0], "val_loss": [1.5, 1.75]})
        >>> summarise_course(history)[["metric", "training", "validation", "last_validation"]]
          metric  training  validation  last_validation
        0   loss       2.0         1.5             1.75
    """
    kept, last = history.iloc[int(history["val_loss"].argmin())], history.iloc[-1]
    return pd.DataFrame(
        {
            "metric": name,
            "training": kept[name],
            "validation": kept[f"val_{name}"],
            "gap": kept[f"val_{name}"] - kept[name],
            "last_training": last[name],
            "last_validation": last[f"val_{name}"],
        }
        for name in map(str, history)
        if f"val_{name}" in history
    )


def judge_course(history: pd.DataFrame, settings: dict | None = None) -> pd.DataFrame:
    """Return how to interpret a training history, one row per sign: `sign`, `value`, `reading`.

    Args:
        history: From `read_history`.
        settings: From `read_settings`, for the number of epochs that were planned.

    Example:
        >>> history = pd.DataFrame({"epoch": [0, 1], "loss": [2.0, 1.0], "val_loss": [2.0, 1.5]})
        >>> judge_course(history)["value"].tolist()
        ['2 of 2', '2', '25.0%', '0.0%']
    """
    kept, last = int(history["val_loss"].argmin()), len(history) - 1
    planned = (settings or {}).get("epochs", len(history))
    fell = 1 - history["val_loss"].iloc[kept] / history["val_loss"].iloc[0]
    rose = history["val_loss"].iloc[-1] / history["val_loss"].iloc[kept] - 1
    learned = history["loss"].iloc[-1] < history["loss"].iloc[kept]
    if kept == last:
        reading = "the last epoch was the best: more epochs may improve the network"
    elif rose > RISEN and learned:
        reading = "training loss kept falling while validation loss rose: overfitting"
    else:
        reading = "validation loss was stable at the end"
    complete = len(history) >= planned
    signs = (
        (
            "epochs run",
            f"{len(history)} of {planned}",
            "as planned" if complete else "stopped early, or by hand",
        ),
        ("epoch kept", f"{kept + 1}", "the epoch with the lowest validation loss"),
        (
            "validation loss fell until then",
            f"{fell:.1%}",
            "the network learned"
            if fell > RISEN
            else "the network hardly learned: check the labels and the learning rate",
        ),
        ("validation loss rose after", f"{rose:.1%}", reading),
    )
    return pd.DataFrame(signs, columns=["sign", "value", "reading"])
