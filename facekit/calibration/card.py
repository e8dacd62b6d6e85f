"""Fit the constants of fusion for a folder of models, save them, and describe them in a card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.calibration.constants import fit_constants, measure_fusion, refit_constants
from facekit.calibration.intervals import tabulate_coverage
from facekit.calibration.predictions import (
    find_same_faces,
    load_calibration,
    load_predictions,
    serve_answers,
)
from facekit.calibration.thresholds import (
    SHARE_RIGHT,
    fit_threshold,
    tabulate_shown,
    tabulate_shown_by_age,
)
from facekit.evaluation.markdown import make_markdown
from facekit.files import write_text
from facekit.fusion import SCORE, THRESHOLDS, FusionConstants, load_constants, save_constants
from facekit.registry import ModelError

CARD = """# Fusion

Constants of `facekit.fusion`, fitted on {split} predictions{labels}. `facekit train fusion` fits
them again.

{strength} At 0, the lifts change nothing.{alone}

Measured on {count} test faces, seed {seed}:

{figures}

Age class and gender are both right on {more:.1%} of the more confident half of these faces, and on
{less:.1%} of the less confident half.

## Age interval

From `age_low` to `age_high`. Its levels are fitted for four true ages in five of each age class.
Measured on the same test faces, with age, gender and emotion requested:

{coverage}
{note}
## Not sure

Views show a label if its probability is at least the threshold of its attribute, and "not sure"
otherwise; tables keep the label and its probability. Thresholds are fitted on the same predictions
as all constants: of the least sure labels that are shown {share:.0%} are right, and, with 95%
confidence, at least {share:.0%} of all that are shown. For age the label is the age class.
Measured on test faces, and for gender by true age, too:

{shown}

A face whose detector score is below {score} is drawn as "face?", without labels. {detections}
"""
NOTE = """
Where a share is below four in five, one reason may be that the levels were fitted on validation
faces. The same faces chose the epoch, so the network may be better on them than on new faces. A
calibration split, which training does not use, avoids this.
"""


def fit_fusion(
    models_dir: Path,
    training_labels: pd.DataFrame | None = None,
    seed: int = 0,
    detections: pd.DataFrame | None = None,
) -> str:
    """Fit the constants of fusion, write `fusion.json`, and write and return the card `fusion.md`.

    Args:
        models_dir: The folder of models, with each attribute's stored predictions.
        training_labels: Labels of the training faces, from which the lifts are counted. Without
            them the lifts and their strength stay as they are in `fusion.json`.
        seed: Of the split, for the card.
        detections: From `read_detections`, to fit the threshold of the detector's score. Without
            them it stays as it is in `fusion.json`.

    Raises:
        FileNotFoundError: If an attribute has no stored predictions.
        ModelError: If there are no training labels and `fusion.json` cannot be read.
        OSError: If a file cannot be written.
        ValueError: If a table of predictions lacks the faces to fit on.

    Example:
        >>> import tempfile
        >>> from facekit.registry import get_models_dir
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, table in load_predictions(get_models_dir(), "test").items():
        ...     (folder / name).mkdir()
        ...     both = pd.concat([table[:200].assign(split="calibration"), table[200:400]])
        ...     both.to_parquet(folder / name / "predictions.parquet")
        >>> save_constants(load_constants(), folder)
        >>> print(fit_fusion(folder).splitlines()[0])
        # Fusion
    """
    predictions = load_calibration(models_dir)
    if training_labels is None:
        constants = refit_constants(predictions, load_constants(models_dir))
    else:
        constants = fit_constants(predictions, training_labels)
    score = _find_score(models_dir, detections)
    constants = replace(constants, thresholds={**constants.thresholds, SCORE: score})
    save_constants(constants, models_dir)
    splits = sorted({split for table in predictions.values() for split in table["split"]})
    test = load_predictions(models_dir, "test")
    counted = training_labels is not None
    card = write_card(constants, test, " and ".join(splits), counted, seed, detections)
    write_text(models_dir / "fusion.md", card)
    return card


def _find_score(models_dir: Path, detections: pd.DataFrame | None) -> float:
    """Fit the threshold of the detector's score, or keep the one of `fusion.json`."""
    if detections is not None:
        return fit_threshold(detections["score"].to_numpy(), detections["is_face"].to_numpy())
    try:
        return load_constants(models_dir).thresholds[SCORE]
    except ModelError:  # there are no constants yet
        return THRESHOLDS[SCORE]


