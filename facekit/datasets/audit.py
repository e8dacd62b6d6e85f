"""Find what is wrong with a dataset before anybody trains on it: one table of findings, and counts.

A finding says how many of how many, gives examples, and names a remedy. Groups of the same photo
come with the manifest, detection scores from `crops`, hashes from `fingerprints`; the plots are in
`plotting`. Findings that need labels or splits which a manifest does not have are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.fingerprints import take_fingerprints
from facekit.datasets.manifest import SPLITS
from facekit.images import IMAGE_SUFFIXES
from facekit.taxonomy import (
    AGE_BANDS,
    AGE_SCHEMES,
    DEFAULT_AGE_SCHEME,
    LABELS,
    name_age_ranges,
)

FINDING_COLUMNS = ("finding", "count", "total", "share", "detail", "examples", "remedy")
EXAMPLES = 3
NO_SPLIT = "no split"
# Subgroups are made of these labels; a dataset of emotions only is counted by emotion.
CROSSED = ("age", "ethnicity", "gender")
# People who guess an age are wrong by about as much. Two labels further apart are not two guesses
# about one face.
AGE_TOLERANCE_YEARS = 5
PUBLISHED_SPLITS = ("train", "validation", "val", "test")  # folders of datasets that come split

# Whipple's index: five times the percentage of ages ending in 0 or 5, from 23 to 62 years, and the
# United Nations' words for it.
WHIPPLE_YEARS = (23, 62)
WHIPPLE_GRADES = {
    105: "highly accurate",
    110: "fairly accurate",
    125: "approximate",
    175: "rough",
    np.inf: "very rough",
}


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes:
        findings: One row per finding, with `FINDING_COLUMNS`; `count` and `share` are missing where
            something was not measured.
        age_counts: Faces by year of age, from 0 to the oldest; empty where no ages are labelled.
        cell_counts: Faces by subgroup, one level of the index for each label crossed, empty
            subgroups included.
        label_counts: Faces by attribute and label (rows) and split (columns).

    Example:
        >>> from facekit.datasets.manifest import make_manifest
        >>> manifest = make_manifest([{"path": "no such file.jpg", "gender": "male"}], "mine")
        >>> audit_manifest(manifest).cell_counts.to_dict()
        {'female': 0, 'male': 1}
    """

    findings: pd.DataFrame
    age_counts: pd.Series
    cell_counts: pd.Series
    label_counts: pd.DataFrame

    def __post_init__(self) -> None:
        if tuple(self.findings.columns) != FINDING_COLUMNS:
            raise ValueError(
                f"`findings` must have the columns {', '.join(FINDING_COLUMNS)};"
                f" got {', '.join(self.findings.columns)}."
            )


def audit_manifest(
    manifest: pd.DataFrame, left_out: Sequence[str] = (), scores: np.ndarray | None = None
) -> Audit:
    """Find what is wrong with the files, labels and splits of a manifest.

    Args:
        manifest: From `manifest.make_manifest`. Every picture is decoded once, and not again if its
            fingerprint was taken before; a missing one counts as unreadable.
        left_out: Paths that the dataset's reader did not use, from `list_left_out`.
        scores: (faces,) detection scores from `crops`: 0 where no face was found, NaN where the
            picture cannot be read.

    Raises:
        ValueError: If the number of `scores` is not that of the faces.

    Example:
        >>> from facekit.datasets.manifest import make_manifest
        >>> audit = audit_manifest(make_manifest([{"path": "no such file.jpg"}], "mine"))
        >>> audit.findings.set_index("finding").loc["unreadable files", ["count", "total"]].tolist()
        [1, 1]
    """
    if scores is not None and np.shape(scores) != (len(manifest),):
        raise ValueError(
            f"`scores` must have shape ({len(manifest)},), one score per row of the manifest;"
            f" got {np.shape(scores)}."
        )
    manifest = manifest.reset_index(drop=True)
    hashes = manifest["path"].map(_hash_images(manifest["path"].unique().tolist()))
    # where subjects are known, groups are theirs
    photos = manifest["group"].where(manifest["subject"].isna())
    first = ~manifest["path"].duplicated()  # an image of several faces has several rows
    unreadable = manifest["path"][first & hashes.isna()]
    # The middles of bands would count as heaped.
    years = manifest["age"][~manifest["source"].isin(AGE_BANDS)].dropna()
    classes = _classify(manifest)
    cell_counts = _count_cells(classes)
    findings = [
        _make_finding(
            "malformed names or unused labels",
            len(left_out),
            len(left_out) + first.sum(),
            "the reader leaves them out",
            "",
            left_out,
        ),
        _make_finding(
            "unreadable files", len(unreadable), first.sum(), "fetch them again", "", unreadable
        ),
        *_find_duplicates(manifest[first], hashes[first], "identical files"),
        *_find_duplicates(manifest[first], photos[first], "same photo"),
        *_find_heaping(years),
        *_find_imbalance(cell_counts),
        _find_non_faces(manifest["path"], scores),
        *_find_leaks(
            manifest,
            {"identical files": hashes, "same photo": photos, "same subject": manifest["subject"]},
        ),
    ]
    return Audit(
        pd.DataFrame(findings, columns=list(FINDING_COLUMNS)).astype(
            {"count": "Int64", "total": "Int64", "share": "float64"}
        ),
        _count_ages(years),
        cell_counts,
        _count_labels(classes, manifest["split"].astype(object).fillna(NO_SPLIT)),
    )


