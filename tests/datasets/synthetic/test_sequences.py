import numpy as np
import pytest

from facekit.datasets.protocols import split_by_protocol
from facekit.datasets.synthetic.sequences import (
    INTENSITIES,
    POSED_EMOTIONS,
    SIDE,
    make_sequences,
    sample_sequences,
)
from facekit.images import convert_to_grey, read_image


def test_a_folder_reads_as_ck_plus(tmp_path):
    manifest = make_sequences(tmp_path, people=10, posed=2, seed=1)
    assert len(manifest) == 10 * 2 * len(INTENSITIES)
    assert (manifest["source"] == "ck_plus").all()
    assert manifest["subject"].nunique() == 10
    assert set(manifest["emotion"]) <= set(POSED_EMOTIONS)
    assert read_image(manifest["path"][0]).shape == (SIDE, SIDE, 3)
    assert split_by_protocol(manifest, "subject_disjoint", fold=0)["split"].notna().all()


def test_a_folder_with_files_is_refused(tmp_path):
    make_sequences(tmp_path, people=1, posed=1)
    with pytest.raises(FileExistsError, match="exists and holds other files"):
        make_sequences(tmp_path, people=1, posed=1)


def test_nobody_poses_an_emotion_twice_and_frames_go_to_the_peak():
    films = list(sample_sequences(people=3, posed=6))
    assert [(person, number) for person, number, _ in films] == [
        (person, number) for person in range(3) for number in range(6)
    ]
    for person in range(3):
        assert {frames[0].emotion for who, _, frames in films if who == person} == set(
            POSED_EMOTIONS
        )
    for _, _, frames in films:
        assert tuple(face.intensity for face in frames) == INTENSITIES
        assert len({face.identity for face in frames}) == 1


def test_the_same_seed_gives_the_same_films():
    first, again, other = (list(sample_sequences(2, 2, seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_frames_of_a_film_are_more_alike_than_people(tmp_path):
    manifest = make_sequences(tmp_path, people=6, posed=1)
    grey = np.stack([convert_to_grey(read_image(path)).ravel() for path in manifest["path"]])
    alike = np.corrcoef(grey)
    same = manifest["subject"].to_numpy()[:, None] == manifest["subject"].to_numpy()
    assert alike[same].min() > 0.9
    assert np.median(alike[~same]) < 0.8


@pytest.mark.parametrize(
    ("people", "posed", "match"),
    [
        (0, 1, "`people` must be 1 or more; got 0"),
        (1, 7, "`posed` must be from 1 to 6 emotions; got 7"),
    ],
)
def test_wrong_numbers_are_errors(people, posed, match):
    with pytest.raises(ValueError, match=match):
        next(sample_sequences(people, posed))
