import json
from dataclasses import replace
from pathlib import Path

import pytest

from facekit import registry
from facekit.registry import (
    MODELS_VARIABLE,
    Index,
    ModelEntry,
    ModelError,
    TaskEntry,
    find_model,
    get_models_dir,
    hash_file,
    load_index,
    save_entry,
)

ABC_SHA256 = (
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2's example
)


@pytest.fixture
def entry(tmp_path) -> ModelEntry:
    """A model of one task, with its file in `tmp_path` and nothing in the index yet."""
    (tmp_path / "eyes.onnx").write_bytes(b"abc")
    tasks = {"wink": TaskEntry(["left", "right"], {"accuracy": 0.9})}
    return ModelEntry("eyes", "eyes.onnx", ABC_SHA256, {"size": 48}, tasks)


def write_version_1(folder: Path, **entries: dict) -> None:
    """An index as facekit 0.1 wrote it: one entry per task."""
    common = {"sha256": ABC_SHA256, "input": {"size": 48, "channels": 1}, "labels": ["no", "yes"]}
    content = {name: common | {"task": name} | fields for name, fields in entries.items()}
    (folder / "index.json").write_text(json.dumps(content))


def test_every_shipped_model_is_found():
    index = load_index()
    assert {"pnet", "rnet", "onet"} <= set(index.models)
    for name in (*index.models, *index.defaults):
        entry, path = find_model(name)
        assert entry.name == index.defaults.get(name, name)
        assert path.is_file()


def test_the_environment_names_another_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    assert get_models_dir() == tmp_path


def test_an_installed_package_brings_its_models(tmp_path, monkeypatch):
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    monkeypatch.setattr(registry, "_PACKAGE", tmp_path / "facekit")
    assert get_models_dir() == tmp_path / "models"  # the checkout's, beside the package
    (tmp_path / "facekit" / "models").mkdir(parents=True)
    assert get_models_dir() == tmp_path / "facekit" / "models"


def test_hash_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_file(tmp_path / "abc") == ABC_SHA256


class TestIndex:
    def test_saved_entries_are_loaded(self, entry, tmp_path):
        nod = replace(entry, name="neck", tasks={"nod": TaskEntry(["no", "yes"])})
        save_entry(entry, tmp_path)
        save_entry(nod, tmp_path)
        assert load_index(tmp_path) == Index(
            {"eyes": entry, "neck": nod}, {"nod": "neck", "wink": "eyes"}
        )
        assert json.loads((tmp_path / "index.json").read_text())["version"] == 2

    def test_an_entry_replaces_the_one_of_its_name(self, entry, tmp_path):
        save_entry(entry, tmp_path)
        save_entry(replace(entry, licence="MIT"), tmp_path)
        assert [each.licence for each in load_index(tmp_path).models.values()] == ["MIT"]

    def test_a_second_model_is_no_default_unless_requested(self, entry, tmp_path):
        save_entry(entry, tmp_path)
        save_entry(replace(entry, name="other"), tmp_path)
        assert load_index(tmp_path).defaults == {"wink": "eyes"}
        save_entry(replace(entry, name="third"), tmp_path, default_for=("wink",))
        assert load_index(tmp_path).defaults == {"wink": "third"}

    def test_a_default_that_no_longer_serves_its_task_is_dropped(self, entry, tmp_path):
        save_entry(entry, tmp_path)
        save_entry(replace(entry, tasks={"nod": TaskEntry()}), tmp_path)
        assert load_index(tmp_path).defaults == {"nod": "eyes"}

    def test_detection_needs_several_models_and_has_no_default(self, entry, tmp_path):
        save_entry(replace(entry, tasks={"detection": TaskEntry()}), tmp_path)
        assert load_index(tmp_path).defaults == {}

    @pytest.mark.parametrize("tasks", [("nod",), ("wink", "nod")])
    def test_a_default_must_be_a_task_of_the_model(self, entry, tmp_path, tasks):
        with pytest.raises(
            ValueError,
            match=r"`default_for` must be tasks that the model serves, wink; got nod\.",
        ):
            save_entry(entry, tmp_path, default_for=tasks)
        assert not (tmp_path / "index.json").exists()

    def test_missing_index_is_an_error(self, tmp_path):
        with pytest.raises(
            ModelError,
            match=r"index\.json: the index of models is missing; .*, or set FACEKIT_MODELS\.",
        ):
            load_index(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "{",
            "[]",
            "3",
            '"version"',
            '{"wink": 3}',
            '{"wink": {"task": "wink"}}',
            '{"wink": {"colour": "red"}}',
            '{"version": 3, "models": {}, "defaults": {}}',
            '{"version": 2}',
            '{"version": 2, "models": [], "defaults": {}}',
            '{"version": 2, "models": {"eyes": {"file": "a", "tasks": {}}}, "defaults": {}}',
            '{"version": 2, "models": {}, "defaults": {"wink": "eyes"}}',
            "\x80",
        ],
    )
    def test_damaged_index_is_an_error(self, content, tmp_path):
        (tmp_path / "index.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(
            ModelError,
            match=r"index\.json: the index of models cannot be read \(.+\); reinstall facekit\.",
        ):
            load_index(tmp_path)

    @pytest.mark.parametrize("content", ["{}", '{"version": 2, "models": {}, "defaults": {}}'])
    def test_empty_index(self, tmp_path, content):
        (tmp_path / "index.json").write_text(content)
        assert load_index(tmp_path) == Index({}, {})


