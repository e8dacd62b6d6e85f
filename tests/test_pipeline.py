"""The whole way from image to profile, with the shipped models."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image, ImageCms

import facekit
from facekit import pipeline
from facekit.datasets.crops import prepare_crops
from facekit.datasets.manifest import make_manifest
from facekit.faces import COLUMNS, Faces
from facekit.fusion import load_constants
from facekit.images import normalise
from facekit.inference import run_model
from facekit.pipeline import Crops
from facekit.registry import (
    MODELS_VARIABLE,
    ModelError,
    TaskEntry,
    find_model,
    get_models_dir,
    load_index,
    save_entry,
)
from facekit.taxonomy import EMOTIONS, LABELS
from facekit.video import VideoWriter


@pytest.mark.parametrize(("options", "unsure"), [({}, ("face", "gender")), ({"cropped": True}, ())])
def test_a_detection_with_a_low_score_may_be_no_face(options, unsure, portraits, monkeypatch):
    """Of a cropped image the caller says that it is a face."""
    constants = replace(load_constants(), thresholds={"gender": 0, "score": 2})
    monkeypatch.setattr(pipeline, "load_constants", lambda: constants)
    analyzer = facekit.FaceAnalyzer(("gender",), **options)
    black, portrait = np.zeros((90, 90, 3), np.uint8), portraits["astronaut.png"]
    analyses = analyzer.analyze_images([black, portrait])
    assert analyses[1].profiles[0].unsure == unsure
    assert analyses[1].to_frame()["gender"].tolist() == ["female"]


def test_portrait(portraits):
    analysis = facekit.analyze(portraits["astronaut.png"])
    (profile,) = analysis.profiles
    assert profile.gender == "female"
    assert profile.emotion == "happiness"
    assert 18 <= profile.age_years <= 50
    assert profile.age_low <= profile.age_years <= profile.age_high
    assert 0 <= profile.confidence_score <= 1
    assert profile.ethnicity is None
    assert sum(profile.emotion_probabilities) == pytest.approx(1)


def test_group_has_a_profile_for_each_face(portraits):
    analysis = facekit.analyze(portraits["group.jpg"])
    assert len(analysis) == len(analysis.profiles) == 6
    assert analysis.to_frame().columns.tolist() == list(COLUMNS)
    assert analysis.draw().shape == portraits["group.jpg"].shape


@pytest.mark.parametrize("detector", facekit.detection.DETECTORS)
def test_any_detector_finds_the_faces_that_are_analyzed(portraits, detector):
    analyzer = facekit.FaceAnalyzer(("gender",), 40, detector=detector)
    found = analyzer.detect(portraits["astronaut.png"])
    expected = facekit.detect_faces(portraits["astronaut.png"], detector, min_face_size=40)
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    table = analyzer.analyze(portraits["astronaut.png"]).to_frame()
    assert table["gender"].iloc[0] == "female"
    assert table["nose_x"].isna().all() == (detector == "viola_jones")


def test_only_scores_of_mtcnn_make_a_face_doubtful(portraits, monkeypatch):
    faces = facekit.detect_faces(portraits["astronaut.png"])
    doubtful = Faces(faces.boxes_xyxy, faces.scores * 0 + 0.1, faces.landmarks_xy)
    monkeypatch.setattr(facekit.FaceAnalyzer, "detect", lambda *_: doubtful)
    for detector, is_doubtful in (("mtcnn", True), ("yunet", False)):
        analysis = facekit.analyze(portraits["astronaut.png"], detector=detector)
        assert ("face" in analysis.profiles[0].unsure) == is_doubtful


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector": "haar"}, r"`detector` must be one of mtcnn, yunet, viola_jones; got 'haar'"),
        ({"detector": "yunet", "cropped": True}, r"must be mtcnn if the images are cropped; got"),
        ({"detector": "yunet", "min_face_size": 5}, r"`min_face_size` must be 10 pixels or more"),
    ],
)
def test_detectors_that_cannot_be_used(options, message):
    with pytest.raises(ValueError, match=message):
        facekit.FaceAnalyzer(**options)


def test_path_and_array_give_the_same(portraits, tmp_path):
    path = tmp_path / "astronaut.png"
    Image.fromarray(portraits["astronaut.png"]).save(path)
    from_path, from_array = facekit.analyze(path), facekit.analyze(portraits["astronaut.png"])
    assert from_path.image == str(path)
    assert from_path.profiles == from_array.profiles


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "YCbCr", "HSV", "LAB", "rotated"])
def test_pictures_of_pillow_give_the_same(portraits, mode):
    picture = Image.fromarray(portraits["astronaut.png"])
    if mode == "rotated":
        picture = picture.rotate(90, expand=True)  # the camera was held upright
        picture.getexif()[0x0112] = 6
    elif mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        picture = ImageCms.profileToProfile(picture, rgb, lab, outputMode="LAB")
    else:
        picture = picture.convert(mode)
    expected = facekit.analyze(portraits["astronaut.png"])
    analysis = facekit.analyze(picture)
    np.testing.assert_allclose(analysis.faces.boxes_xyxy, expected.faces.boxes_xyxy, atol=5)
    assert analysis.profiles[0].gender == expected.profiles[0].gender


def test_a_video_is_no_picture(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", 25) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(facekit.ImageError, match=r"clip\.mp4: is a video.*analyze_video\(path\)"):
        facekit.analyze(tmp_path / "clip.mp4")


def test_face_reads_alike_turned_shrunk_and_dark(portraits):
    astronaut = Image.fromarray(portraits["astronaut.png"])
    changed = {
        "turned": astronaut.rotate(15, Image.Resampling.BICUBIC),
        "shrunk": astronaut.resize((256, 256), Image.Resampling.LANCZOS),
        "dark": Image.fromarray((portraits["astronaut.png"] * 0.4).astype(np.uint8)),
    }
    for name, picture in changed.items():
        (profile,) = facekit.analyze(np.array(picture)).profiles
        assert (profile.gender, profile.emotion) == ("female", "happiness"), name


def test_no_face():
    analysis = facekit.analyze(np.full((80, 120, 3), 200, np.uint8))
    assert len(analysis) == 0
    assert analysis.to_frame().columns.tolist() == list(COLUMNS)
    assert (analysis.draw() == 200).all()


def test_cropped_gives_one_face_even_where_there_is_none():
    analyzer = facekit.FaceAnalyzer(cropped=True)
    for size in ((48, 48), (1, 1), (30, 90)):
        analysis = analyzer.analyze(np.full((*size, 3), 90, np.uint8))
        assert len(analysis) == 1
        assert analysis.faces.scores[0] == 0
        assert analysis.profiles[0].gender in LABELS["gender"]


def test_only_requested_attributes_are_predicted(portraits):
    (profile,) = facekit.analyze(portraits["astronaut.png"], attributes=("ethnicity",)).profiles
    assert profile.ethnicity in LABELS["ethnicity"]
    assert profile.age_years is profile.gender is profile.emotion is None
    row = facekit.analyze(portraits["astronaut.png"], attributes=("gender",)).to_dicts()[0]
    assert all(row[f"emotion_{label}"] is None for label in EMOTIONS)


def test_age_schemes(portraits):
    assert facekit.analyze(portraits["astronaut.png"], age_scheme="stages").profiles[
        0
    ].age_range in ("13-19", "20-39", "40-59")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"attributes": ("age", "height")},
            "`attributes` must be one or more of age, gender, emotion, ethnicity",
        ),
        ({"attributes": ()}, "`attributes` must be"),
        ({"attributes": "age"}, "`attributes` must be"),
        ({"age_scheme": "weeks"}, "`age_scheme` must be one of paper"),
        ({"min_face_size": 5}, "`min_face_size` must be 12 pixels or more; got 5"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        facekit.FaceAnalyzer(**options)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((9, 9)),
        np.zeros((9, 9, 3)),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
    ],
)
def test_wrong_array(image):
    with pytest.raises(ValueError, match="HxWx3 RGB uint8"):
        facekit.analyze(image)


def test_missing_file():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg: no such file"):
        facekit.analyze("nowhere.jpg")


@pytest.fixture
def runs(monkeypatch) -> list[tuple]:
    """Each run of a model: its name, the outputs, and the number of faces."""
    noted = []

    def run_and_note(name, inputs, outputs, model):
        noted.append((model, outputs, len(inputs)))
        return run_model(name, inputs, outputs, model)

    monkeypatch.setattr(pipeline, "run_model", run_and_note)
    return noted


def test_a_network_of_several_attributes_runs_once_for_those_requested(portraits, runs):
    pixels = portraits["astronaut.png"]
    analyzer = facekit.FaceAnalyzer(("gender", "emotion", "age"))
    answers = analyzer.infer(pixels, facekit.detect_faces(pixels))
    assert runs == [
        ("faces", ["gender", "age"], 1),
        ("emotion", ["emotion"], 2),
    ]  # with its mirror image
    assert {name: answer.shape for name, answer in answers.items()} == {
        "gender": (1, 2),
        "emotion": (1, 7),
        "age": (1, 101),
    }


def test_a_mirrored_face_has_the_same_emotion(portraits):
    """The answers are averaged over both views."""
    analyzer, pixels = facekit.FaceAnalyzer(("emotion",)), portraits["group.jpg"]
    crops = analyzer.cut(pixels, analyzer.detect(pixels))
    mirrored = Crops({form: each[:, :, ::-1] for form, each in crops.by_form.items()})
    answers, others = analyzer.infer(crops)["emotion"], analyzer.infer(mirrored)["emotion"]
    np.testing.assert_allclose(answers, others, atol=1e-5)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


class TestSeveralImages:
    def test_all_faces_go_through_the_networks_together(self, portraits, runs):
        names = ["group.jpg", "", "astronaut.png"]
        blank = np.full((50, 60, 3), 90, np.uint8)
        pictures = [portraits["group.jpg"], blank, portraits["astronaut.png"]]
        analyzer = facekit.FaceAnalyzer()
        together = analyzer.analyze_images(pictures, names)
        assert [count for *_, count in runs] == [7, 14]  # emotion with mirror images
        assert [(analysis.image, len(analysis)) for analysis in together] == [
            ("group.jpg", 6),
            ("", 0),
            ("astronaut.png", 1),
        ]
        for analysis, pixels in zip(together, pictures, strict=True):
            assert analysis.pixels is pixels
            alone = analyzer.analyze(pixels)
            np.testing.assert_array_equal(analysis.faces.boxes_xyxy, alone.faces.boxes_xyxy)
            for profile, other in zip(analysis.profiles, alone.profiles, strict=True):
                for name, value in vars(profile).items():
                    expected = getattr(other, name)
                    if isinstance(expected, (float, tuple)):
                        expected = pytest.approx(expected, abs=1e-5)
                    assert value == expected

    def test_many_faces_go_through_the_networks_in_parts(self, portraits, runs, monkeypatch):
        monkeypatch.setattr(pipeline, "FACES", 4)
        analyzer, pixels = facekit.FaceAnalyzer(("emotion",)), portraits["group.jpg"]
        faces = analyzer.detect(pixels)
        answers = analyzer.infer([analyzer.cut(pixels, faces)] * 2)["emotion"]
        assert [count for *_, count in runs] == [8, 8, 8]  # with mirror images
        np.testing.assert_allclose(answers[:6], answers[6:], atol=1e-5)
        np.testing.assert_allclose(
            answers[4:6], analyzer.infer(pixels, faces[[4, 5]])["emotion"], atol=1e-5
        )

    @pytest.mark.parametrize("count", [1, 3])
    def test_images_without_faces(self, count, runs):
        pictures = [np.zeros((40, 40, 3), np.uint8)] * count
        analyses = facekit.FaceAnalyzer().analyze_images(pictures)
        assert [(analysis.image, len(analysis)) for analysis in analyses] == [("", 0)] * count
        assert runs == []

    def test_no_images(self):
        assert facekit.FaceAnalyzer().analyze_images([], []) == []

    def test_cropped_images_have_one_face_each(self):
        pictures = [np.full((size, size, 3), 90, np.uint8) for size in (1, 30, 48)]
        analyses = facekit.FaceAnalyzer(cropped=True).analyze_images(pictures)
        assert [len(analysis) for analysis in analyses] == [1, 1, 1]

    def test_crops_of_several_images_are_inferred_in_their_order(self, portraits):
        analyzer = facekit.FaceAnalyzer(("gender", "emotion"))
        pictures = [
            portraits["astronaut.png"],
            np.zeros((9, 9, 3), np.uint8),
            portraits["group.jpg"],
        ]
        found = [analyzer.detect(pixels) for pixels in pictures]
        parts = [analyzer.cut(*each) for each in zip(pictures, found, strict=True)]
        assert [len(part) for part in parts] == [1, 0, 6]
        assert {form: crops.shape for form, crops in Crops.join(parts).by_form.items()} == {
            (134, 3, 1.4): (7, 134, 134, 3),
            (48, 1, 1.15): (7, 48, 48, 1),
        }
        together = analyzer.infer(parts)
        alone = [analyzer.infer(*each) for each in zip(pictures, found, strict=True)]
        for name, answer in together.items():
            np.testing.assert_allclose(
                answer, np.concatenate([each[name] for each in alone]), atol=1e-5
            )
        np.testing.assert_array_equal(analyzer.infer(parts[0])["gender"], alone[0]["gender"])

    @pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
    def test_names_must_fit(self, names):
        pictures = [np.zeros((9, 9, 3), np.uint8)] * 2
        with pytest.raises(
            ValueError, match=rf"`names` must hold one name per image \(2\); got {len(names)}\."
        ):
            facekit.FaceAnalyzer().analyze_images(pictures, names)

    def test_a_wrong_image_is_an_error(self):
        with pytest.raises(ValueError, match="HxWx3 RGB uint8; got float64"):
            facekit.FaceAnalyzer().analyze_images([np.zeros((9, 9, 3))])

    def test_crops_must_fit_the_analyzer(self):
        pixels = np.zeros((9, 9, 3), np.uint8)
        emotion, gender = (
            facekit.FaceAnalyzer((name,), cropped=True) for name in ("emotion", "gender")
        )
        crops = emotion.cut(pixels, emotion.detect(pixels))
        with pytest.raises(
            ValueError, match=r"`picture` must be crops .* there are none for faces"
        ):
            gender.infer(crops)
        with pytest.raises(ValueError, match=r"`parts` must be one or more crops .* got 2 parts"):
            gender.infer([crops, gender.cut(pixels, gender.detect(pixels))])
        with pytest.raises(ValueError, match=r"`parts` must be one or more crops .* got 0 parts"):
            gender.infer([])
        with pytest.raises(ValueError, match="`faces` must be given with an image"):
            gender.infer(pixels)
        with pytest.raises(ValueError, match=r"`by_form` must hold at least one form"):
            Crops({})


class TestModels:
    """A second model, trained elsewhere, that also predicts gender and emotion."""

    @pytest.fixture
    def models_dir(self, tmp_path, monkeypatch):
        shutil.copytree(get_models_dir(), tmp_path, dirs_exist_ok=True)
        monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
        entry = load_index().models["faces"]
        save_entry(replace(entry, name="second"), tmp_path)
        tasks = entry.tasks | {"emotion": TaskEntry(list(LABELS["emotion"]))}
        save_entry(replace(entry, name="all", tasks=tasks), tmp_path)
        shuffled = {"gender": TaskEntry(["male", "female"])}
        save_entry(replace(entry, name="shuffled", tasks=shuffled), tmp_path)
        return tmp_path

    @pytest.mark.parametrize(
        ("models", "expected"),
        [
            ((), [("faces", ["age", "gender"]), ("emotion", ["emotion"])]),
            ({}, [("faces", ["age", "gender"]), ("emotion", ["emotion"])]),
            (["second"], [("second", ["age", "gender"]), ("emotion", ["emotion"])]),
            (
                {"gender": "second"},
                [("faces", ["age"]), ("second", ["gender"]), ("emotion", ["emotion"])],
            ),
            (("emotion", "second"), [("second", ["age", "gender"]), ("emotion", ["emotion"])]),
        ],
    )
    def test_the_named_model_predicts(self, models_dir, models, expected, runs):
        analyzer = facekit.FaceAnalyzer(models=models, cropped=True)
        (profile,) = analyzer.analyze(np.full((48, 48, 3), 90, np.uint8)).profiles
        assert [run[:2] for run in runs] == expected
        plain = facekit.FaceAnalyzer(cropped=True).analyze(np.full((48, 48, 3), 90, np.uint8))
        assert profile == plain.profiles[0]  # the second model has the same weights

    @pytest.mark.parametrize(
        ("models", "error", "message"),
        [
            (
                ["third"],
                ModelError,
                r"there is no model 'third'; known models: all, dlib, emotion, faces",
            ),
            ({"age": "third"}, ModelError, r"no model is listed for 'third'; known tasks: age, "),
            ({"age": "emotion"}, ModelError, r"model 'emotion' does not serve age; it serves emot"),
            ({"height": "faces"}, ValueError, r"`models` must be for age, gender, .* got height"),
            (["pnet"], ValueError, r"`models` must serve age, gender, emotion; pnet serves detect"),
            (["faces", "all"], ValueError, r"one model per attribute; faces and all both serve"),
            (
                "faces",
                ValueError,
                r"`models` must be a mapping .*, or a sequence of models; got 'f",
            ),
        ],
    )
    def test_wrong_models(self, models_dir, models, error, message):
        with pytest.raises(error, match=message):
            facekit.FaceAnalyzer(models=models)

    def test_labels_in_another_order_are_an_error(self, models_dir):
        analyzer = facekit.FaceAnalyzer(("gender",), models=["shuffled"], cropped=True)
        with pytest.raises(ModelError, match=r"the labels of gender must be .* got male, female\."):
            analyzer.analyze(np.zeros((9, 9, 3), np.uint8))


def test_a_pillow_image_is_turned_upright(portraits, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # the camera was turned to the right
    upright = Image.fromarray(portraits["astronaut.png"])
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as picture:
        analysis = facekit.analyze(picture)
    np.testing.assert_array_equal(analysis.pixels, portraits["astronaut.png"])


@pytest.mark.data
@pytest.mark.parametrize(
    ("task", "source", "pattern"),
    [
        ("age", "utkface", "UTKFace"),
        ("gender", "utkface", "UTKFace"),
        ("ethnicity", "utkface", "UTKFace"),
        ("emotion", "ferplus", "fer2013/validation/*"),
    ],
)
def test_analysis_cuts_faces_as_training_did(data_dir, tmp_path, task, source, pattern):
    """Analysis predicts from its crops what training's crops give, and what is stored."""
    if not any(data_dir.glob(pattern)):
        pytest.skip(f"{data_dir / pattern} is not there")
    predictions = pd.read_parquet(get_models_dir() / task / "predictions.parquet")
    sample = (
        predictions[(predictions["split"] == "test") & (predictions["source"] == source)]
        .iloc[::100]
        .head(20)
    )
    analyzer = facekit.FaceAnalyzer((task,), cropped=True)
    form = find_model(task)[0].input
    for _, row in sample.iterrows():
        (path,) = (
            found
            for folder in data_dir.glob(pattern)
            for found in folder.glob(f"{Path(row['image']).stem}.*")
        )
        pixels = facekit.read_image(path)
        probabilities = analyzer.infer(pixels, analyzer.detect(pixels))[task][0]
        cut, _ = prepare_crops(
            make_manifest([{"path": str(path)}], source), tmp_path / f"{path.stem}.npz",
            form["size"], form["channels"], form.get("scale", 1.0),
        )  # fmt: skip
        views = [cut, cut[:, :, ::-1]] if form.get("mirror") else [cut]
        (trained,) = run_model(task, normalise(np.concatenate(views)), [task])
        np.testing.assert_allclose(probabilities, trained.mean(axis=0), atol=1e-3)
        # The stored ones may come from another processor, which rounds differently: that moves
        # landmarks, and so crops, a little.
        stored = row.filter(like="p_").to_numpy(float)
        np.testing.assert_allclose(probabilities, stored, atol=0.01)
        assert task == "age" or probabilities.argmax() == stored.argmax()


@pytest.mark.data
def test_video(data_dir):
    video = data_dir / "videos" / "single_face.mp4"
    if not video.exists():
        pytest.skip(f"{video} is not there")
    analyses = facekit.FaceAnalyzer(("gender",), min_face_size=80).analyze_video(video)
    first = [next(analyses) for _ in range(3)]
    assert [analysis.frame for analysis in first] == [0, 1, 2]
    assert all(len(analysis) == 1 for analysis in first)
