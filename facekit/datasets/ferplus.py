"""Read FER+: the images of FER2013 with the votes of ten people for each.

The images are read by `folders.read_fer2013`. FER+ names the seven emotions as facekit does.

Reference: Barsoum et al., 2016, Training deep networks for facial expression recognition with
crowd-sourced label distribution (doi 10.1145/2993148.2993165).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from facekit.datasets.file_lists import read_rows, warn_left_out
from facekit.datasets.folders import FER2013_TABLES, read_fer2013
from facekit.datasets.manifest import VOTES, make_manifest
from facekit.taxonomy import EMOTIONS

# The votes by the path of an image, and as released: in the order of the challenge's csv.
FERPLUS_TABLE, RELEASED_TABLE = "ferplus.csv", "fer2013new.csv"
# The other answers, and what an image is called that has one of them as its most frequent.
OTHER_ANSWERS = {
    "NF": "images that are not a face",
    "unknown": "images that are mostly unknown",
    "contempt": "images of contempt",
}
ANSWERS = (*EMOTIONS, *OTHER_ANSWERS)


def read_ferplus(folder: Path) -> pd.DataFrame:
    r"""Read the images of FER2013 with the votes of FER+.

    The folder is FER2013's, with `ferplus.csv` in it: `image`, the path below the folder, then the
    number of votes for each answer. Beside the challenge's `fer2013.csv`, the file of the release,
    `fer2013new.csv`, is read as well.

    An image is kept if one emotion has more votes than any other answer: this emotion is its label.
    All others are left out and counted: images whose most frequent answer is not a face, unknown or
    contempt, and images with a tie between emotions. Votes for these other answers are dropped from
    the images that are kept. The splits are FER2013's.

    Returns:
        A manifest with the columns `manifest.VOTES`.

    Raises:
        FileNotFoundError: If the folder holds no such files.
        ValueError: If a row of the table is damaged, or no image is left.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for emotion in EMOTIONS:
        ...     (folder / "train" / emotion).mkdir(parents=True)
        ...     (folder / "train" / emotion / "1.png").touch()
        >>> rows = [f"train/{emotion}/1.png,6,0,0,3,0,0,0,1,0,0" for emotion in EMOTIONS]
        >>> header = "image,neutral,happiness,surprise,sadness,anger,disgust,fear"
        >>> header += ",contempt,unknown,NF"
        >>> _ = (folder / "ferplus.csv").write_text("\n".join([header, *rows]))
        >>> read_ferplus(folder)[["emotion", "votes_neutral"]].to_numpy().tolist()[0]
        ['neutral', 6.0]
    """
    folder = Path(folder)
    images = read_fer2013(folder)
    counts = _find_votes(folder, images["path"])
    known = counts.notna().all(axis=1)
    most = counts.max(axis=1)
    first = counts.eq(most, axis=0) & (most > 0).to_numpy()[:, None]  # the most frequent answers
    kept = known & (first.sum(axis=1) == 1) & first[list(EMOTIONS)].any(axis=1)
    left_out = {"images without votes": int((~known).sum())}
    rest = known & ~kept
    for answer, described in OTHER_ANSWERS.items():
        left_out[described] = int((rest & first[answer]).sum())
        rest &= ~first[answer]
    left_out["images with a tie between emotions"] = int(rest.sum())
    warn_left_out(folder, left_out)
    chosen = counts.loc[kept, list(EMOTIONS)]
    table = images.loc[kept, ["path", "split"]].assign(emotion=chosen.idxmax(axis=1))
    table[list(VOTES)] = chosen.to_numpy()
    return make_manifest(table.to_dict("records"), "ferplus")


def _find_votes(folder: Path, paths: pd.Series) -> pd.DataFrame:
    """Return the votes for each answer, float64, one row per image; NaN where there are none."""
    table = folder / FERPLUS_TABLE
    released = not table.is_file() and (folder / FER2013_TABLES[0]).is_file()
    if released:
        table = folder / RELEASED_TABLE
    if not table.is_file():
        raise FileNotFoundError(
            f"{table}: no such file; data/ferplus.md says where to get the votes of FER+."
        )
    votes = {}
    for line, row in read_rows(table, ("Usage" if released else "image", *ANSWERS)):
        # Pictures of the challenge's csv are unpacked to USAGE/LABEL/LINE.png.
        name = f"{row['Usage']}/{line:05d}" if released else row["image"]
        try:
            votes[name.casefold()] = [int(row[answer]) for answer in ANSWERS]
        except ValueError as error:
            raise ValueError(
                f"{table}: line {line} is damaged ({error}); download the file again."
            ) from None
    places = [Path(path).relative_to(folder) for path in paths]
    names = [
        f"{place.parts[-3]}/{place.stem}" if released else place.as_posix() for place in places
    ]
    counts = pd.DataFrame.from_dict(votes, "index", columns=list(ANSWERS), dtype="float64")
    found = counts.reindex([name.casefold() for name in names]).set_axis(paths.index)
    if found.isna().all(axis=None):
        raise ValueError(
            f"{table}: has no votes for the {len(paths)} images of the folder, such as {names[0]};"
            " see data/ferplus.md."
        )
    return found
