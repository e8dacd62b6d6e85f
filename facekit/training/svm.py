"""Train support vector machines on embeddings, as the second paper does: the model `svm`.

One machine with a radial kernel for each of age, gender and ethnicity learns from the embeddings
of a network that stays as it is. Its settings come from a grid search by groups; the validation
split, which no machine learns from, turns decisions into probabilities. `svm_graph` writes the
result as one ONNX file.

For classes, probabilities are a logistic regression of the decisions (Platt, 1999, Probabilistic
Outputs for Support Vector Machines). scikit-learn's own `probability=True` fits it on random folds,
in which photos of one person stand on both sides, and is deprecated. Age is a regression. Its
years become a normal distribution whose standard deviation grows with the years, as the errors on
the validation split do.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from facekit.datasets.protocols import find_copied
from facekit.evaluation.figures import measure_attribute, tabulate_answers, tabulate_figures
from facekit.files import hash_file, replace_file, write_text
from facekit.images import normalise
from facekit.inference import load_session, run_session
from facekit.registry import ModelEntry, TaskEntry, find_model, load_index, save_entry
from facekit.taxonomy import LABELS
from facekit.training.cards import LIMITS, describe_lost, describe_weakest
from facekit.training.course import Course
from facekit.training.data import DataChoice, check_splits, load_data
from facekit.training.export import HELD_OUT_SPLITS
from facekit.training.origin import describe_data, describe_licence, describe_split
from facekit.training.runs import CONFIG, check_run
from facekit.training.svm_graph import STEP, Machine, build_svm, round_vectors
from facekit.training.tasks import TASKS

NAME = "svm"
EMBEDDING = "embedding"  # the task of the network below
TASK_NAMES = ("age", "gender", "ethnicity")
SOURCES = ("utkface", "all_age_faces")  # no face of LFW, which measures the embeddings
GRID = {"C": (0.5, 2.0, 8.0), "gamma": (0.001, 0.003, 0.01)}
YEARS_PER_COST = 10  # errors of age are years, so its C is this many times that of the grid
FOLDS = 3
SEARCHED = 3000  # faces for the search
LEARNED = 15_000  # faces that a machine learns from, so that the file stays small
ONLY_GENDER = ("all_age_faces",)  # how their ages were found is unknown
SMOOTHING = 0.3  # `C` of the logistic regression: ten decisions and about 1,000 validation faces
TOLERANCE_YEARS = 3.0  # errors up to this cost nothing, and their faces are no support vectors
UNSEEN = -20.0  # logit of a class that no validation face has
CARD = """# {name}

`{file}` is one graph: the embedding network `{embedder}`, then a support vector machine with a
radial kernel for each of {tasks}. It takes an upright colour face crop of {side}x{side} pixels.
`facekit analyze --model {name}` runs it; it is the default model of no task.

- **Training data**: {data}. Each machine learned from {learned} of them at most, chosen at
  random.{only}
- **Split**: {split}
- **Settings**: {settings}; found by a grid search with {folds} folds, no group on two sides
  (`search.csv`)
- **Probabilities**: fitted on the validation split
- **Support vectors**: {vectors}. They are embeddings of training faces, rounded to steps of 1/24
  of a standard deviation. Embeddings are biometric data.
- **Made by**: `{command}`
- **Licence**: {licence}

## Held-out figures (test split)

{figures}

`predictions-TASK.parquet` holds the label of every held-out image and the probabilities that the
ONNX file gave it.

{weakest}

{lost}

## Limits