class TestVersion1:
    """Indexes that users' own trainings wrote with the first release."""

    def test_entries_that_share_a_file_become_one_model(self, tmp_path):
        shared = {"file": "faces/faces.onnx", "metrics": {"seed": 0}}
        write_version_1(
            tmp_path,
            age=shared | {"labels": [0, 1]},
            gender=shared,
            emotion={"file": "emotion/emotion.onnx", "licence": "MIT"},
            pnet={"file": "mtcnn/pnet.onnx", "task": "detection", "labels": []},
        )
        index = load_index(tmp_path)
        assert list(index.models) == ["faces", "emotion", "pnet"]
        assert index.defaults == {"age": "faces", "gender": "faces", "emotion": "emotion"}
        assert index.find("age").tasks == {
            "age": TaskEntry([0, 1], {"seed": 0}),
            "gender": TaskEntry(["no", "yes"], {"seed": 0}),
        }
        assert index.find("emotion").licence == "MIT"
        assert index.find("pnet").tasks == {"detection": TaskEntry()}

    def test_the_entry_named_like_the_task_is_the_default(self, tmp_path):
        own = {"file": "own.onnx", "sha256": "0", "task": "age"}
        write_version_1(tmp_path, small=own, age={"file": "age.onnx"}, tiny=own | {"sha256": "1"})
        assert load_index(tmp_path).defaults == {"age": "age"}

    def test_a_shared_file_named_like_another_entry(self, tmp_path):
        shared = {"file": "emotion/emotion.onnx", "sha256": "0"}
        write_version_1(tmp_path, age=shared, gender=shared, emotion={"file": "old.onnx"})
        index = load_index(tmp_path)
        assert index.defaults == {"age": "age-gender", "gender": "age-gender", "emotion": "emotion"}

    def test_its_model_is_found_and_a_new_entry_rewrites_it(self, entry, tmp_path):
        write_version_1(tmp_path, nod={"file": "eyes.onnx"})
        nod, path = find_model("nod", tmp_path)
        assert (nod.name, path) == ("nod", tmp_path / "eyes.onnx")
        save_entry(entry, tmp_path)
        assert json.loads((tmp_path / "index.json").read_text())["version"] == 2
        assert find_model("nod", tmp_path) == (nod, path)
        assert find_model("wink", tmp_path)[0] == entry