def write_card(
    constants: FusionConstants,
    test: dict[str, pd.DataFrame],
    split: str,
    counted: bool,
    seed: int,
    detections: pd.DataFrame | None = None,
) -> str:
    """Return the card of constants, with figures on test faces.

    Args:
        constants: What fusion applies.
        test: Stored predictions of each attribute for test faces.
        split: The split that they were fitted on.
        counted: Whether the lifts were counted on training labels along with them.
        seed: Of the split.
        detections: The detections that the threshold of the detector's score was fitted on.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> tables = load_predictions(get_models_dir(), "test")
        >>> test = {name: table[:200] for name, table in tables.items()}
        >>> card = write_card(load_constants(), test, "calibration", counted=False, seed=0)
        >>> "Measured on 200 test faces" in card
        True
    """
    figures = measure_fusion(test, constants)
    compared = [name.removesuffix(" before") for name in figures if name.endswith(" before")]
    rows = [(name, figures[f"{name} before"], figures[f"{name} after"]) for name in compared]
    served = serve_answers(test, constants)
    labels = {name: table["label"].to_numpy() for name, table in test.items()}
    coverage = tabulate_coverage(served["age"], test["age"], constants.age_levels)
    same = find_same_faces(test["gender"], test["age"])
    ages = np.where(same >= 0, labels["age"].astype(float)[same], np.nan)
    by_age = tabulate_shown_by_age(served["gender"], labels["gender"], ages, constants)
    shown = pd.DataFrame(
        {
            "true age": coverage.index,
            "faces": coverage["count"].astype(str),
            "true age inside": coverage["inside"].map("{:.1%}".format),
            "95% interval": [
                f"{low:.1%} to {high:.1%}"
                for low, high in zip(coverage["low"], coverage["high"], strict=True)
            ],
            "mean width, years": coverage["years"].map("{:.1f}".format),
        }
    )
    compared_table = pd.DataFrame(rows, columns=["figure", "without lifts", "with lifts"])
    strength = f" is {constants.strength}."
    if counted:
        strength = (
            f" is {constants.strength}: with it, the labels of these faces are most probable."
        )
    return CARD.format(
        split=split,
        labels=", the lifts counted on training labels" if counted else "; lifts and strength kept",
        strength=f"The strength of the lifts{strength}",
        alone="".join(
            f"\nNo training faces are labelled with {name} and another attribute, so {name} and"
            " the others do not\nchange each other."
            for name in constants.temperatures
            if not any(name in pair for pair in constants.lifts)
        ),
        count=figures["count"],
        seed=seed,
        figures=make_markdown(compared_table),
        coverage=make_markdown(shown),
        more=figures["profile right, more confident half"],
        less=figures["profile right, less confident half"],
        note=NOTE if "validation" in split else "",
        share=SHARE_RIGHT,
        shown=_format_shown(tabulate_shown(served, labels, constants), by_age),
        score=constants.thresholds[SCORE],
        detections=_describe_detections(detections, constants.thresholds[SCORE]),
    )


def _format_shown(table: pd.DataFrame, by_age: pd.DataFrame) -> str:
    both = pd.concat([table, by_age.assign(attribute="gender, " + by_age["age"])])[table.columns]
    shares = {
        name: both[name].map("{:.1%}".format).where(both[name].notna(), "")
        for name in ("shown", "right")
    }
    return make_markdown(both.assign(**shares).rename(columns={"right": "right of these"}))


def _describe_detections(detections: pd.DataFrame | None, score: float) -> str:
    """Say what the threshold of the detector's score was fitted on."""
    if detections is None:
        return "WIDER FACE was not there to fit this score, so the former one was kept."
    above = detections["score"] >= score
    shares = " and ".join(
        f"{detections.loc[own, 'is_face'].mean():.1%} {of}"
        for own, of in ((above, "of those above it"), (~above, "of those below it"))
        if own.any()
    )
    return (
        f"The score is fitted in the same way on {len(detections)} detections in "
        f"{detections['image'].nunique()} photos of WIDER FACE: {shares} are labelled faces."
    )
