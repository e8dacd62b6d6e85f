"""Find models: the file of each, the input it takes, the tasks it serves, its checksum.

`models/index.json` is the registry. A model is one file that serves one or more tasks, such as age
and gender. Several models may serve the same task; one of them is its default. Running models is
left to `inference`, training them to `training`.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from facekit.files import hash_file, write_text

__all__ = [
    "INDEX", "MODELS_VARIABLE", "Index", "ModelEntry", "ModelError", "TaskEntry", "find_model",
    "get_models_dir", "hash_file", "load_index", "save_entry",
]  # fmt: skip

_PACKAGE = Path(__file__).resolve().parent
MODELS_VARIABLE = "FACEKIT_MODELS"  # names another folder of models, such as your own
INDEX = "index.json"
VERSION = 2  # of the index; version 1 had one entry per task and is still read


class ModelError(RuntimeError):
    """A model is missing, damaged or not listed; the message names the file and the remedy.

    Example:
        >>> load_index().find("shoe size")
        Traceback (most recent call last):
        facekit.registry.ModelError: ...index.json: no model is listed for 'shoe size'; ...
    """


@dataclass(frozen=True)
class TaskEntry:
    """What a model predicts for one task.

    Attributes:
        labels: Class names in the order of the output; empty for detection.
        metrics: Held-out figures, each with its split, its count and a 95% interval.

    Example:
        >>> TaskEntry(labels=["female", "male"]).metrics
        {}
    """

    labels: list = field(default_factory=list)
    metrics: dict = field(default_factory=dict)


@dataclass(frozen=True)
class ModelEntry:
    """One model of the index.

    Attributes:
        name: Key in the index, such as `faces`.
        file: The ONNX file, relative to the index and inside its folder.
        sha256: Checksum of that file, hexadecimal.
        input: `size` of the square input in pixels (`None` for any size), number of `channels`,
            and for attributes whether crops are equalized (`equalise`), how much they show
            (`scale`, as for `images.cut_crops`), and whether answers are averaged over a crop and
            its mirror image (`mirror`).
        tasks: The tasks it serves: `detection`, or names of attributes, which are also the names
            of the file's outputs.
        training_data: The data it was trained on.
        licence: What its weights and its data allow.

    Example:
        >>> entry = ModelEntry(
        ...     "smile", "smile/smile.onnx", "0" * 64, {"size": 48, "channels": 1},
        ...     {"smile": TaskEntry(["no", "yes"])},
        ... )
        >>> entry.tasks["smile"].labels
        ['no', 'yes']
    """

    name: str
    file: str
    sha256: str
    input: dict[str, Any]
    tasks: dict[str, TaskEntry] = field(default_factory=dict)
    training_data: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Index:
    """All models of a folder.

    Attributes:
        models: Each model by its name.
        defaults: For each task the name of the model that serves it unless another is requested.
            A task that needs several models together, such as detection, has none.
        path: The file, for error messages.

    Example:
        >>> index = load_index()
        >>> index.find("gender").name == index.defaults["gender"]
        True
    """

    models: dict[str, ModelEntry]
    defaults: dict[str, str]
    path: Path = field(default=Path(INDEX), compare=False)

    def find(self, name: str, model: str | None = None) -> ModelEntry:
        """Return the entry for a task or a model; unlike `find_model`, without checking its file.

        Args:
            name: A task, or the name of a model. If both exist, the task is meant.
            model: A model that serves the task `name`, in place of the default.

        Raises:
            ModelError: If there is no such task or model, or the model does not serve the task.

        Example:
            >>> load_index().find("age").file
            'faces/faces.onnx'
        """
        if model is not None:
            entry = self._get(model)
            if name not in entry.tasks:
                serving = [entry.name for entry in self.models.values() if name in entry.tasks]
                raise ModelError(
                    f"{self.path}: model {model!r} does not serve {name}; it serves "
                    f"{_list(entry.tasks)}. Models for {name}: {_list(serving)}."
                )
            return entry
        if name in self.defaults:
            return self.models[self.defaults[name]]
        return self._get(name)

    def _get(self, name: str) -> ModelEntry:
        if name not in self.models:
            raise ModelError(
                f"{self.path}: no model is listed for {name!r}; known tasks: "
                f"{_list(self.defaults)}; known models: {_list(self.models)}."
            )
        return self.models[name]


def _list(names) -> str:
    return ", ".join(names) or "none"


def get_models_dir() -> Path:
    """Return the folder of models: `$FACEKIT_MODELS` if set, else the one that facekit ships.

    Example:
        >>> (get_models_dir() / "index.json").is_file()
        True
    """
    if named := os.environ.get(MODELS_VARIABLE):
        return Path(named)
    installed = _PACKAGE / "models"
    return installed if installed.is_dir() else _PACKAGE.parent / "models"


def load_index(models_dir: Path | None = None) -> Index:
    """Read `index.json`, of this version or the first.

    Args:
        models_dir: Its folder; that of `get_models_dir` by default.

    Raises:
        ModelError: If the index is missing, cannot be read, or names a file outside its folder.

    Example:
        >>> index = load_index()
        >>> index.defaults["gender"]
        'faces'
        >>> sorted(index.models["faces"].tasks)
        ['age', 'ethnicity', 'gender']
    """
    path = (models_dir or get_models_dir()) / INDEX
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        models, defaults = (
            _read_version_2(content) if "version" in content else _read_version_1(content)
        )
        _check_defaults(models, defaults)
    except FileNotFoundError:
        raise ModelError(
            f"{path}: the index of models is missing; reinstall facekit, or set {MODELS_VARIABLE}."
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else error
        raise ModelError(
            f"{path}: the index of models cannot be read ({reason}); reinstall facekit."
        ) from None
    for entry in models.values():
        if not _is_inside(entry.file):
            raise ModelError(
                f"{path}: the file of model {entry.name!r} must be a relative path inside this "
                f"folder; got {entry.file!r}."
            )
    return Index(models, defaults, path)


def _read_version_2(content: dict) -> tuple[dict[str, ModelEntry], dict[str, str]]:
    if content["version"] != VERSION:
        raise ValueError(f"version {content['version']!r} is not known, install a newer facekit")
    models = {}
    for name, fields in content["models"].items():
        tasks = {task: TaskEntry(**about) for task, about in fields.pop("tasks").items()}
        models[name] = ModelEntry(name, tasks=tasks, **fields)
    return models, dict(content["defaults"])


def _read_version_1(content: dict) -> tuple[dict[str, ModelEntry], dict[str, str]]:
    """Join the entries that share a file to one model; each had the name of its task."""
    models: dict[str, ModelEntry] = {}
    by_file: dict[tuple[str, str], list[str]] = {}
    for name, fields in content.items():
        by_file.setdefault((fields["file"], fields["sha256"]), []).append(name)
    defaults: dict[str, str] = {}
    for (file, sha256), names in by_file.items():
        first = content[names[0]]
        name = names[0] if len(names) == 1 else PurePosixPath(file).stem
        if name in models or (len(names) > 1 and name in content and name not in names):
            name = "-".join(names)
        tasks = {}
        for key in names:
            fields = content[key]
            tasks[fields["task"]] = TaskEntry(fields.get("labels", []), fields.get("metrics", {}))
            task = fields["task"]
            if task != "detection" and (key == task or task not in defaults):
                defaults[task] = name
        models[name] = ModelEntry(
            name, file, sha256, first["input"], tasks,
            first.get("training_data", ""), first.get("licence", ""),
        )  # fmt: skip
    return models, defaults


def _check_defaults(models: dict[str, ModelEntry], defaults: dict[str, str]) -> None:
    for task, name in defaults.items():
        if name not in models or task not in models[name].tasks:
            raise ValueError(f"the default model for {task}, {name!r}, does not serve it")


def _is_inside(file: str) -> bool:
    """Return whether a path is relative and never leads upwards, on any system."""
    if not isinstance(file, str):
        return False
    windows = PureWindowsPath(file)
    return not (windows.drive or windows.root or ".." in windows.parts) and bool(windows.parts)


def save_entry(
    entry: ModelEntry, models_dir: Path, default_for: Sequence[str] | None = None
) -> None:
    """Add a model to the index, or replace the one of the same name.

    An index of the first version is rewritten in this one.

    Args:
        entry: The model.
        models_dir: The folder of the index, which is created if it is missing.
        default_for: Tasks that this model serves by default from now on. Without it, these are
            the tasks that no other model serves yet; detection has no default.

    Raises:
        ModelError: If there is an index that cannot be read.
        ValueError: If the model does not serve a task of `default_for`, or its file lies outside
            the folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> tasks = {"smile": TaskEntry(["no", "yes"])}
        >>> save_entry(ModelEntry("smile", "smile.onnx", "0" * 64, {"size": 48}, tasks), folder)
        >>> load_index(folder).defaults
        {'smile': 'smile'}
    """
    if not _is_inside(entry.file):
        raise ValueError(
            f"`file` must be a relative path inside the folder of models; got {entry.file!r}."
        )
    unserved = [task for task in default_for or () if task not in entry.tasks]
    if unserved:
        raise ValueError(
            f"`default_for` must be tasks that the model serves, {_list(entry.tasks)}; "
            f"got {', '.join(unserved)}."
        )
    index = load_index(models_dir) if (models_dir / INDEX).exists() else Index({}, {})
    models = index.models | {entry.name: entry}
    defaults = {task: name for task, name in index.defaults.items() if task in models[name].tasks}
    if default_for is None:
        default_for = [task for task in entry.tasks if task != "detection" and task not in defaults]
    defaults |= dict.fromkeys(default_for, entry.name)
    listed = {}
    for name in sorted(models):
        listed[name] = asdict(models[name])
        del listed[name]["name"]
    content = {"version": VERSION, "models": listed, "defaults": dict(sorted(defaults.items()))}
    write_text(models_dir / INDEX, json.dumps(content, indent=1) + "\n")
    for found in (_find_model, _check_file):
        found.cache_clear()  # the clock of a file system may stand still between two saves


def find_model(
    name: str, models_dir: Path | None = None, model: str | None = None
) -> tuple[ModelEntry, Path]:
    """Return the model for a task, or the one of a name, and its checked file.

    Args:
        name: A task, or the name of a model. If both exist, the task is meant.
        models_dir: The folder of the index; that of `get_models_dir` by default.
        model: A model that serves the task `name`, in place of the default.

    Returns:
        The entry, and the path of its file.

    Raises:
        ModelError: If it is not in the index, does not serve the task, or its file is missing,
            lies outside the folder, or is not the one that was listed.

    Example:
        >>> entry, path = find_model("emotion")
        >>> entry.input["size"], path.name
        (48, 'emotion.onnx')
    """
    models_dir = (models_dir or get_models_dir()).absolute()
    index = models_dir / INDEX
    return _find_model(name, model, models_dir, index.stat().st_mtime_ns if index.exists() else 0)


@functools.cache
def _find_model(
    name: str, model: str | None, models_dir: Path, index_changed: int
) -> tuple[ModelEntry, Path]:
    entry = load_index(models_dir).find(name, model)
    return entry, _check_file(entry.file, entry.sha256, models_dir, index_changed)


@functools.cache  # one file may serve several tasks
def _check_file(file: str, sha256: str, models_dir: Path, index_changed: int) -> Path:
    path = models_dir / file
    if not path.resolve().is_relative_to(models_dir.resolve()):
        raise ModelError(
            f"{path}: the model file is a link to a place outside {models_dir}; copy the file here."
        )
    try:
        actual = hash_file(path)
    except OSError as error:
        reason = (
            "is missing"
            if isinstance(error, FileNotFoundError)
            else f"cannot be read ({error.strerror})"
        )
        raise ModelError(
            f"{path}: the model file {reason}; reinstall facekit, or `git checkout -- models`."
        ) from None
    if actual != sha256:
        raise ModelError(
            f"{path}: the model file is damaged or was changed (sha256 {actual[:12]}..., "
            f"listed is {sha256[:12]}...); reinstall facekit, or `git checkout -- models`."
        )
    return path
