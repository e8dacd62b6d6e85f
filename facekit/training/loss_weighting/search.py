"""Find loss weights by brute force: short trainings over a grid of weights.

The losses of different tasks are not comparable: that of a guess of the age is seven times that of
a guess of the gender. So each task's validation loss is divided by the loss of the best constant
guess, which predicts the share of each class among the training labels. The mean over the tasks is
the score: 1 is no better than a guess, 0 is perfect, and each task counts the same.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.files import replace_file
from facekit.training.loss_weighting.weighting import TryWeights

# The weights of a grid are multiples of 1 / 6: five pairs, ten triples.
PARTS = 6
SEARCH_FILE, SEARCH_FOLDER = "search.csv", "search"
DIGITS = 4


def make_grid(names: Sequence[str], parts: int = PARTS) -> list[dict[str, float]]:
    """Return all weights that are multiples of a part, positive, and sum to 1.

    Args:
        names: The tasks.
        parts: The parts into which 1 is divided.

    Raises:
        ValueError: If there are fewer parts than tasks.

    Example:
        >>> make_grid(("age", "gender"), parts=3)
        [{'age': 0.3333, 'gender': 0.6667}, {'age': 0.6667, 'gender': 0.3333}]
    """
    if parts < len(names):
        raise ValueError(
            f"`parts` must be at least the number of tasks ({len(names)}), so that each has a "
            f"positive weight; got {parts}."
        )
    cuts = itertools.combinations(range(1, parts), len(names) - 1)
    shares = [np.diff((0, *cut, parts)) / parts for cut in cuts]
    return [dict(zip(names, share.round(DIGITS).tolist(), strict=True)) for share in shares]


def search_weights(
    names: Sequence[str], try_weights: TryWeights, folder: Path, parts: int = PARTS
) -> tuple[dict[str, float], pd.DataFrame]:
    """Try a grid of weights and return the best.

    Args:
        names: The tasks.
        try_weights: Trains briefly with some weights, and returns each task's validation loss as a
            share of that of a constant guess; NaN for a task without a label, which does not count.
            `loop.train_model` gives such a function.
        folder: Folder for the files of these trainings, one folder inside for each.
        parts: As for `make_grid`.

    Returns:
        The weights with the lowest score, the mean over the tasks of the relative losses; and all
        that were tried, one row each: `weight_TASK` and `relative_loss_TASK` for each task, and
        `score`.

    Raises:
        ValueError: As `make_grid`; or if no score is a number.

    Example:
        >>> def try_weights(weights, folder):
        ...     return {"age": 1 - weights["age"], "gender": weights["age"] ** 2}
        >>> best, table = search_weights(("age", "gender"), try_weights, Path("there"), parts=4)
        >>> best, table["score"].round(3).tolist()
        ({'age': 0.5, 'gender': 0.5}, [0.406, 0.375, 0.406])
    """
    rows = []
    grid = make_grid(names, parts)
    for weights in grid:
        relative = try_weights(weights, folder / "-".join(map(str, weights.values())))
        known = [relative[name] for name in names if not np.isnan(relative[name])]
        rows.append(
            {f"weight_{name}": weights[name] for name in names}
            | {f"relative_loss_{name}": relative[name] for name in names}
            | {"score": float(np.mean(known)) if known else np.nan}
        )
    table = pd.DataFrame(rows)
    if table["score"].isna().all():
        raise ValueError(
            "`try_weights` must return at least one loss that is a number; got NaN each time. "
            "Check that the validation split has labels and lower the learning rate."
        )
    return grid[int(np.nanargmin(table["score"]))], table


def run_search(
    names: Sequence[str], try_weights: TryWeights, run: Path, resumed: bool
) -> dict[str, float]:
    """Return the best weights, and keep the table of the search in the folder of a run.

    Args:
        names: The tasks.
        try_weights: As for `search_weights`.
        run: Folder of the run; the table is its `search.csv`.
        resumed: Whether to read the table of the interrupted run instead.

    Raises:
        ValueError: As `search_weights`; or if the interrupted run has no such table.

    Example:
        >>> run_search(("age", "gender"), ..., Path("run"), resumed=True)  # doctest: +SKIP
        {'age': 0.6667, 'gender': 0.3333}
    """
    if resumed:
        if not (run / SEARCH_FILE).exists():
            raise ValueError(
                f"{run}: holds an interrupted run without {SEARCH_FILE}, so it has another loss "
                "weighting. Resume it with its own settings, which config.json lists, or choose "
                "another folder."
            )
        best = pd.read_csv(run / SEARCH_FILE).sort_values("score", kind="stable").iloc[0]
        return {name: float(best[f"weight_{name}"]) for name in names}
    folder = run / SEARCH_FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a search that was interrupted
    weights, table = search_weights(names, try_weights, folder)
    with replace_file(run / SEARCH_FILE) as temporary:
        table.to_csv(temporary, index=False)
    shutil.rmtree(folder, ignore_errors=True)
    return weights
