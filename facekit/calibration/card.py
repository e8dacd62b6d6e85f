"""Fit the constants of fusion for a folder of models, save them, and describe them in a card."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from facekit.calibration.constants import fit_constants, measure_fusion, refit_constants
from facekit.calibration.intervals import tabulate_coverage
from facekit.calibration.predictions import load_calibration, load_predictions, serve_answers
from facekit.evaluation.markdown import make_markdown
from facekit.files import write_text
from facekit.fusion import FusionConstants, load_constants, save_constants

CARD = """# Fusion

Constants of `facekit.fusion`, fitted on {split} predictions{labels}. `facekit train fusion` fits
them again.

{strength} 0 would ignore the lifts.{alone}

Measured on {count} test faces, seed {seed}:

{figures}

Age class and gender are both right on {more:.1%} of the more confident half of these faces, and on
{less:.1%} of the less confident half.

## Age interval

From `age_low` to `age_high`. Its levels are fitted for four true ages in five of each age class.
Measured on the same test faces, with age, gender and emotion requested:

{coverage}
{note}"""
NOTE = """
Where a share is below four in five, one reason may be that the levels were fitted on validation
faces. The same faces chose the epoch, so the network may be better on them than on new faces. A
calibration split, which training does not use, avoids this.
"""


def fit_fusion(models_dir: Path, training_labels: pd.DataFrame | None = None, seed: int = 0) -> str:
    """Fit the constants of fusion, write `fusion.json`, and write and return the card `fusion.md`.

    Args:
        models_dir: The folder of models, with each attribute's stored predictions.
        training_labels: Labels of the training faces, from which the lifts are counted. Without
            them the lifts and their strength stay as they are in `fusion.json`.
        seed: Of the split, for the card.

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
    save_constants(constants, models_dir)
    splits = sorted({split for table in predictions.values() for split in table["split"]})
    test = load_predictions(models_dir, "test")
    card = write_card(constants, test, " and ".join(splits), training_labels is not None, seed)
    write_text(models_dir / "fusion.md", card)
    return card


def write_card(
    constants: FusionConstants,
    test: dict[str, pd.DataFrame],
    split: str,
    counted: bool,
    seed: int,
) -> str:
    """Return the card of constants, with figures on test faces.

    Args:
        constants: What fusion applies.
        test: Stored predictions of each attribute for test faces.
        split: The split that they were fitted on.
        counted: Whether the lifts were counted on training labels along with them.
        seed: Of the split.

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
    coverage = tabulate_coverage(
        serve_answers(test, constants)["age"], test["age"], constants.age_levels
    )
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
        strength = f", {constants.strength}, is where the labels of these faces are most likely."
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
    )
