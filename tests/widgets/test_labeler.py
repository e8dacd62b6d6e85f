from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facekit.datasets.manifest import BOX, load_manifest, make_manifest
from facekit.taxonomy import LABELS

pytest.importorskip(
    "anywidget", reason="anywidget is not installed: pip install 'facekit[notebooks]'"
)

from facekit.datasets.annotations import read_dataturks
from facekit.widgets.labeler import LABEL_KEYS, Labeler, draw_face

COMMAND_KEYS = {"z", "k", "x", "Enter", "ArrowLeft", "ArrowRight", "Backspace", *"0123456789"}


@pytest.fixture
def table(tmp_path):
    """Three faces, one per photo, the last of them cropped to it."""
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for seed, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)).save(
            path
        )
    rows = [{"path": str(path)} for path in paths]
    rows[0] |= dict(zip(BOX, (10, 10, 30, 40), strict=True))
    rows[1] |= dict(zip(BOX, (60, 40, 90, 70), strict=True))  # beyond the frame
    return make_manifest(rows, "mine")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "mine.parquet"


@pytest.fixture
def sent(monkeypatch) -> list[tuple[dict, list]]:
    messages = []
    monkeypatch.setattr(
        Labeler, "send", lambda self, content, buffers=(): messages.append((content, buffers))
    )
    return messages


def press(labeler: Labeler, *keys: str) -> None:
    for key in keys:
        labeler.press(key)


def test_every_label_has_a_key_of_its_own():
    assert {
        label for name, labels in LABELS.items() if name != "age" for label in labels
    } == LABEL_KEYS.keys()
    keys = list(LABEL_KEYS.values())
    assert len({*keys, *COMMAND_KEYS}) == len(keys) + len(COMMAND_KEYS)


def test_it_tells_what_there_is_to_do(table, path):
    labeler = Labeler(table, path)
    assert (labeler.position, labeler.count, labeler.name, labeler.state) == (0, 3, "a.png", "open")
    assert [choice["attribute"] for choice in labeler.choices] == ["age", "gender", "emotion"]
    assert labeler.choices[:2] == [
        {"attribute": "age", "labels": []},
        {"attribute": "gender", "labels": [["female", "f"], ["male", "m"]]},
    ]
    assert labeler.file == str(path)
    assert not path.exists()


def test_labels_by_keys(table, path):
    labeler = Labeler(table, path)
    press(labeler, *"34Fh")
    assert labeler.labels == {"age": "34", "gender": "female", "emotion": "happiness"}
    assert labeler.state == "labelled"
    press(labeler, "h")  # the same key again takes it away
    press(labeler, "w", "q", "Tab", "²")  # not requested; without a meaning
    assert labeler.labels == {"age": "34", "gender": "female"}
    press(labeler, "Enter")
    assert (labeler.position, labeler.labels, labeler.judged) == (
        1,
        {},
        {"labelled": 1, "skipped": 0, "not a face": 0},
    )
    assert load_manifest(path)["age"].tolist() == [34]


@pytest.mark.parametrize(
    ("keys", "age"),
    [
        (["7"], "7"),
        (["1", "2", "0"], "120"),
        (["1", "2", "1"], "1"),  # no person is 121: the last digit begins anew
        (["3", "4", "Backspace"], "3"),
        (["3", "Backspace"], None),
        (["3", "4", "f", "5"], "5"),  # a number that was left is not added to
        (["3", "4", "ArrowRight", "ArrowLeft", "Backspace"], None),
        (["0", "3"], "3"),
    ],
)
def test_ages_are_typed(keys, age, table, path):
    labeler = Labeler(table, path)
    press(labeler, *keys)
    assert labeler.labels.get("age") == age


def test_undo_takes_a_whole_age_back(table, path):
    labeler = Labeler(table, path)
    press(labeler, *"34", "f", "z")
    assert labeler.labels == {"age": "34"}
    press(labeler, "z")
    assert labeler.labels == {}
    press(labeler, "z")
    assert labeler.message == ""


