import functools
import json
import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from facekit.datasets.dataturks import read_dataturks
from facekit.datasets.manifest import BOX

LABELS = ["age", "gender", "ethnicity", "emotion"]


def make_face(labels: list[str], left=0.1, top=0.2, right=0.5, bottom=0.8) -> dict:
    points = [{"x": left, "y": top}, {"x": right, "y": bottom}]
    return {"label": labels, "notes": "", "points": points, "imageWidth": 400, "imageHeight": 200}


def write_dataturks(
    folder: Path, faces: dict[str, list[dict]], host="http://nowhere.invalid/bucket"
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            {
                "content": f"{host}/{name}",
                "annotation": faces_here,
                "extras": None,
                "metadata": {"sec_taken": 23},
            }
        )
        for name, faces_here in faces.items()
    ]
    (folder / "Face_Recognition.json").write_text("\n".join(lines) + "\n")
    return folder


def test_boxes_and_labels(save_noise, tmp_path):
    faces = [
        make_face(["Emotion_Happy", "Age_below20", "E_White", "G_Male"], left=0.0),
        make_face(["Emotion_Neutral", "Age_above_50", "E_Black", "G_ Female"], left=0.1),
        make_face(["Emotion_Sad"], left=0.2),
        make_face(["Emotion_Neutral", "Age_20_30", "E_Hispanic", "E_Arab", "G_Male"], left=0.3),
        make_face(["Emotion_Angry", "Age_30_40", "others", "others"], left=0.35),
        make_face(["Age_40_50", "E_White", "E_Asian", "G_Male"], left=0.4),
        make_face(["Not_Face"]),
        make_face(["Not_Face", "Age_40_50", "G_ Female"]),
        make_face([], left=0.6, right=0.6),
    ]
    folder = write_dataturks(
        tmp_path,
        {"x___a%20b.jpg.jpeg": faces, "empty.png": [], "far.png": [make_face(["G_Male"])]},
    )
    save_noise(folder / "images" / "x___a b.jpg.jpeg", 0)
    with pytest.warns(UserWarning) as warned:
        manifest = read_dataturks(folder)
    assert [str(warning.message).split("left out: ")[1] for warning in warned] == [
        "2 boxes of no face, 1 boxes without area",
        "1 faces whose image does not exist",
    ]
    assert manifest[LABELS].astype(object).where(
        manifest[LABELS].notna(), None
    ).to_numpy().tolist() == [
        [10, "male", "white", "happiness"],
        [60, "female", "black", "neutral"],
        [None, None, None, "sadness"],
        [25, "male", "other", "neutral"],
        [35, None, "other", "anger"],
        [45, "male", None, None],
    ]
    np.testing.assert_allclose(manifest.loc[1, list(BOX)].tolist(), [40, 40, 200, 160])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"Face_Recognition\.json: line 1 is damaged"),
        ("[]", "line 1 is damaged"),
        ('{"content": "http://a/b.jpg"}', "line 1 is damaged .*annotation"),
        (
            json.dumps({"content": "http://a/b.jpg", "annotation": [make_face(["E_Martian"])]}),
            "unknown label E_Martian",
        ),
        ("", "`rows` of dataturks must not be empty"),
    ],
)
def test_damage_is_named(line, message, tmp_path):
    (tmp_path / "Face_Recognition.json").write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        read_dataturks(tmp_path)


def test_without_images(tmp_path):
    folder = write_dataturks(tmp_path, {"a.jpg": [make_face(["G_Male"])]})
    with pytest.raises(
        FileNotFoundError,
        match=r"none of the 1 images listed exists.* put the images into .*images, or download",
    ):
        read_dataturks(folder)