class TestFind:
    def test_by_task_by_name_and_by_both(self, entry, tmp_path, monkeypatch):
        save_entry(entry, tmp_path)
        other = replace(entry, name="other")
        save_entry(other, tmp_path)
        monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
        path = tmp_path / "eyes.onnx"
        assert find_model("wink") == find_model("wink", tmp_path) == (entry, path)
        assert find_model("eyes") == (entry, path)
        assert find_model("other") == find_model("wink", model="other") == (other, path)

    def test_a_name_that_is_both_means_the_task(self, entry, tmp_path):
        save_entry(entry, tmp_path)
        save_entry(replace(entry, name="wink"), tmp_path)
        assert find_model("wink", tmp_path)[0].name == "eyes"
        assert find_model("wink", tmp_path, model="wink")[0].name == "wink"

    @pytest.mark.parametrize("model", [None, "blink"])
    def test_unlisted_model_is_an_error(self, entry, tmp_path, model):
        save_entry(entry, tmp_path)
        with pytest.raises(
            ModelError,
            match=r"no model is listed for 'blink'; known tasks: wink; known models: eyes\.",
        ):
            find_model("wink" if model else "blink", tmp_path, model)

    def test_a_model_that_does_not_serve_the_task_is_an_error(self, entry, tmp_path):
        save_entry(entry, tmp_path)
        with pytest.raises(
            ModelError,
            match=r"model 'eyes' does not serve nod; it serves wink\. Models for nod: none\.",
        ):
            find_model("nod", tmp_path, "eyes")

    def test_missing_file_is_an_error(self, entry, tmp_path):
        save_entry(entry, tmp_path)
        (tmp_path / "eyes.onnx").unlink()
        with pytest.raises(
            ModelError,
            match=r"eyes\.onnx: the model file is missing; reinstall facekit, or `git checkout",
        ):
            find_model("wink", tmp_path)

    def test_changed_file_is_an_error_until_it_is_restored(self, entry, tmp_path):
        save_entry(entry, tmp_path)
        (tmp_path / "eyes.onnx").write_bytes(b"abd")
        with pytest.raises(
            ModelError,
            match=r"eyes\.onnx: the model file is damaged .* \(sha256 .+, listed is ba7816bf8f01",
        ):
            find_model("wink", tmp_path)
        (tmp_path / "eyes.onnx").write_bytes(b"abc")
        assert find_model("wink", tmp_path)[0] == entry


class TestPlace:
    """Model files lie inside the folder of models."""

    OUTSIDE = (
        "/etc/passwd",
        "../eyes.onnx",
        "a/../../eyes.onnx",
        "C:\\eyes.onnx",
        "..\\e.onnx",
        "",
    )

    @pytest.mark.parametrize("file", OUTSIDE)
    @pytest.mark.parametrize("version", [1, 2])
    def test_an_index_may_not_lead_outside(self, entry, tmp_path, file, version):
        models_dir = tmp_path / "models"
        save_entry(entry, models_dir)
        if version == 1:
            write_version_1(models_dir, eyes={"file": file, "task": "wink"})
        else:
            content = json.loads((models_dir / "index.json").read_text())
            content["models"]["eyes"]["file"] = file
            (models_dir / "index.json").write_text(json.dumps(content))
        with pytest.raises(
            ModelError,
            match=r"the file of model 'eyes' must be a relative path inside this folder",
        ):
            find_model("wink", models_dir)

    @pytest.mark.parametrize("file", OUTSIDE)
    def test_such_an_entry_is_not_saved(self, entry, tmp_path, file):
        with pytest.raises(ValueError, match=r"`file` must be a relative path inside the folder"):
            save_entry(replace(entry, file=file), tmp_path)

    @pytest.mark.parametrize("linked", ["file", "folder"])
    def test_a_link_may_not_lead_outside(self, entry, tmp_path, linked):
        models_dir = tmp_path / "models"
        models_dir.mkdir()
        if linked == "file":
            (models_dir / "eyes.onnx").symlink_to(tmp_path / "eyes.onnx")
        else:
            (models_dir / "linked").symlink_to(tmp_path)
            entry = replace(entry, file="linked/eyes.onnx")
        save_entry(entry, models_dir)
        with pytest.raises(
            ModelError, match=r"eyes\.onnx: the model file is a link to a place outside .*models;"
        ):
            find_model("wink", models_dir)

    def test_links_within_and_a_linked_folder_of_models_are_fine(self, entry, tmp_path):
        models_dir = tmp_path / "models"
        (models_dir / "eyes").mkdir(parents=True)
        (models_dir / "eyes" / "eyes.onnx").write_bytes(b"abc")
        (models_dir / "eyes.onnx").symlink_to(models_dir / "eyes" / "eyes.onnx")
        (tmp_path / "elsewhere").symlink_to(models_dir)
        save_entry(entry, tmp_path / "elsewhere")
        assert find_model("wink", tmp_path / "elsewhere")[0] == entry
