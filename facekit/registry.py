"""Find the shipped models: which file serves which task, how its input is cut, its labels, its
metrics, its checksum.

`models/index.json` is the registry. Running the models is left to `inference`, training them to
`training`.
"""

from __future__ import annotations

import functools
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from facekit.files import hash_file

_PACKAGE = Path(__file__).resolve().parent
MODELS_VARIABLE = "FACEKIT_MODELS"  # names another folder of models, such as one's own trainings


class ModelError(RuntimeError):
    """A model that is missing, damaged or unlisted; the message says which file and what to do."""


@dataclass(frozen=True)
class ModelEntry:
    """One model of the index.

    Attributes:
        name: Key in the index, such as `gender`.
        task: `detection` or an attribute.
        file: The ONNX file, relative to the index.
        sha256: Of that file, hexadecimal.
        input: `size` of the square input in pixels (`None` for any), its `channels`, and for
            attributes whether crops are to be `equalise`d.
        labels: Class names in the order of the output; empty for detection.
        training_data, licence: What it learned from and what that allows.
        metrics: Held-out figures with the split's name, the count and a 95% interval.
    """

    name: str
    task: str
    file: str
    sha256: str
    input: dict
    labels: list = field(default_factory=list)
    training_data: str = ""
    licence: str = ""
    metrics: dict = field(default_factory=dict)


def get_models_dir() -> Path:
    """Return the folder of models: `$FACEKIT_MODELS`, else the installed package's, else the checkout's."""
    if named := os.environ.get(MODELS_VARIABLE):
        return Path(named)
    installed = _PACKAGE / "models"
    return installed if installed.is_dir() else _PACKAGE.parent / "models"


def load_index(models_dir: Path | None = None) -> dict[str, ModelEntry]:
    """Read `index.json`.

    Raises:
        ModelError: If the index is missing or cannot be read.
    """
    path = (models_dir or get_models_dir()) / "index.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: ModelEntry(name, **entry) for name, entry in entries.items()}
    except FileNotFoundError:
        raise ModelError(
            f"{path}: the index of models is missing; reinstall facekit, or set {MODELS_VARIABLE}."
        ) from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: the index of models cannot be read ({error}); reinstall facekit."
        ) from None


def save_entry(entry: ModelEntry, models_dir: Path) -> None:
    """Add an entry to the index, or replace the one of its name."""
    path = models_dir / "index.json"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    fields = asdict(entry)
    entries[fields.pop("name")] = fields
    path.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n", encoding="utf-8")


def find_model(name: str, models_dir: Path | None = None) -> tuple[ModelEntry, Path]:
    """Return a model's entry and its checked file.

    Raises:
        ModelError: If it is not in the index, or its file is missing or is not the one that was
            listed.
    """
    models_dir = models_dir or get_models_dir()
    index = models_dir / "index.json"
    return _find_model(name, models_dir, index.stat().st_mtime_ns if index.exists() else 0)


@functools.cache
def _find_model(name: str, models_dir: Path, index_changed: int) -> tuple[ModelEntry, Path]:
    index = load_index(models_dir)
    if name not in index:
        raise ModelError(
            f"{models_dir / 'index.json'}: no model is listed for {name!r}; known are {', '.join(index)}."
        )
    entry = index[name]
    path = models_dir / entry.file
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
    if actual != entry.sha256:
        raise ModelError(
            f"{path}: the model file is damaged or was changed (sha256 {actual[:12]}..., listed is {entry.sha256[:12]}...); "
            "reinstall facekit, or `git checkout -- models`."
        )
    return entry, path