def test_images_are_downloaded_and_failures_listed(save_noise, tmp_path):
    save_noise(tmp_path / "server" / "good.jpg", 0)
    (tmp_path / "server" / "sorry.jpg").write_text("<html>gone</html>")

    class QuietHandler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(QuietHandler, directory=tmp_path / "server")
    faces = {name: [make_face(["G_Male"])] for name in ("good.jpg", "missing.jpg", "sorry.jpg")}
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        folder = write_dataturks(
            tmp_path / "dataturks", faces, f"http://127.0.0.1:{server.server_port}"
        )
        with (folder / "Face_Recognition.json").open("a") as file:
            file.write(
                json.dumps(
                    {"content": "file:///etc/local.jpg", "annotation": [make_face(["G_Male"])]}
                )
            )
        with pytest.warns(UserWarning) as warned:
            manifest = read_dataturks(folder, download=True)
        server.shutdown()
    assert [Path(path).stem for path in manifest["path"]] == ["good"]
    assert [path.name for path in (folder / "images").iterdir()] == ["good.jpg"]
    failures = str(warned[0].message)
    assert failures.startswith("3 of 4 images could not be downloaded: ")
    assert all(
        name in failures
        for name in (
            "missing.jpg (HTTP Error 404",
            "sorry.jpg (cannot identify",
            "local.jpg (not an address",
        )
    )


@pytest.mark.data
def test_the_real_file(data_dir, tmp_path):
    table = data_dir / "dataturks" / "Face_Recognition.json"
    if not table.is_file():
        pytest.skip(f"{table} is not there")
    (tmp_path / table.name).write_bytes(table.read_bytes())
    (tmp_path / "images").mkdir()
    for line in table.read_text().splitlines():
        (tmp_path / "images" / Path(json.loads(line)["content"]).name).touch()
    with pytest.warns(UserWarning, match="left out: 138 boxes of no face, 1 boxes without area"):
        manifest = read_dataturks(tmp_path)
    assert len(manifest) == 212
    assert manifest[["age", "gender", "ethnicity", "emotion"]].notna().sum().tolist() == [
        198,
        197,
        198,
        212,
    ]


@pytest.mark.data
def test_what_the_real_file_holds(data_dir, tmp_path):
    """The file to the letter, counted without the reader; then what the reader makes of it."""
    table = data_dir / "dataturks" / "Face_Recognition.json"
    if not table.is_file():
        pytest.skip(f"{table} is not there")
    photos = [json.loads(line) for line in table.read_text().splitlines()]
    boxes = [box["label"] for photo in photos for box in photo["annotation"] or []]
    assert (len(photos), len(boxes)) == (120, 351)
    assert sum("Not_Face" not in labels for labels in boxes) == 213
    counts = Counter(label for labels in boxes for label in set(labels))
    assert counts["G_ Female"] == 108
    assert counts["G_Female"] == 0  # always with its blank
    assert (counts["E_Arab"], counts["others"], counts["E_Hispanic"]) == (2, 1, 7)
    # One woman is in a box of no face, one face is Arab and Hispanic, both of which are `other`.
    (tmp_path / table.name).write_bytes(table.read_bytes())
    (tmp_path / "images").mkdir()
    for photo in photos:
        (tmp_path / "images" / Path(photo["content"]).name).touch()
    with pytest.warns(UserWarning, match="left out"):
        manifest = read_dataturks(tmp_path)
    assert manifest["gender"].value_counts().to_dict() == {"female": 107, "male": 90}
    assert manifest["ethnicity"].value_counts().to_dict() == {
        "white": 103, "indian": 49, "black": 21, "asian": 16, "other": 9,
    }  # fmt: skip
    assert manifest["emotion"].value_counts().to_dict() == {
        "neutral": 128, "happiness": 67, "sadness": 10, "anger": 7,
    }  # fmt: skip
    assert manifest["age"].value_counts().to_dict() == {25: 90, 35: 61, 10: 18, 45: 16, 60: 13}
    assert manifest["path"].nunique() == 97  # the other 23 photos have no face


@pytest.mark.parametrize("name", [".", "missing"])
def test_an_empty_folder_says_where_to_get_the_data(name, tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"no files like \S+; data/README\.md says where to get this dataset",
    ):
        read_dataturks(tmp_path / name)
