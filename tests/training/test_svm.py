import json
import shutil
import zipfile

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from facekit.datasets.synthetic import make_synthetic
from facekit.files import hash_file
from facekit.inference import load_session
from facekit.registry import (
    MODELS_VARIABLE,
    ModelEntry,
    TaskEntry,
    get_models_dir,
    load_index,
    save_entry,
)
from facekit.taxonomy import LABELS
from facekit.training import svm
from facekit.training.data import DataChoice
from facekit.training.svm import (
    calibrate,
    fit_machine,
    number_groups,
    search_settings,
    train_svm,
)
from facekit.training.svm_graph import STEP, Machine, build_svm, round_vectors

SIDE, DIMENSIONS = 16, 6


@pytest.fixture(scope="session")
def embedder(tmp_path_factory):
    """A network whose embedding is a random linear map of the crop."""
    random = np.random.default_rng(0)
    kernel = random.normal(size=(SIDE * SIDE * 3, DIMENSIONS)).astype(np.float32) / SIDE
    constants = {"kernel": kernel, "shape": np.array([-1, SIDE * SIDE * 3])}
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Reshape", ["crops", "shape"], ["flat"]),
            onnx.helper.make_node("MatMul", ["flat", "kernel"], ["embedding"]),
        ],
        "embedder",
        [onnx.helper.make_tensor_value_info("crops", 1, ["n", SIDE, SIDE, 3])],
        [onnx.helper.make_tensor_value_info("embedding", 1, ["n", DIMENSIONS])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)])
    model.ir_version = 8
    path = tmp_path_factory.mktemp("embedder") / "tiny.onnx"
    onnx.save(model, path)
    return path, kernel


