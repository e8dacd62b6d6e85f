"""FER+: which images are kept, their labels and votes, and both forms of the table."""

from pathlib import Path

import numpy as np
import pytest

from facekit.datasets.ferplus import read_ferplus
from facekit.datasets.manifest import COLUMNS, VOTES
from facekit.datasets.protocols import split_by_protocol
from facekit.taxonomy import FER2013_EMOTIONS

HEADER = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.fixture
def folder(save_noise, tmp_path) -> Path:
    """FER2013's folders: four images of each label, of which one is in the validation part."""
    for index, label in enumerate(FER2013_EMOTIONS):
        for number in range(4):
            split = "train" if number else "validation"
            save_noise(tmp_path / split / label / f"{number}.png", 10 * index + number)
    return tmp_path


def write_votes(folder: Path, votes: dict[str, str]) -> None:
    rows = [f"{image},{counts}" for image, counts in votes.items()]
    (folder / "ferplus.csv").write_text("\n".join([f"image,{HEADER}", *rows]))


def list_images(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))]


def test_the_most_frequent_emotion_is_the_label(folder):
    votes = dict.fromkeys(list_images(folder), "6,0,0,3,0,0,0,1,0,0")
    votes |= {"Train/Happy/1.png": votes.pop("train/happy/1.png")}  # as on other systems
    votes["train/sad/2.png"] = "2,0,0,0,3,0,1,2,2,0"
    write_votes(folder, votes)
    manifest = read_ferplus(folder)
    assert tuple(manifest.columns) == COLUMNS + VOTES
    assert len(manifest) == 28
    assert set(manifest["source"]) == {"ferplus"}
    names = manifest["path"].map(lambda path: Path(path).relative_to(folder).as_posix())
    labels = manifest.set_index(names)
    assert labels.loc["train/happy/1.png", "emotion"] == "neutral"
    assert labels.loc["train/happy/1.png", list(VOTES)].tolist() == [0, 0, 0, 0, 6, 3, 0]
    assert labels.loc["train/sad/2.png", "emotion"] == "anger"
    assert labels.loc["train/sad/2.png", list(VOTES)].tolist() == [3, 0, 1, 0, 2, 0, 0]
    split = split_by_protocol(manifest, "official")
    assert split["split"].value_counts()["test"] == 7


def test_other_images_are_left_out_and_counted(folder):
    first, *others = list_images(folder)
    cases = (
        "0,0,0,0,0,0,0,0,0,10",  # not a face
        "3,0,0,0,0,0,0,0,3,4",  # not a face
        "3,0,0,2,0,0,0,0,5,0",  # unknown
        "4,0,0,0,0,0,0,0,4,2",  # a tie with unknown
        "3,0,0,2,0,0,0,5,0,0",  # contempt
        "4,0,0,4,2,0,0,0,0,0",  # a tie of emotions
    )
    kept = "4,0,0,3,3,0,0,0,0,0"
    write_votes(folder, dict(zip(others, (*cases, *[kept] * 20), strict=False)))
    with pytest.warns(UserWarning) as warned:
        manifest = read_ferplus(folder)
    assert len(manifest) == 20
    assert first not in set(manifest["path"])
    assert str(warned[0].message).endswith(
        "left out: 2 images without votes, 2 images that are not a face, 2 images that are mostly"
        " unknown, 1 images of contempt, 1 images with a tie between emotions"
    )


def test_the_release_is_joined_by_lines(tmp_path):
    pixels = " ".join(["7"] * 48 * 48)
    usages = ("Training", "PublicTest", "PrivateTest")
    rows = [f"{code},{pixels},{usages[code % 3]}" for code in range(7)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    votes = [
        ",".join([row.rsplit(",", 1)[1], f"fer{line:07d}.png", *counts.astype(str)])
        for line, (row, counts) in enumerate(zip(rows, 9 * np.eye(7, 10, dtype=int), strict=True))
    ]
    (tmp_path / "fer2013new.csv").write_text("\n".join([f"Usage,Image name,{HEADER}", *votes]))
    manifest = read_ferplus(tmp_path)
    lines = manifest["path"].map(lambda path: int(Path(path).stem))
    labels = manifest.set_index(lines).sort_index()
    assert labels["emotion"].tolist() == [
        "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear",
    ]  # fmt: skip
    assert labels["split"].tolist()[:3] == ["train", "validation", "test"]


def test_damage_and_missing_votes_are_named(folder):
    with pytest.raises(FileNotFoundError, match=r"ferplus\.csv: no such file; data/ferplus\.md"):
        read_ferplus(folder)
    write_votes(folder, {"train/sad/1.png": "1,2,3,4,many,0,0,0,0,0"})
    with pytest.raises(ValueError, match=r"ferplus\.csv: line 2 is damaged \(.*many.*\); download"):
        read_ferplus(folder)
    write_votes(folder, {"elsewhere/1.png": "9,0,0,0,0,0,0,0,0,0"})
    with pytest.raises(ValueError, match="has no votes for the 28 images of the folder, such as"):
        read_ferplus(folder)
    write_votes(folder, {})
    with pytest.raises(ValueError, match="has no votes for the 28 images"):
        read_ferplus(folder)


@pytest.mark.parametrize("name", [".", "missing"])
def test_an_empty_folder_says_where_to_get_the_data(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no files like|No such file"):
        read_ferplus(tmp_path / name)
