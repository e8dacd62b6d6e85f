import pytest

from facekit.datasets.annotations import read_ground_truth
from facekit.datasets.wider_flags import read_wider_flags

LINES = """a/1.jpg
3
10 20 30 40 0 0 0 0 0 0
1 2 3 4 2 1 1 0 2 1
5 6 7 8 1 0 0 1 1 0
b/2.jpg
0
0 0 0 0 0 0 0 0 0 0
c/3.jpg
1
5 6 0 8 0 0 0 0 0 0
"""


def test_flags_in_words(tmp_path):
    (tmp_path / "truth.txt").write_text(LINES)
    photos, faces = read_wider_flags(tmp_path / "truth.txt")
    assert photos == ["a/1.jpg", "b/2.jpg", "c/3.jpg"]
    assert faces.columns.tolist() == [
        "image", "x1", "y1", "x2", "y2", "blur", "expression", "illumination", "ignored",
        "occlusion", "pose",
    ]  # fmt: skip
    assert faces.values.tolist() == [
        ["a/1.jpg", 10, 20, 40, 60, "clear", "typical", "normal", False, "none", "typical"],
        ["a/1.jpg", 1, 2, 4, 6, "heavy", "exaggerated", "extreme", False, "heavy", "atypical"],
        ["a/1.jpg", 5, 6, 12, 14, "normal", "typical", "normal", True, "partial", "typical"],
        # A box without area is ignored.
        ["c/3.jpg", 5, 6, 5, 14, "clear", "typical", "normal", True, "none", "typical"],
    ]


@pytest.mark.parametrize(
    "lines",
    ["a.jpg\n", "a.jpg\nx\n", "a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n", "a.jpg\n1\n1 2 3 4\n",
     "a.jpg\n1\n1 2 3 4 3 0 0 0 0 0\n"],
)  # fmt: skip
def test_damage_is_named(lines, tmp_path):
    (tmp_path / "truth.txt").write_text(lines)
    with pytest.raises(ValueError, match=r"truth\.txt: the rows of a\.jpg are damaged; download"):
        read_wider_flags(tmp_path / "truth.txt")


def test_an_empty_file(tmp_path):
    (tmp_path / "truth.txt").touch()
    photos, faces = read_wider_flags(tmp_path / "truth.txt")
    assert (photos, len(faces)) == ([], 0)


@pytest.mark.data
def test_boxes_agree_with_the_reader_of_the_manifest(data_dir):
    table = data_dir / "wider_face_split" / "wider_face_val_bbx_gt.txt"
    if not table.is_file():
        pytest.skip(f"{table} is not there")
    photos, faces = read_wider_flags(table)
    others = list(read_ground_truth(table))
    assert photos == [name for name, _, _ in others]
    assert len(faces) == sum(len(boxes) for _, boxes, _ in others)
    assert (~faces["ignored"]).sum() == sum(int(valid.sum()) for _, _, valid in others)