def make_faces(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = np.random.default_rng(9).normal(size=(classes, DIMENSIONS))
    return random.normal(size=(count, DIMENSIONS)) + centres[labels], labels


@pytest.mark.parametrize(("task", "classes"), [("gender", 2), ("ethnicity", 5), ("ethnicity", 3)])
def test_decisions_are_those_of_scikit_learn(task, classes):
    vectors, labels = make_faces(60, classes)
    machine = fit_machine(task, vectors, labels, cost=2, gamma=0.1)
    scaler = StandardScaler().fit(vectors)
    rounded = np.clip(np.rint(scaler.transform(vectors) * 24), -127, 127) / 24
    reference = SVC(C=2, gamma=0.1, decision_function_shape="ovo").fit(rounded, labels)
    others, _ = make_faces(30, classes, seed=1)
    expected = reference.decision_function(scaler.transform(others)).reshape(30, -1)
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(machine.decide(others), expected, atol=1e-9)


def test_years_are_those_of_scikit_learn():
    vectors, _ = make_faces(60, 2)
    years = 40 + 10 * vectors[:, 0]
    machine = fit_machine("age", vectors, years, cost=20, gamma=0.1)
    scaler = StandardScaler().fit(vectors)
    rounded = round_vectors(scaler.transform(vectors)) * STEP
    reference = SVR(C=20, gamma=0.1, epsilon=3).fit(rounded, years)
    expected = reference.predict(scaler.transform(vectors))
    np.testing.assert_allclose(machine.decide(vectors)[:, 0], expected, atol=1e-9)
    assert np.abs(expected - years).mean() < 5


@pytest.mark.parametrize("mirror", [False, True])
def test_the_file_gives_what_the_machines_give(tmp_path, embedder, mirror):
    path, kernel = embedder
    vectors, labels = make_faces(60, 2)
    gender = fit_machine("gender", vectors, labels, cost=2, gamma=0.1)
    gender = calibrate("gender", gender, vectors, labels)
    age = fit_machine("age", vectors, 40 + 10 * vectors[:, 0], cost=20, gamma=0.1)
    age = calibrate("age", age, vectors, 50 + 10 * vectors[:, 0])
    onnx.save(build_svm(path, mirror, {"age": age, "gender": gender}), tmp_path / "svm.onnx")
    crops = np.random.default_rng(1).normal(size=(7, SIDE, SIDE, 3)).astype(np.float32)
    years, genders = load_session(tmp_path / "svm.onnx").run(["age", "gender"], {"crops": crops})
    views = [crops, crops[:, :, ::-1]] if mirror else [crops]
    embeddings = np.mean([view.reshape(7, -1) @ kernel for view in views], axis=0)
    # Of two classes, the logit of the first is 0.
    logits = gender.decide(embeddings) * gender.slopes[0, 1] + gender.offsets[1]
    np.testing.assert_allclose(genders[:, 1], 1 / (1 + np.exp(-logits[:, 0])), atol=1e-4)
    np.testing.assert_allclose(genders.sum(axis=1), 1, atol=1e-5)
    mean = age.decide(embeddings)
    spread = np.maximum(mean * age.slopes + age.offsets, 1)
    weights = np.exp(-0.5 * ((np.arange(101) - mean) / spread) ** 2)
    np.testing.assert_allclose(years, weights / weights.sum(axis=1, keepdims=True), atol=1e-4)


def test_only_standard_operators_are_used(embedder):
    vectors, labels = make_faces(20, 2)
    machine = fit_machine("gender", vectors, labels, cost=2, gamma=0.1)
    model = build_svm(embedder[0], True, {"gender": calibrate("gender", machine, vectors, labels)})
    assert {node.domain for node in model.graph.node} == {""}
    stored = {each.data_type for each in model.graph.initializer if len(each.dims) == 2}
    assert onnx.TensorProto.INT8 in stored


def test_probabilities_are_calibrated():
    vectors, labels = make_faces(400, 2)
    machine = fit_machine("gender", vectors[:100], labels[:100], cost=2, gamma=0.1)
    machine = calibrate("gender", machine, vectors[100:], labels[100:])
    logits = machine.decide(vectors[100:]) @ machine.slopes + machine.offsets
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # The condition of a maximum of the likelihood with an offset: the mean is the share.
    assert shares[:, 1].mean() == pytest.approx(labels[100:].mean(), abs=1e-3)


def test_the_spread_of_ages_is_the_spread_of_the_errors():
    """The years of this machine are the embedding; their errors grow by 0.2 years a year."""
    random = np.random.default_rng(0)
    one, zero = np.ones(1), np.zeros(1)
    # 1000 * (exp(-(x - 1)^2 / 2000) - exp(-(x + 1)^2 / 2000)) is nearly 2 x.
    vectors, coefficients = np.array([[24], [-24]], np.int8), np.array([[500.0], [-500.0]])
    machine = Machine(zero, one, 1 / 2000, vectors, coefficients, zero, zero, zero)
    given = random.uniform(0, 10, (20000, 1))
    years = machine.decide(given)[:, 0]
    np.testing.assert_allclose(years, given[:, 0], rtol=0.06)
    truth = years + random.normal(size=20000) * (1 + 0.2 * years)
    found = calibrate("age", machine, given, truth)
    assert (found.slopes[0], found.offsets[0]) == pytest.approx((0.2, 1), abs=0.05)


def test_a_class_without_validation_faces_is_never_predicted():
    vectors, labels = make_faces(60, 5)
    machine = fit_machine("ethnicity", vectors, labels, cost=2, gamma=0.1)
    seen = labels != 3
    machine = calibrate("ethnicity", machine, vectors[seen], labels[seen])
    assert (machine.decide(vectors) @ machine.slopes + machine.offsets).argmax(axis=1).max() == 4
    assert not machine.slopes[:, 3].any() and machine.offsets[3] == -20


def test_no_group_is_on_two_sides_in_the_search(monkeypatch):
    sides = []

    class SpyFold(GroupKFold):
        def split(self, X, y=None, groups=None):  # noqa: N803
            for train, test in super().split(X, y, groups):
                sides.append((set(groups[train]), set(groups[test])))
                yield train, test

    monkeypatch.setattr(svm, "GroupKFold", SpyFold)
    vectors, labels = make_faces(60, 2)
    groups = np.repeat(np.arange(20), 3)
    table = search_settings("gender", vectors, labels, groups)
    assert len(sides) == 3
    assert all(train and test and not train & test for train, test in sides)
    assert set().union(*(test for _, test in sides)) == set(range(20))
    assert len(table) == 9
    assert table["score"].is_monotonic_decreasing
    assert table["score"][0] <= 1


def test_the_search_for_age_counts_years():
    vectors, _ = make_faces(45, 2)
    table = search_settings("age", vectors, 40 + 10 * vectors[:, 0], np.arange(45))
    assert sorted(set(table["C"])) == [5, 20, 80]
    assert (table["score"] < 0).all()


def test_groups_of_two_sources_differ_and_a_face_without_group_is_alone():
    faces = pd.DataFrame({"source": list("aabbb"), "group": [1, 1, 1, None, None]})
    assert number_groups(faces).tolist() == [0, 0, 1, 2, 3]
    assert number_groups(faces.iloc[:0]).tolist() == []


def test_a_whole_training(tmp_path, monkeypatch, embedder, capsys):
    data, models = tmp_path / "data", tmp_path / "models"
    make_synthetic(data / "synthetic", count=150, size=48)
    (models / "tiny").mkdir(parents=True)
    shutil.copy(embedder[0], models / "tiny/tiny.onnx")
    form = {"size": SIDE, "channels": 3, "scale": 1.1, "mirror": True}
    file = models / "tiny/tiny.onnx"
    entry = ModelEntry("tiny", "tiny/tiny.onnx", hash_file(file), form, {"embedding": TaskEntry()})
    save_entry(entry, models)
    shipped = get_models_dir()
    shutil.copytree(shipped / "mtcnn", models / "mtcnn")
    shutil.copy(shipped / "fusion.json", models)
    for name in ("pnet", "rnet", "onet"):
        save_entry(load_index(shipped).models[name], models)
    monkeypatch.setenv(MODELS_VARIABLE, str(models))
    monkeypatch.setattr(svm, "GRID", {"C": (2.0,), "gamma": (0.01, 0.1)})
    choice, run = DataChoice(data, ("synthetic",)), tmp_path / "run"
    train_svm(choice, models, run, seed=0)
    assert "gender, synthetic test" in capsys.readouterr().out
    index = load_index(models)
    listed = index.models["svm"]
    assert index.defaults == {"embedding": "tiny"}
    assert set(listed.tasks) == {"age", "gender", "ethnicity"}
    assert listed.input == {"size": SIDE, "channels": 3, "scale": 1.1, "mirror": False}
    assert {path.name for path in (models / "svm").iterdir()} == {
        "README.md", "svm.onnx", "search.csv",
        "predictions-age.parquet", "predictions-gender.parquet", "predictions-ethnicity.parquet",
    }  # fmt: skip
    assert len(pd.read_csv(models / "svm/search.csv")) == 6
    for path in (*(models / "svm").rglob("*"), *run.rglob("*")):
        if path.is_file():
            assert not path.read_bytes().startswith(b"\x80\x04"), path  # how a pickle starts
    with zipfile.ZipFile(run / "embeddings.npz") as arrays:
        assert sorted(arrays.namelist()) == ["names.npy", "vectors.npy"]
    from facekit.pipeline import FaceAnalyzer

    analyzer = FaceAnalyzer(("age", "gender", "ethnicity"), cropped=True, models=["svm"])
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    answers = analyzer.infer(pixels, analyzer.detect(pixels))
    for name, answer in answers.items():
        assert answer.shape == (1, len(LABELS[name]))
        assert answer.sum() == pytest.approx(1, abs=1e-4)
    assert analyzer.analyze(pixels).profiles[0].gender in ("female", "male")
    assert json.loads((run / "config.json").read_text())["command"].startswith("facekit train svm")
    with pytest.raises(ValueError, match=r"holds another run \(config\.json\)"):
        train_svm(choice, models, run, seed=0)


def test_foreign_files_are_not_overwritten(tmp_path):
    (tmp_path / "svm").mkdir()
    (tmp_path / "svm/notes.txt").write_text("kept")
    with pytest.raises(ValueError, match=r"svm: is in the way, and no model of .*index\.json owns"):
        train_svm(DataChoice(tmp_path), tmp_path, tmp_path / "run")