def list_left_out(folder: Path, manifest: pd.DataFrame) -> list[str]:
    """Return the pictures below a dataset's folder that its manifest does not list.

    Such are pictures whose name or folder holds no known label.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("a.jpg", "b.jpg"):
        ...     (folder / name).touch()
        >>> manifest = pd.DataFrame({"path": [str(folder / "a.jpg")]})
        >>> [Path(path).name for path in list_left_out(folder, manifest)]
        ['b.jpg']
    """
    known = set(manifest["path"])
    found = (str(path) for path in Path(folder).rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(path for path in found if path not in known)


def _make_finding(
    finding: str,
    count: int | None,
    total: int,
    remedy: str,
    detail: str = "",
    paths: Iterable[str] = (),
) -> dict:
    names = [Path(path).name for path in paths]
    examples = ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
    share = None if count is None or not total else round(count / total, 4)
    return dict(
        zip(FINDING_COLUMNS, (finding, count, total, share, detail, examples, remedy), strict=True)
    )


def _hash_images(paths: list[str]) -> dict[str, str | None]:
    """Return the hash of each file's bytes, `None` if it is not a readable picture."""
    fingerprints = zip(paths, take_fingerprints(paths), strict=True)
    return {path: each.sha256 if each.is_readable else None for path, each in fingerprints}


# === Duplicates ===


def _find_duplicates(files: pd.DataFrame, keys: pd.Series, kind: str) -> list[dict]:
    """Count files that repeat an earlier one's key, and groups of equal keys with other labels."""
    if keys.isna().all():
        return []
    repeated = files[keys.notna() & keys.duplicated(keep=False)].groupby(keys)
    differ = {
        f"age by more than {AGE_TOLERANCE_YEARS} years": repeated["age"].max()
        - repeated["age"].min()
        > AGE_TOLERANCE_YEARS
    }
    differ |= {label: repeated[label].nunique() > 1 for label in ("gender", "ethnicity", "emotion")}
    differing = pd.DataFrame(differ)
    detail = ", ".join(f"{label} {count}" for label, count in differing.sum().items() if count)
    copies = files["path"][keys.notna() & keys.duplicated()]
    return [
        _make_finding(
            f"{kind}: further copies",
            len(copies),
            keys.notna().sum(),
            "split by group",
            f"in {len(differing):,} groups",
            copies,
        ),
        _make_finding(
            f"{kind}: groups with different labels",
            differing.any(axis=1).sum(),
            len(differing),
            "look, and drop the group",
            detail,
        ),
    ]


# === Labels ===


def _find_heaping(ages: pd.Series) -> list[dict]:
    counted = ages[ages.between(*WHIPPLE_YEARS)]
    if counted.empty:
        return []
    share = np.mean(counted % 5 == 0)
    grade = next(words for bound, words in WHIPPLE_GRADES.items() if 500 * share < bound)
    first, last = WHIPPLE_YEARS
    index = f"Whipple's index {500 * share:.0f}, {grade}; 100 without heaping"
    return [
        _make_finding(
            "ages ending in 0 or 5",
            (ages % 5 == 0).sum(),
            len(ages),
            "predict classes, not years",
            "20% without heaping",
        ),
        _make_finding(
            f"ages ending in 0 or 5, {first} to {last}",
            (counted % 5 == 0).sum(),
            len(counted),
            "smooth the targets over years",
            index,
        ),
    ]


def _find_imbalance(cell_counts: pd.Series) -> list[dict]:
    filled = cell_counts[cell_counts > 0]
    if filled.empty:
        return []
    crossed = " x ".join(map(str, filled.index.names))
    cells = filled.index.to_frame().astype(str).agg(" ".join, axis=1).tolist()  # their names
    smallest, largest = (cells[place] for place in (filled.argmin(), filled.argmax()))
    largest_detail = f"{largest}, {filled.max() / filled.min():.0f} times the smallest"
    return [
        _make_finding(
            f"{crossed}: empty subgroups",
            (cell_counts == 0).sum(),
            len(cell_counts),
            "make no claims about them",
        ),
        _make_finding(
            f"{crossed}: smallest subgroup",
            int(filled.min()),
            int(filled.sum()),
            "report by subgroup, with intervals",
            smallest,
        ),
        _make_finding(
            f"{crossed}: largest subgroup",
            int(filled.max()),
            int(filled.sum()),
            "weigh, or draw evenly",
            largest_detail,
        ),
    ]


def _classify(manifest: pd.DataFrame) -> pd.DataFrame:
    bounds = (*AGE_SCHEMES[DEFAULT_AGE_SCHEME], np.inf)
    ages = pd.cut(manifest["age"], bounds, right=False, labels=name_age_ranges())
    classes = pd.DataFrame({"age": ages})
    for label in ("gender", "ethnicity", "emotion"):
        classes[label] = pd.Categorical(manifest[label], LABELS[label])
    return classes.dropna(axis=1, how="all")


def _count_ages(ages: pd.Series) -> pd.Series:
    years = np.floor(ages).astype(int)
    return years.value_counts().reindex(range(years.max() + 1 if len(years) else 0), fill_value=0)


def _count_cells(classes: pd.DataFrame) -> pd.Series:
    crossed = [label for label in CROSSED if label in classes] or list(map(str, classes))
    return (
        classes.groupby(crossed, observed=False).size()
        if crossed
        else pd.Series(dtype=int).rename_axis("subgroup")
    )


def _count_labels(classes: pd.DataFrame, splits: pd.Series) -> pd.DataFrame:
    present = [split for split in (*SPLITS, NO_SPLIT) if (splits == split).any()]
    counts = {
        label: pd.crosstab(classes[label], splits, dropna=False).reindex(columns=present)
        for label in classes
    }
    counts = {label: table[table.index.notna()] for label, table in counts.items()}
    return pd.concat(counts) if counts else pd.DataFrame(columns=present, dtype=int)


# === Faces and splits ===


def _find_non_faces(paths: pd.Series, scores: np.ndarray | None) -> dict:
    finding, remedy = "no face found by MTCNN", "look at them: no face, or an unusual one"
    if scores is None:
        return _make_finding(finding, None, len(paths), remedy, "not measured")
    missed = paths[np.asarray(scores) == 0]
    return _make_finding(finding, len(missed), len(paths), remedy, "", missed)


def _find_leaks(manifest: pd.DataFrame, keys: dict[str, pd.Series]) -> list[dict]:
    """Count held-out faces whose file, photo or subject is in another split, too.

    First in the folders as published, then in the manifest's splits.
    """
    published = manifest["path"].map(
        lambda path: next(
            (part for part in Path(path).parts[-2::-1] if part in PUBLISHED_SPLITS), None
        )
    )
    dealt = manifest["split"].where(manifest["split"] != "excluded")
    rows = []
    for name, sides, remedy in (
        ("published split", published, "leave them out of training"),
        ("split", dealt, "choose a protocol that does not leak"),
    ):
        held_out = sides.notna() & (sides != "train")
        for kind, of in keys.items():
            if sides.nunique() > 1 and of.notna().any():
                leaking = held_out & (sides.groupby(of).transform("nunique") > 1)
                rows.append(
                    _make_finding(
                        f"{name} leaks: {kind}",
                        leaking.sum(),
                        held_out.sum(),
                        remedy,
                        "",
                        manifest["path"][leaking],
                    )
                )
    return rows


def format_findings(findings: pd.DataFrame) -> str:
    """Return findings as text: one line each, and below it examples and the remedy.

    Example:
        >>> from facekit.datasets.manifest import make_manifest
        >>> findings = audit_manifest(make_manifest([{"path": "missing.jpg"}], "mine")).findings
        >>> print(format_findings(findings[findings["finding"] == "unreadable files"]))
        1 of 1  100.0%  unreadable files
                        missing.jpg; fetch them again
    """
    lines = []
    for found in findings.fillna({"count": -1, "share": 0}).to_dict("records"):
        measured = f"{'-':>9}{'':20}"
        if found["count"] >= 0:
            measured = f"{found['count']:>9,} of {found['total']:<9,} {found['share']:>6.1%}"
        described = ", ".join(filter(None, (found["finding"], found["detail"])))
        lines.append(f"{measured}  {described}")
        if found["count"] > 0:
            remedy = "; ".join(filter(None, (found["examples"], found["remedy"])))
            lines.append(f"{'':31}{remedy}")
    return "\n".join(lines)
