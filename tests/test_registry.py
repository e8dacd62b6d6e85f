import json
from dataclasses import replace

import pytest

from facekit import registry
from facekit.registry import (
    MODELS_VARIABLE,
    ModelEntry,
    ModelError,
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
    """A model's entry, with its file in `tmp_path` and nothing in the index yet."""
    (tmp_path / "wink.onnx").write_bytes(b"abc")
    return ModelEntry(
        "wink",
        "wink",
        "wink.onnx",
        ABC_SHA256,
        {"size": 48},
        ["left", "right"],
        metrics={"accuracy": 0.9},
    )


def test_every_model_of_the_index_is_shipped():
    index = load_index()
    assert {"pnet", "rnet", "onet"} <= set(index)
    for name in index:
        entry, path = find_model(name)
        assert entry.name == name
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


def test_saved_entries_come_back(entry, tmp_path):
    save_entry(entry, tmp_path)
    save_entry(replace(entry, name="nod"), tmp_path)
    index = load_index(tmp_path)
    assert list(index) == ["nod", "wink"]
    assert index["wink"] == entry


def test_an_entry_replaces_the_one_of_its_name(entry, tmp_path):
    save_entry(entry, tmp_path)
    save_entry(replace(entry, licence="MIT"), tmp_path)
    assert [entry.licence for entry in load_index(tmp_path).values()] == ["MIT"]


def test_a_listed_model_is_found(entry, tmp_path, monkeypatch):
    save_entry(entry, tmp_path)
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    assert find_model("wink") == find_model("wink", tmp_path) == (entry, tmp_path / "wink.onnx")


def test_missing_index_is_an_error(tmp_path):
    with pytest.raises(
        ModelError,
        match=r"index\.json: the index of models is missing; reinstall facekit, or set FACEKIT_MODELS\.",
    ):
        load_index(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"wink": 3}',
        '{"wink": {"task": "wink"}}',
        '{"wink": {"colour": "red"}}',
        "\x80",
    ],
)
def test_damaged_index_is_an_error(content, tmp_path):
    (tmp_path / "index.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(
        ModelError,
        match=r"index\.json: the index of models cannot be read \(.+\); reinstall facekit\.",
    ):
        load_index(tmp_path)


def test_empty_index(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({}))
    assert load_index(tmp_path) == {}


def test_unlisted_model_is_an_error(entry, tmp_path):
    save_entry(entry, tmp_path)
    with pytest.raises(
        ModelError, match=r"index\.json: no model is listed for 'blink'; known are wink\."
    ):
        find_model("blink", tmp_path)


def test_missing_file_is_an_error(entry, tmp_path):
    save_entry(entry, tmp_path)
    (tmp_path / "wink.onnx").unlink()
    with pytest.raises(
        ModelError,
        match=r"wink\.onnx: the model file is missing; reinstall facekit, or `git checkout -- models`\.",
    ):
        find_model("wink", tmp_path)


def test_changed_file_is_an_error_until_it_is_mended(entry, tmp_path):
    save_entry(entry, tmp_path)
    (tmp_path / "wink.onnx").write_bytes(b"abd")
    with pytest.raises(
        ModelError,
        match=r"wink\.onnx: the model file is damaged or was changed \(sha256 .+, listed is ba7816bf8f01",
    ):
        find_model("wink", tmp_path)
    (tmp_path / "wink.onnx").write_bytes(b"abc")
    assert find_model("wink", tmp_path)[0] == entry
