from pathlib import Path

import pytest
from PIL import Image

from facekit.calibration import fit_threshold, read_detections
from facekit.detection import MTCNN


def write_truth(folder: Path, name: str, *boxes: str) -> None:
    (folder / "wider_face_split").mkdir(exist_ok=True)
    lines = [name, str(len(boxes)), *(boxes or ["0 0 0 0 0 0 0 0 0 0"])]
    (folder / "wider_face_split" / "wider_face_val_bbx_gt.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def place(portraits, tmp_path) -> str:
    """The box of the one face of a photo, as WIDER FACE writes it."""
    images = tmp_path / "WIDER_val" / "images"
    images.mkdir(parents=True)
    Image.fromarray(portraits["astronaut.png"]).save(images / "a.png")
    x1, y1, x2, y2 = MTCNN().detect(portraits["astronaut.png"]).boxes_xyxy[0].round().astype(int)
    return f"{x1} {y1} {x2 - x1} {y2 - y1} 0 0 0"


def test_a_labelled_face_is_a_face(place, tmp_path):
    write_truth(tmp_path, "a.png", f"{place} 0 0 0")
    table = read_detections(tmp_path)
    assert table["image"].tolist() == ["a.png"]
    assert table["is_face"].tolist() == [True]
    assert 0.8 < table["score"][0] <= 1


@pytest.mark.parametrize("boxes", [(), ("400 400 50 50 0 0 0 0 0 0",)])
def test_a_detection_without_a_label_is_none(boxes, place, tmp_path):
    write_truth(tmp_path, "a.png", *boxes)
    assert read_detections(tmp_path)["is_face"].tolist() == [False]


def test_a_box_marked_as_invalid_does_not_count(place, tmp_path):
    write_truth(tmp_path, "a.png", f"{place} 1 0 0")
    table = read_detections(tmp_path)
    assert table.empty
    assert table["is_face"].dtype == bool


def test_photos_that_are_missing(place, tmp_path):
    write_truth(tmp_path, "b.png", f"{place} 0 0 0")
    with pytest.raises(FileNotFoundError, match=r"images: holds no photo of .*unpack the photos"):
        read_detections(tmp_path)


@pytest.mark.data
@pytest.mark.slow
def test_most_detections_from_the_threshold_on_are_faces(data_dir):
    if not (data_dir / "WIDER_val").is_dir():
        pytest.skip("WIDER_val does not exist; data/wider_face.md says how to get it")
    table = read_detections(data_dir)
    threshold = fit_threshold(table["score"].to_numpy(), table["is_face"].to_numpy())
    assert table.loc[table["score"] >= threshold, "is_face"].mean() > 0.95
    assert table.loc[table["score"] < threshold, "is_face"].mean() < 0.9
