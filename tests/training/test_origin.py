from pathlib import Path

import pandas as pd
import pytest

from facekit.datasets.manifest import make_manifest
from facekit.datasets.protocols import LEAKING
from facekit.training.course import COURSES, choose_network
from facekit.training.origin import (
    Origin,
    describe_data,
    describe_epochs,
    describe_licence,
    describe_split,
    describe_start,
    measure_leaks,
)

STANDS = "stands in more than one split"
TOO_GOOD = "so the held-out figures are too good."


def list_faces(groups: list, splits: list[str], **columns) -> pd.DataFrame:
    rows = [{"path": f"{index}.jpg"} for index in range(len(groups))]
    return make_manifest(rows, "mine").assign(group=groups, split=splits, **columns)


class TestSplit:
    """A card says what the manifest states, and what was measured; never more."""

    def test_a_split_that_holds(self):
        faces = list_faces([0, 0, 1, 2], ["train", "train", "validation", "test"])
        faces.attrs["splits"] = {"mine": {"protocol": "group_disjoint", "seed": 7}}
        assert describe_split(faces) == (
            "mine: protocol group_disjoint, seed 7. None of 3 groups stands in more than one split."
        )

    @pytest.mark.parametrize("protocol", LEAKING)
    def test_a_protocol_that_leaks_is_named(self, protocol):
        faces = list_faces([0, 0, 1, 1], ["train", "test", "train", "validation"])
        faces.attrs["splits"] = {"mine": {"protocol": protocol, "seed": 0}}
        card = describe_split(faces)
        assert f"mine: protocol {protocol}, seed 0. This protocol leaks" in card
        assert f"2 of 2 groups stand in more than one split, {TOO_GOOD}" in card
        assert "None of" not in card

    @pytest.mark.parametrize("protocol", LEAKING)
    def test_a_protocol_that_leaks_but_did_not_here(self, protocol):
        faces = list_faces([0, 1, 2, 3], ["train", "test", "train", "validation"])
        faces.attrs["splits"] = {"mine": {"protocol": protocol, "seed": 0}}
        card = describe_split(faces)
        assert "None of 4 groups stands in more than one split" in card
        assert "several splits" not in card
        assert "too good" not in card

    def test_a_manifest_that_states_nothing_is_measured(self):
        faces = list_faces([0, 0, 1, 2], ["train", "test", "train", "validation"])
        faces.attrs["splits"] = {"own": {}}
        card = describe_split(faces)
        assert card.startswith("The manifest of own does not state how it was split.")
        assert f"1 of 3 groups stands in more than one split, {TOO_GOOD}" in card

    @pytest.mark.parametrize(
        ("columns", "sentence"),
        [
            ({"subject": ["a", "b", "a", "c"]}, f"1 of 3 subjects {STANDS}, {TOO_GOOD}"),
            ({"subject": ["a", "b", "c", "d"]}, f"None of 4 subjects {STANDS}."),
            ({"path": ["a.jpg"] * 3 + ["b.jpg"]}, f"1 of 2 photos {STANDS}, {TOO_GOOD}"),
            ({"group": [None, 1, None, 2]}, "2 of 4 faces have no group, so facekit could not"),
            ({"group": [None] * 4}, "4 of 4 faces have no group"),
        ],
    )  # fmt: skip
    def test_subjects_photos_and_missing_groups(self, columns, sentence):
        splits = ["train", "train", "test", "calibration"]
        faces = list_faces([0, 1, 2, 3], splits).assign(**columns)
        assert sentence in " ".join(measure_leaks(faces))

    def test_excluded_faces_are_on_no_side(self):
        faces = list_faces([0, 0], ["excluded", "test"])
        assert measure_leaks(faces) == ["None of 1 groups stands in more than one split."]

    def test_datasets_number_their_groups_alone(self):
        faces = list_faces([0, 0], ["train", "test"], source=["utkface", "mine"])
        assert measure_leaks(faces)[0].startswith("None of 2 groups")


class TestEpochs:
    @pytest.mark.parametrize(
        ("history", "expected"),
        [
            (
                "epoch,val_loss\n0,2\n1,1.5\n2,1.7\n",
                "3; epoch 2 was kept, .* on 40 validation faces",
            ),
            ("epoch,val_loss\n0,2\n", "1, so there was no choice between epochs"),
            ("epoch,loss\n0,2\n1,1\n", "2; the history has no validation loss, so nothing chose"),
        ],
    )
    def test_what_chose_the_epoch(self, history, expected, tmp_path):
        (tmp_path / "history.csv").write_text(history)
        text = describe_epochs(tmp_path / "history.csv", 40)
        assert pd.Series(text).str.match(expected).all()


@pytest.mark.parametrize(
    ("network", "origin", "parts"),
    [
        ("small", Origin("", seed=3), ["random weights, seed 3"]),
        ("pretrained", Origin(""), ["dlib's face recognition network"]),
        (
            "pretrained",
            Origin("", start_from=(Path("there/faces.keras"),)),
            ["layers of `faces.keras`"],
        ),
        (
            "ensemble",
            Origin("", start_from=(Path("one.keras"), Path("other.keras"))),
            ["layers of `one.keras`", "; the layers of `other.keras`"],
        ),
        (
            "small",
            Origin("", teachers=(Path("there/answers.npz"),), teacher_share=0.5),
            ["random weights", "predictions of `there`, with a share of 0.5"],
        ),
    ],
)
def test_what_the_weights_started_from(network, origin, parts):
    text = describe_start(choose_network(COURSES["age"], network), origin)
    assert all(part in text for part in parts)
    assert ("dlib" in text) == (parts[0].startswith("dlib"))


def test_an_earlier_run_is_named(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"command": "facekit train age --seed 5", "start": "random weights, seed 5"}'
    )
    text = describe_start(COURSES["age"], Origin("", start_from=(tmp_path / "network.keras",)))
    assert text.endswith("made by `facekit train age --seed 5` from random weights, seed 5")


def test_licences_are_those_of_the_data():
    text = describe_licence(["utkface", "fairface", "mine"])
    assert text.startswith("code and weights MIT; training data: utkface (non-commercial research)")
    assert text.endswith("fairface (CC BY 4.0), mine (licence not known)")


def test_training_faces_are_counted():
    faces = list_faces([0, 1, 2], ["train", "train", "test"], source=["utkface", "mine", "mine"])
    faces["gender"] = ["male", None, "male"]
    assert (
        describe_data(faces, "gender") == "UTKFace (Zhang, Song, Qi, CVPR 2017) (1 training face)"
    )
    assert describe_data(faces).endswith("; mine (1 training face)")