{limits}
"""


def search_settings(
    task_name: str, vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> pd.DataFrame:
    """Try a grid of settings by cross-validation, with no group on two sides.

    Args:
        task_name: One of `TASK_NAMES`.
        vectors: Embeddings, (faces, dimensions).
        labels: Class indices or years, (faces,).
        groups: (faces,), at least as many different ones as folds.

    Returns:
        One row for each try, the best one first: `task`, `C`, `gamma`, `score` (the accuracy, for
        age minus the mean absolute error in years), and its standard deviation over the folds.

    Example:
        >>> random = np.random.default_rng(0)
        >>> labels = np.arange(30) % 2
        >>> vectors = random.normal(size=(30, 4)) + labels[:, None]
        >>> search_settings("gender", vectors, labels, np.arange(30) // 2).columns.tolist()
        ['task', 'C', 'gamma', 'score', 'deviation']
    """
    step = "svr" if task_name == "age" else "svc"
    factor = YEARS_PER_COST if task_name == "age" else 1
    grid = {f"{step}__C": [factor * cost for cost in GRID["C"]], f"{step}__gamma": GRID["gamma"]}
    search = GridSearchCV(
        make_pipeline(StandardScaler(), _make_machine(task_name)),
        grid,
        scoring="neg_mean_absolute_error" if task_name == "age" else "accuracy",
        cv=GroupKFold(FOLDS),
        refit=False,
    ).fit(vectors, labels, groups=groups)
    found = search.cv_results_
    table = pd.DataFrame(
        {
            "task": task_name,
            "C": np.asarray(found[f"param_{step}__C"], float),
            "gamma": np.asarray(found[f"param_{step}__gamma"], float),
            "score": found["mean_test_score"].round(5),
            "deviation": found["std_test_score"].round(5),
        }
    )
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _make_machine(task_name: str, **settings):
    if task_name == "age":
        return SVR(epsilon=TOLERANCE_YEARS, **settings)
    return SVC(decision_function_shape="ovo", **settings)


def fit_machine(
    task_name: str, vectors: np.ndarray, labels: np.ndarray, cost: float, gamma: float
) -> Machine:
    """Fit a machine; its decisions are not probabilities yet.

    Args:
        task_name: As for `search_settings`.
        vectors: As for `search_settings`.
        labels: As for `search_settings`; two different ones or more.
        cost: The setting `C`.
        gamma: Of the kernel.

    Returns:
        A machine with slopes and offsets of 0. For two classes the decision is positive for the
        second one, for more there is a decision for each pair of classes, positive for the first.

    Example:
        >>> vectors = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> machine = fit_machine("gender", vectors, np.array([0, 0, 1, 1]), cost=10, gamma=1)
        >>> (machine.decide(np.array([[0.0], [1.0]])) > 0).tolist()
        [[False], [True]]
    """
    scaler = StandardScaler().fit(vectors)
    standard = round_vectors(scaler.transform(vectors))
    svm = _make_machine(task_name, C=cost, gamma=gamma, cache_size=300)
    svm.fit(standard * STEP, labels)
    coefficients = _pair_coefficients(svm) if svm.dual_coef_.shape[0] > 1 else svm.dual_coef_.T
    nothing = np.zeros(1)
    return Machine(
        scaler.mean_, scaler.scale_, gamma, standard[svm.support_], coefficients,
        svm.intercept_, nothing, nothing,
    )  # fmt: skip


def _pair_coefficients(svm: SVC) -> np.ndarray:
    """Return the coefficient of each support vector in each pair of classes, (vectors, pairs).

    scikit-learn keeps for each vector one row per other class, in the order of the classes.
    """
    classes = len(svm.classes_)
    owners = np.repeat(np.arange(classes), svm.n_support_)
    pairs = [(one, two) for one in range(classes) for two in range(one + 1, classes)]
    coefficients = np.zeros((len(owners), len(pairs)))
    for column, (one, two) in enumerate(pairs):
        coefficients[owners == one, column] = svm.dual_coef_[two - 1, owners == one]
        coefficients[owners == two, column] = svm.dual_coef_[one, owners == two]
    return coefficients


def calibrate(task_name: str, machine: Machine, vectors: np.ndarray, labels: np.ndarray) -> Machine:
    """Return a machine whose decisions become probabilities.

    Args:
        task_name: As for `search_settings`.
        machine: From `fit_machine`.
        vectors: Embeddings of faces that the machine did not learn, (faces, dimensions).
        labels: Class indices or years, (faces,); for classes two different ones or more.

    Example:
        >>> vectors = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> labels = np.array([0, 0, 1, 1])
        >>> machine = fit_machine("gender", vectors, labels, cost=10, gamma=1)
        >>> calibrate("gender", machine, vectors, labels).slopes.shape  # one decision, two classes
        (1, 2)
    """
    decisions = machine.decide(vectors)
    if task_name == "age":
        years = decisions[:, 0]
        # The mean size of a normal error is sqrt(2 / pi) standard deviations.
        spread = np.abs(years - labels) * np.sqrt(np.pi / 2)
        slope, offset = np.polyfit(years, spread, 1)
        slopes, offsets = np.array([slope]), np.array([offset])
    else:
        count = len(LABELS[task_name])
        regression = LogisticRegression(C=SMOOTHING, max_iter=1000).fit(decisions, labels)
        kernel, bias = regression.coef_, regression.intercept_
        if len(kernel) == 1:  # two classes: only the second has a logit
            kernel, bias = np.concatenate([0 * kernel, kernel]), np.array([0, bias[0]])
        slopes, offsets = np.zeros((decisions.shape[1], count)), np.full(count, UNSEEN)
        seen = regression.classes_.astype(int)
        slopes[:, seen], offsets[seen] = kernel.T, bias
    return Machine(**{**vars(machine), "slopes": slopes, "offsets": offsets})


def train_svm(
    data: DataChoice,
    models_dir: Path | None,
    run: Path,
    seed: int = 0,
    embedder: str | None = None,
) -> None:
    """Train the machines of all tasks, and add them to the models as `svm`.

    The model becomes the default of no task. Its folder gets `svm.onnx`, `search.csv`,
    `predictions-TASK.parquet` and a card.

    Args:
        data: Where the data are; `sources` are `SOURCES` by default.
        models_dir: Folder of the registry; the run's folder by default.
        run: Folder of the run. It also gets the embeddings of all faces, `embeddings.npz`, which a
            second try in the same folder uses again.
        seed: Of the splits, and of the choice of faces.
        embedder: Name of a model with the task `embedding`; the default one if omitted.

    Raises:
        FileNotFoundError: If a dataset does not exist.
        ModelError: If there is no such embedding model.
        ValueError: If `run` holds another run, if a split has no faces with a label, or if files
            in `models_dir` are in the way.

    Example:
        >>> train_svm(DataChoice(Path("data/raw")), None, Path("run"))  # doctest: +SKIP
    """
    folder = (models_dir or run) / NAME
    check_run(run, resume=False)
    _check_folder(folder)
    entry, path = find_model(EMBEDDING, model=embedder)
    form = {"size": entry.input["size"], "channels": entry.input["channels"]}
    form |= {"scale": entry.input.get("scale", 1.0), "mirror": False}
    tasks = tuple(TASKS[name] for name in TASK_NAMES)
    course = Course(
        NAME, tasks, data.sources or SOURCES, side=form["size"], channels=form["channels"],
        scale=form["scale"],
    )  # fmt: skip
    manifest, crops, scores = load_data(course, data, seed)
    check_splits(manifest, tasks, ("train", "validation", "test"))
    vectors = _embed(entry, path, manifest, crops, run / "embeddings.npz")
    machines, searches = {}, []
    for name in TASK_NAMES:
        labels = _index_labels(name, manifest[name])
        learned, fitted = (
            _choose(name, manifest, labels, split) for split in ("train", "validation")
        )
        learned = np.random.default_rng(seed).permutation(learned)[:LEARNED]
        groups = number_groups(manifest)
        tried = learned[:SEARCHED]
        searches.append(search_settings(name, vectors[tried], labels[tried], groups[tried]))
        best = searches[-1].iloc[0]
        machine = fit_machine(name, vectors[learned], labels[learned], best["C"], best["gamma"])
        machines[name] = calibrate(name, machine, vectors[fitted], labels[fitted])
    file = folder / f"{NAME}.onnx"
    with replace_file(file) as temporary:
        onnx.save(build_svm(path, bool(entry.input.get("mirror")), machines), temporary)
    with replace_file(folder / "search.csv") as temporary:
        pd.concat(searches).to_csv(temporary, index=False)
    command = f"facekit train {NAME} --data {data.folder.as_posix()} --seed {seed}"
    command += f" --embedder {embedder}" if embedder else ""
    held_out = manifest["split"].isin(HELD_OUT_SPLITS).to_numpy()
    about = manifest.assign(copied=find_copied(manifest))[held_out]
    tables = {
        name: tabulate_answers(name, about[known], answers[known])
        for name, answers in zip(
            TASK_NAMES,
            _predict(file, crops[held_out], TASK_NAMES),
            strict=True,
        )
        if (known := about[name].notna().to_numpy()).any()
    }
    served = {}
    for name, table in tables.items():
        with replace_file(folder / f"predictions-{name}.parquet") as temporary:
            table.to_parquet(temporary, index=False, compression="zstd")
        figures = measure_attribute(name, table)
        served[name] = TaskEntry(list(LABELS[name]), {"seed": seed, "figures": figures})
    settings = {search["task"][0]: search.iloc[0] for search in searches}
    card = CARD.format(
        name=NAME,
        file=f"{NAME}/{file.name}",
        embedder=entry.name,
        tasks=", ".join(TASK_NAMES),
        side=form["size"],
        data=describe_data(manifest),
        learned=f"{LEARNED:,}",
        only=" From All-Age-Faces only gender was learned."
        if manifest["source"].isin(ONLY_GENDER).any()
        else "",
        split=describe_split(manifest),
        settings="; ".join(
            f"{name} C {best['C']:g}, gamma {best['gamma']:g}" for name, best in settings.items()
        ),
        folds=FOLDS,
        vectors=", ".join(f"{len(each.vectors):,} for {name}" for name, each in machines.items()),
        command=command,
        licence=describe_licence(list(dict.fromkeys(manifest["source"]))),
        figures="\n\n".join(
            f"{name}:\n\n{tabulate_figures(each.metrics['figures'])}"
            for name, each in served.items()
        ),
        weakest="\n\n".join(describe_weakest(name, table) for name, table in tables.items()),
        lost=describe_lost(scores),
        limits=" ".join(LIMITS[name] for name in TASK_NAMES),
    )
    write_text(folder / "README.md", card)
    trained = f"{describe_data(manifest)}; embeddings of the model {entry.name}"
    licence = describe_licence(list(dict.fromkeys(manifest["source"])))
    listed = ModelEntry(
        NAME, f"{NAME}/{file.name}", hash_file(file), form, served, trained, licence
    )
    save_entry(listed, folder.parent, default_for=())
    write_text(run / CONFIG, json.dumps({"command": command, "seed": seed}, indent=1) + "\n")
    for name, each in served.items():
        for figure in each.metrics["figures"]:
            print(
                f"{name}, {figure['source']} {figure['split']}, {figure['count']} images: "
                f"{figure['figure']} {figure['value']}"
            )


def number_groups(manifest: pd.DataFrame) -> np.ndarray:
    """Return a number for each group of each source, (faces,); a face without a group is one.

    Example:
        >>> number_groups(pd.DataFrame({"source": ["a", "b", "a"], "group": [1, 1, 1]})).tolist()
        [0, 1, 0]
    """
    alone = pd.Series(range(len(manifest)), index=manifest.index).map("face {}".format)
    groups = manifest["group"].astype(object).where(manifest["group"].notna(), alone)
    return pd.factorize(manifest["source"].astype(str) + " " + groups.astype(str))[0]


def _index_labels(task_name: str, labels: pd.Series) -> np.ndarray:
    """Return years, or class indices, (faces,) float; NaN without a label."""
    if task_name == "age":
        return labels.to_numpy(np.float64)
    return labels.map({name: row for row, name in enumerate(LABELS[task_name])}).to_numpy(float)


def _choose(task_name: str, manifest: pd.DataFrame, labels: np.ndarray, split: str) -> np.ndarray:
    """Return the rows of a split that a task learns from."""
    chosen = (manifest["split"] == split) & ~np.isnan(labels)
    if task_name != "gender":
        chosen &= ~manifest["source"].isin(ONLY_GENDER)
    return np.flatnonzero(chosen)


def _embed(
    entry: ModelEntry, path: Path, manifest: pd.DataFrame, crops: np.ndarray, cache: Path
) -> np.ndarray:
    """Return the embedding of each crop, as `embedding.embed` does, from a file if it has them."""
    names = np.array([entry.sha256, *manifest["path"].map(lambda path: Path(path).name)])
    if cache.exists():
        with np.load(cache) as kept:
            if np.array_equal(kept["names"], names):
                return kept["vectors"]
    (vectors,) = _predict(path, crops, [EMBEDDING])
    if entry.input.get("mirror"):
        vectors = (vectors + _predict(path, crops[:, :, ::-1], [EMBEDDING])[0]) / 2
    with replace_file(cache) as temporary:
        np.savez(temporary, names=names, vectors=vectors)
    return vectors


def _predict(path: Path, crops: np.ndarray, outputs) -> list[np.ndarray]:
    """Run an ONNX file over crops, a part at a time because they are large as float."""
    session = load_session(path)
    starts = range(0, len(crops), 512)
    parts = [run_session(session, normalise(crops[row : row + 512]), outputs) for row in starts]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def _check_folder(folder: Path) -> None:
    index = folder.parent / "index.json"
    listed = index.exists() and NAME in load_index(folder.parent).models
    if folder.exists() and any(folder.iterdir()) and not listed:
        raise ValueError(
            f"{folder}: is in the way, and no model of {index} owns it. Move it, or choose another "
            "folder with --models."
        )