def test_the_way_to_the_end_and_back(table, path):
    labeler = Labeler(table, path)
    press(labeler, "Enter")
    assert labeler.message == "This face has no label yet: give it one, or skip it."
    press(labeler, "ArrowRight", "ArrowLeft")
    assert labeler.message == ""
    press(labeler, "m", "Enter", "x", "k")
    assert (labeler.position, labeler.name, labeler.labels) == (3, "", {})
    assert labeler.judged == {"labelled": 1, "skipped": 1, "not a face": 1}
    press(labeler, "m", "5", "Enter", "ArrowRight")  # nothing is left to label
    assert labeler.position == 3
    press(labeler, "ArrowLeft")
    assert (labeler.position, labeler.state) == (2, "skipped")
    press(labeler, "ArrowLeft")
    assert labeler.state == "not a face"
    again = Labeler(table, path)
    assert again.position == 3


def test_proposals_are_shown_and_accepted(table, path):
    labeler = Labeler(table.assign(gender="male", age=1.5), path)
    assert (labeler.labels, labeler.state) == ({"age": "1.5", "gender": "male"}, "open")
    press(labeler, "Enter")
    press(labeler, *"40")
    assert load_manifest(path)["age"].tolist() == [1.5, 40]


def test_a_key_for_another_face_is_not_heard(table, path, sent):
    labeler = Labeler(table, path)
    labeler._receive(None, {"press": "m", "position": 0}, [])
    labeler._receive(None, {"press": "Enter", "position": 0}, [])
    labeler._receive(
        None, {"press": "f", "position": 0}, []
    )  # pressed before the next face was there
    assert (labeler.position, labeler.labels) == (1, {})
    labeler._receive(None, {"age": "41", "position": 1}, [])
    assert labeler.labels == {"age": "41"}
    labeler._receive(None, {"age": "4x2", "position": 1}, [])
    assert (labeler.labels, labeler.position) == ({"age": "42"}, 1)


def test_the_page_is_sent_the_face_and_its_photo(table, path, sent):
    labeler = Labeler(table, path)
    labeler._receive(None, {"show": True, "position": 0}, [])
    content, (face, photo) = sent.pop()
    assert content == {"position": 0, "box": [0.125, 0.1667, 0.25, 0.5], "error": ""}
    assert face.startswith(b"\xff\xd8")
    assert photo.startswith(b"\xff\xd8")
    assert "face" not in labeler.get_state()


def test_a_broken_photo_does_not_stop_the_rest(table, path, sent):
    labeler = Labeler(table, path)
    Path(table["path"][0]).write_bytes(b"broken")
    Path(table["path"][1]).unlink()
    for position, message in enumerate(
        ("a.png: is not a picture that can be read; save it", "b.png: no such file; check")
    ):
        labeler._receive(None, {"show": True, "position": position}, [])
        content, buffers = sent.pop()
        assert message in content["error"]
        assert buffers == []
        press(labeler, "k")
    labeler._receive(None, {"show": True, "position": 2}, [])
    assert sent.pop()[0]["error"] == ""
    press(labeler, "k")
    labeler._receive(None, {"show": True, "position": 3}, [])
    assert sent == []


def test_a_file_that_cannot_be_written_is_reported(table, path, monkeypatch):
    labeler = Labeler(table, path)

    def fail(*_):
        raise PermissionError("mine.parquet: may not be written")

    monkeypatch.setattr("facekit.datasets.labelling.save_manifest", fail)
    press(labeler, "m")
    assert labeler.message == "mine.parquet: may not be written"


@pytest.mark.parametrize("size", [(1, 1), (3000, 20), (640, 480)])
def test_faces_are_drawn_at_any_size(size, tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", size).save(path)
    whole, photo, box = draw_face(str(path), np.full(4, np.nan))
    assert (photo, box) == (b"", [])
    assert whole.startswith(b"\xff\xd8")
    _, photo, box = draw_face(str(path), np.array([0, 0, size[0], size[1]], float))
    assert box == [0, 0, 1, 1]
    beside, _, _ = draw_face(str(path), np.array([9000, 9000, 9001, 9001.0]))
    assert beside.startswith(b"\xff\xd8")
    assert photo.startswith(b"\xff\xd8")


def test_the_export_is_read_again(table, path, tmp_path):
    labeler = Labeler(table, path)
    press(labeler, *"34f", "Enter", "x", "n", "Enter")
    labeler.export_dataturks(tmp_path / "out")
    with pytest.warns(UserWarning, match="1 boxes of no face"):
        back = read_dataturks(tmp_path / "out")
    assert back["age"].fillna(0).tolist() == [35, 0]
    assert back["emotion"].fillna("").tolist() == ["", "neutral"]
