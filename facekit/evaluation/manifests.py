"""Measure models on the faces of any dataset, such as those that they never learned from.

The faces are cut as for training, in the form that each model takes, and predicted as analysis
predicts them. Labels come from the manifest. Where a dataset gives ages in bands
(`taxonomy.AGE_BANDS`), the predicted age is compared by band.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.adapters import read_dataset, read_unsplit
from facekit.datasets.catalogue import DATASETS, resolve_name
from facekit.datasets.crops import name_cache, prepare_crops
from facekit.datasets.fingerprints import leave_out_outside, leave_out_unreadable
from facekit.datasets.groups import find_groups
from facekit.datasets.manifest import SPLITS
from facekit.datasets.protocols import find_copied
from facekit.evaluation.figures import (
    count_classes_apart,
    get_probabilities,
    make_figure,
    make_share,
    measure_rows,
    name_age_figure,
    tabulate_answers,
)
from facekit.evaluation.metrics import bootstrap_interval, tabulate_groups
from facekit.faces import Faces
from facekit.fusion import FusionConstants, fuse_answers, index_age_classes, measure_certainty
from facekit.pipeline import Crops, FaceAnalyzer
from facekit.registry import ModelError, load_index
from facekit.taxonomy import AGE_BANDS, ATTRIBUTES, DEFAULT_AGE_SCHEME, name_age_ranges

ALL = "all"  # in place of a split: all faces that are not excluded
CHOICES = (*SPLITS, ALL)
LEAST_FACES = 30  # of a group that may be named as one of the worst
WORST = 3  # groups that are named


def read_labelled_faces(name: str, data_dir: Path) -> pd.DataFrame:
    r"""Read a dataset to measure models on.

    A dataset of the catalogue has the splits that training uses. A file of your own keeps the
    splits that it has: without any, all its faces are measured.

    Args:
        name: As for `datasets.adapters.read_dataset`.
        data_dir: Holds the datasets under their usual names.

    Returns:
        A manifest with groups, and with the column `copied`.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If the name is unknown, or the data do not fit.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (48, 48)).save(folder / "a.png")
        >>> _ = (folder / "mine.csv").write_text("path,gender\na.png,female\n")
        >>> read_labelled_faces(str(folder / "mine.csv"), folder)["split"].isna().tolist()
        [True]
    """
    if name in DATASETS:
        manifest = read_dataset(name, data_dir)
    else:
        manifest = leave_out_outside(leave_out_unreadable(read_unsplit(name, data_dir)))
        manifest["group"] = find_groups(manifest, join_subjects=True)
    return manifest.assign(copied=find_copied(manifest))


def choose_split(manifest: pd.DataFrame, split: str = "") -> pd.Series:
    """Return which faces of a manifest belong to a split, bool.

    Args:
        manifest: The faces.
        split: One of `CHOICES`; by default the test if there is one, all faces otherwise.

    Raises:
        ValueError: If the split has no faces.

    Example:
        >>> choose_split(pd.DataFrame({"split": ["train", "test", "excluded"]})).tolist()
        [False, True, False]
    """
    if not split:
        split = "test" if manifest["split"].eq("test").any() else ALL
    chosen = manifest["split"].ne("excluded") if split == ALL else manifest["split"].eq(split)
    if not chosen.any():
        counts = manifest["split"].fillna("no split").value_counts()
        raise ValueError(
            f"`split` must have faces; {split} has none. There are "
            + ", ".join(f"{count} of {name}" for name, count in counts.items())
            + "."
        )
    return chosen


def plan_models(names: Sequence[str], attributes: Sequence[str]) -> dict[str, list[str]]:
    """Return the models to measure, each with the attributes that it predicts.

    Args:
        names: Attributes, for their default models, or names of models; all attributes if empty.
        attributes: Those that are labelled; others are left out.

    Raises:
        ModelError: If there is no such model.
        ValueError: If no attribute is left.

    Example:
        >>> plan_models(["faces"], ["gender", "emotion"])
        {'faces': ['gender']}
    """
    index = load_index()
    plan: dict[str, list[str]] = {}
    for name in names or ATTRIBUTES:
        try:
            entry = index.find(name)
        except ModelError:
            if names:
                raise
            continue  # this folder of models has none for the attribute
        for task in [name] if name in index.defaults else entry.tasks:
            if task in attributes and task not in plan.setdefault(entry.name, []):
                plan[entry.name].append(task)
    plan = {model: tasks for model, tasks in plan.items() if tasks}
    if not plan:
        raise ValueError(
            f"`manifest` must have labels that {', '.join(names or ['a model'])} predicts; it has"
            f" {', '.join(attributes) or 'none'}."
        )
    return plan


def predict_faces(
    manifest: pd.DataFrame,
    chosen: np.ndarray,
    attributes: Sequence[str],
    model: str,
    cache: tuple[Path, str],
) -> dict[str, np.ndarray]:
    """Return a model's probabilities for the chosen faces of a manifest.

    All its faces are cut, so that training and evaluation keep the same crops.

    Args:
        manifest: The faces.
        chosen: Which of them are predicted, bool.
        attributes: Attributes that the model predicts.
        model: Name of the model.
        cache: The folder of data and the name of the dataset, for the file that keeps the crops.

    Returns:
        For each attribute (faces, classes) float32.

    Raises:
        ImageError: If an image cannot be read.
        ModelError: If the model is missing or damaged.

    Example:
        >>> import tempfile
        >>> from facekit.datasets.synthetic import make_synthetic
        >>> folder = Path(tempfile.mkdtemp())
        >>> manifest = make_synthetic(folder / "synthetic", count=3, size=48)
        >>> chosen, cache = np.array([True, True, False]), (folder, "synthetic")
        >>> predict_faces(manifest, chosen, ["gender"], "faces", cache)["gender"].shape
        (2, 2)
    """
    analyzer = FaceAnalyzer(attributes, models=dict.fromkeys(attributes, model))
    # The forms that the analyzer cuts, from no face at all.
    forms = analyzer.cut(np.zeros((1, 1, 3), np.uint8), Faces.empty()).by_form
    crops = {}
    for side, channels, scale in forms:
        path = name_cache(*cache, side, channels, scale)
        whole, _ = prepare_crops(manifest, path, side, channels, scale)
        crops[side, channels, scale] = whole[chosen]
    return analyzer.infer(Crops(crops))


def find_shown(
    answers: Mapping[str, np.ndarray], thresholds: Mapping[str, float], constants: FusionConstants
) -> dict[str, np.ndarray]:
    """Return whether the label of each face is sure enough to be shown, (faces,) bool.

    Args:
        answers: The networks' probabilities of each attribute, (faces, classes).
        thresholds: The least calibrated probability of each attribute's shown labels.
        constants: Calibrate the probabilities.

    Returns:
        For each attribute that has a threshold.

    Example:
        >>> constants = FusionConstants({"gender": 1.0}, {}, {}, {}, strength=0)
        >>> answers = {"gender": np.array([[0.9, 0.1], [0.6, 0.4]])}
        >>> find_shown(answers, {"gender": 0.8}, constants)["gender"]
        array([ True, False])
    """
    served = fuse_answers(answers, constants)
    return {
        name: measure_certainty(name, answer) >= thresholds[name]
        for name, answer in served.items()
        if name in thresholds
    }


def measure_faces(
    attribute: str, faces: pd.DataFrame, answer: np.ndarray, shown: np.ndarray | None = None
) -> list[dict]:
    """Return the figures of one attribute for the faces of each source.

    These are the figures of `figures.measure_rows`; for labels, the balanced accuracy and the
    recall of each class; with `shown`, the share of labels that are shown and their accuracy; and
    the accuracy of the `WORST` groups with `LEAST_FACES` faces or more: by gender and age class, by
    ethnicity, and by gender and ethnicity. For age, groups are compared by the share within one
    class.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        faces: Rows of a manifest with groups and the column `copied`, all labelled.
        answer: Their probabilities, (faces, classes).
        shown: Whether each label is shown, (faces,) bool.

    Returns:
        One dict per figure, with `source`, `count`, `figure`, `value` and `interval_95`.

    Example:
        >>> faces = {"path": "a.jpg", "group": [1, 2], "split": "test", "gender": "male"}
        >>> faces = pd.DataFrame(faces | {"source": "mine", "copied": False, "age": 30.0})
        >>> answer = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> figures = measure_faces("gender", faces.assign(ethnicity=None), answer)
        >>> [(figure["figure"], figure["value"]) for figure in figures]
        [('accuracy', 0.5), ('balanced accuracy', 0.5), ('recall, male', 0.5)]
    """
    faces = faces.reset_index(drop=True)
    table = tabulate_answers(attribute, faces, answer)
    figures = []
    for source, rows in table.groupby("source"):
        own = faces.loc[rows.index]
        about = {"source": source}
        own_shown = None if shown is None else shown[rows.index]
        figures += [about | figure for figure in _measure_source(attribute, own, rows, own_shown)]
    return figures


def _measure_source(
    attribute: str, faces: pd.DataFrame, rows: pd.DataFrame, shown: np.ndarray | None
) -> Iterator[dict]:
    yield from measure_rows(attribute, rows)
    source, groups, labels = rows["source"].iloc[0], rows["group"].to_numpy(), rows["label"]
    scheme = AGE_BANDS.get(source, DEFAULT_AGE_SCHEME)
    answer = get_probabilities(rows)
    apart = count_classes_apart(attribute, answer, labels.to_numpy(), scheme=scheme)
    if attribute != "age":
        yield _measure_balance(labels.to_numpy(), apart == 0, groups)
        for label in sorted(labels.unique()):
            chosen = (labels == label).to_numpy()
            yield make_share(f"recall, {label}", apart[chosen] == 0, groups[chosen])
    # The age class that is shown cannot be compared with bands of other years.
    if shown is not None and not (attribute == "age" and source in AGE_BANDS):
        yield make_share("share shown", shown, groups)
        if shown.any():
            yield make_share("accuracy, shown", apart[shown] == 0, groups[shown])
    what = "accuracy"
    if attribute == "age":
        what = f"{name_age_figure(source)}, within one"
    right = apart <= (attribute == "age")
    for name, group in find_worst_groups(right, faces, groups, attribute).iterrows():
        interval = (group["low"], group["high"])
        yield make_figure(f"{what}, worst: {name}", int(group["count"]), group["share"], interval)


def _measure_balance(labels: np.ndarray, right: np.ndarray, groups: np.ndarray) -> dict:
    """Return the figure of the mean of all recalls."""
    classes, codes = np.unique(labels.astype(str), return_inverse=True)

    def balance(values: np.ndarray) -> float:
        counts = np.bincount(values, minlength=2 * len(classes)).reshape(-1, 2)
        counts = counts[counts.sum(axis=1) > 0]  # a draw may lack a class
        return float((counts[:, 1] / counts.sum(axis=1)).mean())

    values = 2 * codes + right  # class and correctness in one number
    interval = bootstrap_interval(values, groups, balance)
    return make_figure("balanced accuracy", len(values), balance(values), interval)


def find_worst_groups(
    right: np.ndarray, faces: pd.DataFrame, groups: np.ndarray, attribute: str
) -> pd.DataFrame:
    """Return the groups of people with the lowest share of correct labels.

    Args:
        right: Whether each label is correct, (faces,) bool.
        faces: Rows of a manifest, of one source.
        groups: Equal for faces that belong together, (faces,).
        attribute: The attribute of the labels. Groups by ethnicity are left out for ethnicity,
            whose recalls say the same.

    Returns:
        Indexed by the name of the group, the worst first: `count`, `share`, `low`, `high` and
        `interval`, as `metrics.tabulate_groups`.

    Example:
        >>> faces = pd.DataFrame({"gender": ["male", "female"] * 30, "age": 30.0})
        >>> faces = faces.assign(ethnicity=None, source="mine")
        >>> right = np.arange(60) % 2 == 0
        >>> find_worst_groups(right, faces, np.arange(60), "gender")["share"]
        female, 28-45    0.0
        male, 28-45      1.0
        Name: share, dtype: float64
    """
    scheme = AGE_BANDS.get(faces["source"].iloc[0], DEFAULT_AGE_SCHEME)
    ranges = np.array(name_age_ranges(scheme), object)
    ages = faces["age"].to_numpy(np.float64)
    classes = pd.Series(ranges[index_age_classes(np.nan_to_num(ages), scheme)], faces.index)
    # A column without labels may be of another type.
    genders, ethnicities = (faces[name].astype("str") for name in ("gender", "ethnicity"))
    namings = [genders + ", " + classes.where(~np.isnan(ages)).astype("str")]
    if attribute != "ethnicity":
        namings += [ethnicities, genders + ", " + ethnicities]
    tables = []
    for names in namings:
        known = names.notna().to_numpy()
        if names[known].nunique() > 1:
            tables.append(tabulate_groups(right[known], names[known].to_numpy(), groups[known]))
    if not tables:
        return tabulate_groups(right[:0], groups[:0], groups[:0])
    table = pd.concat(tables)
    return table[table["count"] >= LEAST_FACES].sort_values("share", kind="stable").head(WORST)


def measure_models(
    names: Sequence[str],
    dataset: str,
    data_dir: Path,
    split: str = "",
    constants: FusionConstants | None = None,
) -> Iterator[tuple[str, str, list[dict]]]:
    """Measure models on a dataset.

    Args:
        names: As for `plan_models`.
        dataset: As for `read_labelled_faces`.
        data_dir: Holds the datasets under their usual names, and the crops cut from them.
        split: As for `choose_split`.
        constants: If they have thresholds, the labels that are shown are measured, too.

    Yields:
        An attribute, the model, and the figures from `measure_faces`.

    Raises:
        FileNotFoundError: If the dataset does not exist.
        ModelError: If a model does not exist.
        ValueError: If the dataset or the split does not fit.

    Example:
        >>> import tempfile
        >>> from facekit.datasets.synthetic import make_synthetic
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = make_synthetic(folder / "synthetic", count=12, size=48)
        >>> measured = measure_models(["gender"], "synthetic", folder)
        >>> [(attribute, model) for attribute, model, figures in measured]
        [('gender', 'faces')]
    """
    manifest = read_labelled_faces(dataset, data_dir)
    chosen = choose_split(manifest, split).to_numpy()
    faces = manifest[chosen]
    labelled = [name for name in ATTRIBUTES if faces[name].notna().any()]
    cache = (data_dir, Path(resolve_name(dataset)).stem)
    thresholds = constants.thresholds if constants else {}
    for model, attributes in plan_models(names, labelled).items():
        answers = predict_faces(manifest, chosen, attributes, model, cache)
        shown = find_shown(answers, thresholds, constants) if constants and thresholds else {}
        for name in attributes:
            used = faces[name].notna().to_numpy()
            own_shown = shown[name][used] if name in shown else None
            yield name, model, measure_faces(name, faces[used], answers[name][used], own_shown)
